/* batch_matmul, s16.
 *
 * out[...,r,c] = saturate(rescale(sum_k a[...,r,k] * b[...,k,c])); zero points are 0.
 *
 * Layouts: a [...,M,K] or [...,K,M], b [...,K,N] or [...,N,K] by their strides, leading axes
 * broadcast (collapsed to MW_MATRICES when packing); out [...,M,N].
 * Ranges: 2^30 * K < 2^47, shift < 8 (checked when packing). Workspace: none. The output may not
 * overlap an operand.
 * Rounding: one, halves up, the multiplier rounded to 15 bits.
 * Source: TensorFlow Lite, BATCH_MATMUL with int16.
 */
#include "mw.h"
#include "mw_fixed.h"
#include "mw_walk.h"

void mw_batch_matmul_s16(int16_t *out, const int16_t *a, const int16_t *b,
                         const mw_batch_matmul_s16_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++) {
    for (int32_t r = 0; r < params->rows; r++) {
      for (int32_t c = 0; c < params->cols; c++) {
        const int16_t *x = a + at.a + r * params->a_row, *y = b + at.b + c * params->b_col;
        int64_t acc = 0;
        for (int32_t k = params->depth;;) {
          acc += (int32_t)*x * *y;
          if (--k == 0) break;
          x += params->a_step, y += params->b_step;
        }
        int32_t value = mw_scale_wide(acc, params->multiplier, params->right);
        *out++ = (int16_t)mw_bound_s32(value, INT16_MIN, INT16_MAX);
      }
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
