/* batch_matmul, s8.
 *
 * out[...,r,c] = clamp(out_zero_point + rescale(sum_k (a[...,r,k] - a_zero_point) *
 * (b[...,k,c] - b_zero_point)))
 *
 * Layouts: a [...,M,K] or [...,K,M], b [...,K,N] or [...,N,K] by their strides, leading axes
 * broadcast (collapsed to MW_MATRICES when packing); out [...,M,N].
 * Ranges: max|a - a_zero_point| * max|b - b_zero_point| * K * 2^shift < 2^31 - 1024, shift >= 0
 * (checked when packing). Workspace: none. The output may not overlap an operand.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 8-bit specification, BATCH_MATMUL.
 */
#include "mw.h"
#include "mw_fixed.h"
#include "mw_walk.h"

void mw_batch_matmul_s8(int8_t *out, const int8_t *a, const int8_t *b,
                        const mw_batch_matmul_s8_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t a_zero = params->a_zero_point, b_zero = params->b_zero_point;
  const int32_t scale[2] = {params->factor, params->right};
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++) {
    for (int32_t r = 0; r < params->rows; r++) {
      for (int32_t c = 0; c < params->cols; c++) {
        const int8_t *x = a + at.a + r * params->a_row, *y = b + at.b + c * params->b_col;
        int32_t acc = 0;
        for (int32_t k = params->depth;;) {
          acc += (*x - a_zero) * (*y - b_zero);
          if (--k == 0) break;
          x += params->a_step, y += params->b_step;
        }
        *out++ = mw_requantize_s8(acc, scale, params->out_zero_point, params->clamp_min,
                                  params->clamp_max);
      }
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
