/* General convolutions, transpose_conv2d and batch_matmul: parameters and prototypes; see mw.h. */
#ifndef MW_OP_MATRIX_H
#define MW_OP_MATRIX_H

#include "mw_common.h"

/* ---- filters over windows: any convolution, fully_connected, transpose_conv2d ---- */

/* A window over an input whose cells lie up_h and up_w apart with zeros between them (1: none;
 * above 1 the dilation is 1). Filter o covers `depth` input channels from o / group * depth on; its
 * weight for tap t (ky * kernel_w + kx) and channel c is number
 * first + o * filter_step + t * tap_step + c. */
typedef struct {
  MW_WINDOW;
  int32_t up_h, up_w, depth, group;
  int32_t first, filter_step, tap_step;
} mw_filters;

typedef struct {
  mw_filters window;
  int32_t in_zero_point, weight_zero_point;
  int32_t nibbles; /* 1: two weights share a byte, the first one the low half */
  MW_RESULT_S8;
  const int32_t *channels; /* [out_c][3]: bias, factor, right */
} mw_conv2d_runtime_s8_params;

typedef struct {
  mw_conv2d_runtime_s8_params filters;
  const int8_t *weights;
} mw_conv2d_general_s8_params;

typedef struct {
  mw_filters window;
  int32_t wide;     /* 1: sums may leave 32 bits */
  int32_t two_step; /* 1: sums of 32 bits that wrap, two roundings; 0: 64 bits, one rounding */
  int32_t clamp_min, clamp_max;
  const int32_t *channels; /* [out_c][4]: bias (low word, high word), then with two_step factor
                              and right, without it multiplier (15 bits) and right shift */
} mw_conv2d_runtime_s16_params;

typedef struct {
  mw_conv2d_runtime_s16_params filters;
  const int8_t *weights;
} mw_conv2d_s16_params;

typedef struct {
  mw_filters window;
  MW_RESULT_F32;
  const float *bias; /* [out_c] */
} mw_conv2d_runtime_f32_params;

typedef struct {
  mw_conv2d_runtime_f32_params filters;
  const float *weights;
} mw_conv2d_general_f32_params;

typedef struct {
  mw_conv2d_runtime_f32_params filters;
  const int16_t *weights; /* the bits of IEEE binary16, all finite */
} mw_conv2d_f16_params;

void mw_conv2d_general_s8(int8_t *out, const int8_t *in, const mw_conv2d_general_s8_params *params,
                          void *workspace);
void mw_conv2d_runtime_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                          const mw_conv2d_runtime_s8_params *params, void *workspace);
void mw_conv2d_s16(int16_t *out, const int16_t *in, const mw_conv2d_s16_params *params,
                   void *workspace);
void mw_conv2d_runtime_s16(int16_t *out, const int16_t *in, const int8_t *weights,
                           const mw_conv2d_runtime_s16_params *params, void *workspace);
void mw_conv2d_general_f32(float *out, const float *in, const mw_conv2d_general_f32_params *params,
                           void *workspace);
void mw_conv2d_runtime_f32(float *out, const float *in, const float *weights,
                           const mw_conv2d_runtime_f32_params *params, void *workspace);
void mw_conv2d_f16(float *out, const float *in, const mw_conv2d_f16_params *params,
                   void *workspace);

/* ---- batch_matmul ---- */

/* `batches` products of [rows, depth] by [depth, cols]. Element (r, k) of a matrix of a lies
 * r * a_row + k * a_step from its first, (k, c) of b c * b_col + k * b_step; axes = [rank][3] of
 * {size, a stride, b stride}, innermost first, walks the matrices. */
#define MW_MATRICES                                   \
  int32_t batches, rows, cols, depth;                 \
  int32_t a_row, a_step, b_col, b_step, rank;         \
  const int32_t *axes

typedef struct {
  MW_MATRICES;
  int32_t a_zero_point, b_zero_point, factor, right;
  MW_RESULT_S8;
} mw_batch_matmul_s8_params;

typedef struct {
  MW_MATRICES;
  int32_t multiplier, right; /* multiplier has 15 bits */
} mw_batch_matmul_s16_params;

typedef struct {
  MW_MATRICES;
} mw_batch_matmul_f32_params;

void mw_batch_matmul_s8(int8_t *out, const int8_t *a, const int8_t *b,
                        const mw_batch_matmul_s8_params *params, void *workspace);
void mw_batch_matmul_s16(int16_t *out, const int16_t *a, const int16_t *b,
                         const mw_batch_matmul_s16_params *params, void *workspace);
void mw_batch_matmul_f32(float *out, const float *a, const float *b,
                         const mw_batch_matmul_f32_params *params, void *workspace);

#endif
