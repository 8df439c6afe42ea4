/* Elementwise operators beyond add, sub and mul: math, comparison, logic, choice: parameters and
 * prototypes; see mw.h. */
#ifndef MW_OP_POINTWISE_H
#define MW_OP_POINTWISE_H

#include "mw_common.h"

/* ---- one operand ---- */

typedef struct {
  int32_t size;
  float alpha;
} mw_leaky_relu_f32_params;

typedef struct {
  int32_t size, multiplier, shift, alpha_multiplier, alpha_shift, alpha_sign;
} mw_leaky_relu_s16_params;

typedef struct {
  int32_t size, multiplier, shift, clamp_max;
} mw_abs_s16_params;

typedef struct {
  int32_t size, approximate; /* 1: by tanh */
} mw_gelu_f32_params;

typedef struct {
  int32_t size;
} mw_logical_not_params;

typedef struct {
  int32_t size, from, to, bytes; /* kinds of mw_cast.h */
} mw_cast_params;

/* Kernels mw_<op>_f32 of one operand. */
#define MW_UNARY_F32(op) \
  void mw_##op##_f32(float *out, const float *in, const mw_unary_f32_params *params, \
                     void *workspace)
MW_UNARY_F32(abs);
MW_UNARY_F32(neg);
MW_UNARY_F32(exponential);
MW_UNARY_F32(log);
MW_UNARY_F32(sin);
MW_UNARY_F32(cos);
MW_UNARY_F32(sqrt);
MW_UNARY_F32(rsqrt);
MW_UNARY_F32(square);
MW_UNARY_F32(sign);
MW_UNARY_F32(floor);
MW_UNARY_F32(ceil);
MW_UNARY_F32(round);
MW_UNARY_F32(elu);
MW_UNARY_F32(hard_swish);
void mw_leaky_relu_f32(float *out, const float *in, const mw_leaky_relu_f32_params *params,
                       void *workspace);
void mw_gelu_f32(float *out, const float *in, const mw_gelu_f32_params *params, void *workspace);
void mw_leaky_relu_s16(int16_t *out, const int16_t *in, const mw_leaky_relu_s16_params *params,
                       void *workspace);
void mw_abs_s16(int16_t *out, const int16_t *in, const mw_abs_s16_params *params, void *workspace);
void mw_logical_not(uint8_t *out, const uint8_t *in, const mw_logical_not_params *params,
                    void *workspace);
void mw_cast(void *out, const void *in, const mw_cast_params *params, void *workspace);
void mw_cast_to_f32(float *out, const void *in, const mw_cast_params *params, void *workspace);
void mw_cast_from_f32(void *out, const float *in, const mw_cast_params *params, void *workspace);

/* ---- two operands ---- */

typedef struct {
  MW_BROADCAST;
} mw_pairs_params;

typedef struct {
  MW_BROADCAST;
  int32_t accept; /* one bit for each way in which a may stand to b, see mw_pairs.h */
} mw_order_params;

typedef struct {
  MW_BROADCAST;
  int32_t accept;
  int32_t a_zero_point, a_multiplier, a_shift, b_zero_point, b_multiplier, b_shift;
} mw_compare_s8_params;

typedef struct {
  MW_BROADCAST;
  int32_t a_zero_point, a_multiplier, a_shift, b_zero_point, b_multiplier, b_shift;
  int32_t left, multiplier, shift, out_zero_point;
} mw_squared_difference_params;

typedef struct {
  MW_BROADCAST;
  int32_t a_zero_point, multiplier, shift;
  int32_t alpha_zero_point, alpha_multiplier, alpha_shift, out_zero_point;
} mw_prelu_params;

/* Kernels mw_<op>_<dtype> of two operands. */
#define MW_PAIR(name, out_t, a_t, b_t, params_t) \
  void mw_##name(out_t *out, const a_t *a, const b_t *b, const params_t *params, void *workspace)
MW_PAIR(extremum_f32, float, float, float, mw_order_params);
MW_PAIR(extremum_s8, int8_t, int8_t, int8_t, mw_order_params);
MW_PAIR(extremum_s16, int16_t, int16_t, int16_t, mw_order_params);
MW_PAIR(extremum_s32, int32_t, int32_t, int32_t, mw_order_params);
MW_PAIR(extremum_s64, int64_t, int64_t, int64_t, mw_order_params);
MW_PAIR(compare_f32, uint8_t, float, float, mw_order_params);
MW_PAIR(compare_s8, uint8_t, int8_t, int8_t, mw_compare_s8_params);
MW_PAIR(compare_s16, uint8_t, int16_t, int16_t, mw_order_params);
MW_PAIR(compare_s32, uint8_t, int32_t, int32_t, mw_order_params);
MW_PAIR(compare_s64, uint8_t, int64_t, int64_t, mw_order_params);
MW_PAIR(logical, uint8_t, uint8_t, uint8_t, mw_order_params);
MW_PAIR(div_f32, float, float, float, mw_elementwise_f32_params);
MW_PAIR(div_s32, int32_t, int32_t, int32_t, mw_elementwise_s32_params);
MW_PAIR(div_s8, int8_t, int8_t, int8_t, mw_mul_s8_params);
MW_PAIR(floor_div_f32, float, float, float, mw_pairs_params);
MW_PAIR(floor_div_s32, int32_t, int32_t, int32_t, mw_pairs_params);
MW_PAIR(floor_mod_f32, float, float, float, mw_pairs_params);
MW_PAIR(floor_mod_s32, int32_t, int32_t, int32_t, mw_pairs_params);
MW_PAIR(squared_difference_f32, float, float, float, mw_pairs_params);
MW_PAIR(squared_difference_s32, int32_t, int32_t, int32_t, mw_pairs_params);
MW_PAIR(squared_difference_s8, int8_t, int8_t, int8_t, mw_squared_difference_params);
MW_PAIR(squared_difference_s16, int16_t, int16_t, int16_t, mw_squared_difference_params);
MW_PAIR(prelu_f32, float, float, float, mw_pairs_params);
MW_PAIR(prelu_s8, int8_t, int8_t, int8_t, mw_prelu_params);
MW_PAIR(prelu_s16, int16_t, int16_t, int8_t, mw_prelu_params);

/* ---- three operands and more ---- */

/* axes = [rank][3] of {size, condition stride, a stride}, b_axes of {size, b stride, 0}, innermost
 * first, walk the rows. */
typedef struct {
  int32_t rows, row, condition_step, a_step, b_step, rank, bytes;
  const int32_t *axes, *b_axes;
} mw_select_params;

typedef struct {
  int32_t size, count; /* count: operands */
} mw_add_n_f32_params;

typedef struct {
  int32_t size, count;
  int32_t in_zero_point, multiplier, shift, out_zero_point;
} mw_add_n_s8_params;

void mw_select(void *out, const uint8_t *condition, const void *a, const void *b,
               const mw_select_params *params, void *workspace);
void mw_add_n_f32(float *out, const void *const in[], const mw_add_n_f32_params *params,
                  void *workspace);
void mw_add_n_s8(int8_t *out, const void *const in[], const mw_add_n_s8_params *params,
                 void *workspace);

#endif
