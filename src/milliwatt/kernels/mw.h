/* milliwatt kernels: parameter structures and prototypes.
 *
 * Every kernel is `void mw_<op>_<dtype>(out, in..., params, workspace)`: it reads `in`, writes
 * `out`, keeps nothing. Buffers are the caller's. `workspace` is scratch of the size that the
 * kernel's head comment states, aligned for a pointer; a kernel that needs none is given NULL.
 * Parameters, and what they point to, are constant data made by the compiler (compiler/bind.py
 * packs it). Activations are [N,H,W,C] row-major. Sizes are in elements, at least 1; the IR
 * keeps every tensor, padding included, below 2^31 bytes.
 */
#ifndef MW_H
#define MW_H

#include "mw_common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A window sliding over [batches, in_h, in_w, in_c]; the far padding follows from out_h and out_w.
 * Strides and dilations are below 2^30 (checked when packing), so no coordinate leaves 32 bits. */
#define MW_WINDOW                                 \
  int32_t batches, in_h, in_w, in_c;              \
  int32_t out_h, out_w, out_c;                    \
  int32_t kernel_h, kernel_w, stride_h, stride_w; \
  int32_t dilation_h, dilation_w, pad_top, pad_left

/* A scale is a multiplier and shift, or {factor, right} packed from them: see mw_fixed.h. */

/* Integer results are clamp(scaled + out_zero_point, clamp_min, clamp_max). */
#define MW_RESULT_S8 int32_t out_zero_point, clamp_min, clamp_max
#define MW_RESULT_F32 float clamp_min, clamp_max

/* Two operands with NumPy broadcasting: `rows` rows of `row` elements that lie a_step and b_step (0
 * or 1) apart; axes = [rank][3] of {size, a stride, b stride}, innermost first, walks the rows. */
#define MW_BROADCAST                       \
  int32_t rows, row, a_step, b_step, rank; \
  const int32_t *axes

/* ---- convolutions and matrix products ---- */

typedef struct {
  MW_WINDOW;
  int32_t in_zero_point; /* what padded cells read as */
  MW_RESULT_S8;
  int32_t direct;          /* conv2d: 1 for a 1 x 1 kernel without padding */
  const int8_t *weights;   /* packed, see the kernel */
  const int32_t *channels; /* [out_c][3]: bias, factor, right; bias holds -in_zero_point * sum(w) */
} mw_conv2d_s8_params;     /* also depthwise_conv2d_s8 and depthwise_conv2d_mult_s8 */

typedef struct {
  int32_t a_zero_point, a_factor, a_right;
  int32_t b_zero_point, b_factor, b_right;
  int32_t out_factor, out_right;
  MW_RESULT_S8;
} mw_sum_s8; /* result = rescale(rescale(a) +- rescale(b)) */

typedef struct {
  mw_conv2d_s8_params conv; /* makes the hidden value, operand a of the sum */
  mw_sum_s8 sum;
} mw_conv2d_add_s8_params;

typedef struct {
  int32_t rows, in_c, out_c; /* rows = every axis but the last */
  MW_RESULT_S8;
  int32_t scale_step;    /* 2: one {factor, right} per channel; 0: one for all */
  const int8_t *weights; /* packed, see mw_dot.h */
  const int32_t *bias;   /* [out_c], holds -in_zero_point * sum(w) */
  const int32_t *scales; /* [out_c or 1][2]: factor, right */
} mw_fully_connected_s8_params;

typedef struct {
  MW_WINDOW;
  MW_RESULT_F32;
  const float
      *weights; /* conv2d [out_c,kernel_h,kernel_w,in_c]; depthwise [kernel_h,kernel_w,out_c] */
  const float *bias;    /* [out_c] */
} mw_conv2d_f32_params; /* also depthwise_conv2d_f32 */

typedef struct {
  mw_conv2d_f32_params conv;
  MW_RESULT_F32; /* of the sum */
} mw_conv2d_add_f32_params;

typedef struct {
  int32_t rows, in_c, out_c;
  MW_RESULT_F32;
  const float *weights; /* [out_c,in_c] */
  const float *bias;
} mw_fully_connected_f32_params;

void mw_conv2d_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                  void *workspace);
void mw_conv2d_add_s8(int8_t *out, const int8_t *in, const int8_t *skip,
                      const mw_conv2d_add_s8_params *params, void *workspace);
void mw_depthwise_conv2d_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                            void *workspace);
void mw_depthwise_conv2d_mult_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                                 void *workspace);
void mw_fully_connected_s8(int8_t *out, const int8_t *in,
                           const mw_fully_connected_s8_params *params, void *workspace);
void mw_conv2d_f32(float *out, const float *in, const mw_conv2d_f32_params *params,
                   void *workspace);
void mw_conv2d_add_f32(float *out, const float *in, const float *skip,
                       const mw_conv2d_add_f32_params *params, void *workspace);
void mw_depthwise_conv2d_f32(float *out, const float *in, const mw_conv2d_f32_params *params,
                             void *workspace);
void mw_fully_connected_f32(float *out, const float *in,
                            const mw_fully_connected_f32_params *params, void *workspace);

#include "mw_op_pool.h"
#include "mw_op_dsp_depthwise.h"
#include "mw_op_elementwise.h"
#include "mw_data.h"
#include "mw_op_pointwise.h"
#include "mw_op_move.h"
#include "mw_op_reduce.h"
#include "mw_op_matrix.h"
#include "mw_op_recurrent.h"
#include "mw_op_signal.h"
#include "mw_op_dsp_conv.h"
#include "mw_op_control.h"
#include "mw_op_dsp_matrix.h"
#include "mw_op_dsp_elementwise.h"
#include "mw_op_dsp_winograd.h"

#ifdef __cplusplus
}
#endif
#endif
