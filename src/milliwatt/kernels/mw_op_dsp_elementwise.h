/* add, sub, mul and conv2d + add with the DSP extension: parameters and prototypes. Included by
 * mw.h. */
#ifndef MW_OP_DSP_ELEMENTWISE_H
#define MW_OP_DSP_ELEMENTWISE_H

#include "mw_op_dsp_conv.h"

/* Two operands whose innermost rows both advance; axes as in MW_BROADCAST. */
#define MW_ROWS_DSP          \
  int32_t rows, row, rank;   \
  const int32_t *axes

/* A quantized sum as a plane: y = start + (a * a_factor >> 8) + (b * b_factor >> 8), and the result
 * is saturate8(y >> 20), or where steps is 2, saturate8((y - (y >>> 25) + half) >> 20). */
typedef struct {
  int32_t steps, a_factor, b_factor, start, half;
} mw_linear_s8;

typedef struct {
  MW_ROWS_DSP;
  mw_linear_s8 linear;
  int32_t clamp_min, clamp_max;
} mw_add_s8_dsp_params; /* also sub: b_factor is negative */

/* A quantized sum as TFLM rounds it, twice its value: y = exact * exact_factor + start + sign *
 * (rounded * raise + rounded_start in two steps), and the result is y in two steps. `exact` is the
 * operand of the larger scale, b where `swapped`. Steps are those of mw_two_step in mw_dsp.h. */
typedef struct {
  MW_ROWS_DSP;
  int32_t swapped, exact_factor, start;
  int32_t raise, rounded_start, multiplier, half, right, sign; /* sign: 2 or -2 */
  int32_t out_multiplier, out_half, out_right;
  int32_t clamp_min, clamp_max;
} mw_add_steps_s8_dsp_params; /* also sub */

/* y = (a - a_zero_point) * (b - b_zero_point); the result is mw_one_step(y + bias, factor, half)
 * or, where steps is 2, mw_two_step(y, factor, half, right) of mw_dsp.h. */
typedef struct {
  MW_ROWS_DSP;
  int32_t steps, a_lanes, b_lanes; /* minus the zero point in both halfwords; steps 2: a's twice */
  int32_t factor, half, last;      /* last: bias, or right where steps is 2 */
  int32_t clamp_min, clamp_max;
} mw_mul_s8_dsp_params;

typedef struct {
  mw_conv2d_s8_dsp_params conv; /* makes the hidden value, operand a of the sum */
  int32_t band;                 /* output rows whose hidden values are kept at a time */
  mw_add_s8_dsp_params sum;     /* of all outputs in one row */
} mw_conv2d_add_s8_dsp_params;

void mw_add_s8_dsp(int8_t *out, const int8_t *a, const int8_t *b,
                   const mw_add_s8_dsp_params *params, void *workspace);
void mw_add_steps_s8_dsp(int8_t *out, const int8_t *a, const int8_t *b,
                         const mw_add_steps_s8_dsp_params *params, void *workspace);
void mw_mul_s8_dsp(int8_t *out, const int8_t *a, const int8_t *b,
                   const mw_mul_s8_dsp_params *params, void *workspace);
void mw_conv2d_add_s8_dsp(int8_t *out, const int8_t *in, const int8_t *skip,
                          const mw_conv2d_add_s8_dsp_params *params, void *workspace);

#endif
