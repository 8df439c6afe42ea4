/* Sums, products, activations: parameters and prototypes. Included by mw.h, after its macros. */
#ifndef MW_OP_ELEMENTWISE_H
#define MW_OP_ELEMENTWISE_H

/* ---- two operands ---- */

typedef struct {
  MW_BROADCAST;
  mw_sum_s8 sum;
} mw_sum_s8_params; /* add and sub, s8 and s16 */

typedef struct {
  MW_BROADCAST;
  int32_t a_zero_point, b_zero_point, multiplier, shift;
  MW_RESULT_S8;
} mw_mul_s8_params; /* also s16 */

typedef struct {
  MW_BROADCAST;
  int32_t clamp_min, clamp_max;
} mw_elementwise_s32_params; /* add, sub, mul */

typedef struct {
  MW_BROADCAST;
  MW_RESULT_F32;
} mw_elementwise_f32_params; /* add, sub, mul */

/* Kernels mw_<op>_<dtype>(out, a, b, params, workspace). */
#define MW_ELEMENTWISE(name, type, params_type)                                             \
  void mw_##name(type *out, const type *a, const type *b, const params_type *params,        \
                 void *workspace)
MW_ELEMENTWISE(add_s8, int8_t, mw_sum_s8_params);
MW_ELEMENTWISE(add_s16, int16_t, mw_sum_s8_params);
MW_ELEMENTWISE(add_s32, int32_t, mw_elementwise_s32_params);
MW_ELEMENTWISE(add_f32, float, mw_elementwise_f32_params);
MW_ELEMENTWISE(sub_s8, int8_t, mw_sum_s8_params);
MW_ELEMENTWISE(sub_s16, int16_t, mw_sum_s8_params);
MW_ELEMENTWISE(sub_s32, int32_t, mw_elementwise_s32_params);
MW_ELEMENTWISE(sub_f32, float, mw_elementwise_f32_params);
MW_ELEMENTWISE(mul_s8, int8_t, mw_mul_s8_params);
MW_ELEMENTWISE(mul_s16, int16_t, mw_mul_s8_params);
MW_ELEMENTWISE(mul_s32, int32_t, mw_elementwise_s32_params);
MW_ELEMENTWISE(mul_f32, float, mw_elementwise_f32_params);

/* ---- one operand ---- */

typedef struct {
  int32_t size;
  const int8_t *table; /* [256], indexed by x + 128 */
} mw_lookup_s8_params;

typedef struct {
  int32_t size;
  int32_t clamp_min, clamp_max;
} mw_clamp_s8_params; /* also s16 */

typedef struct {
  int32_t size;
  MW_RESULT_F32;
} mw_clamp_f32_params;

typedef struct {
  int32_t size;
  int32_t multiplier, shift; /* to steps of 1 / 12288: 15 bits, right shift of 0 to 31 */
} mw_unary_s16_params;       /* logistic, tanh */

typedef struct {
  int32_t size;
} mw_unary_f32_params; /* logistic, tanh */

typedef struct {
  int32_t rows, row;
  int32_t entries;      /* 1 to 256; larger differences have exp 0 */
  const int32_t *exp;   /* exp[d] = exp(-d * scale * beta) in Q0.31 */
} mw_softmax_s8_params; /* results in s8 and s16 */

typedef struct {
  int32_t rows, row;
  int32_t multiplier, shift; /* of differences, to steps of 10 / 65535 */
} mw_softmax_s16_params;

typedef struct {
  int32_t rows, row;
  float beta;
} mw_softmax_f32_params;

/* s8 and u8 alike: a lookup moves bytes. */
void mw_lookup_s8(void *out, const void *in, const mw_lookup_s8_params *params, void *workspace);
void mw_clamp_s8(int8_t *out, const int8_t *in, const mw_clamp_s8_params *params, void *workspace);
void mw_clamp_s16(int16_t *out, const int16_t *in, const mw_clamp_s8_params *params,
                  void *workspace);
void mw_clamp_f32(float *out, const float *in, const mw_clamp_f32_params *params, void *workspace);
void mw_logistic_s16(int16_t *out, const int16_t *in, const mw_unary_s16_params *params,
                     void *workspace);
void mw_logistic_f32(float *out, const float *in, const mw_unary_f32_params *params,
                     void *workspace);
void mw_tanh_s16(int16_t *out, const int16_t *in, const mw_unary_s16_params *params,
                 void *workspace);
void mw_tanh_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace);
void mw_softmax_s8(int8_t *out, const int8_t *in, const mw_softmax_s8_params *params,
                   void *workspace);
void mw_softmax_s8_s16(int16_t *out, const int8_t *in, const mw_softmax_s8_params *params,
                       void *workspace);
void mw_softmax_s16(int16_t *out, const int16_t *in, const mw_softmax_s16_params *params,
                    void *workspace);
void mw_softmax_f32(float *out, const float *in, const mw_softmax_f32_params *params,
                    void *workspace);

#endif
