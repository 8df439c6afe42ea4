/* batch_matmul, f32.
 *
 * out[...,r,c] = sum_k a[...,r,k] * b[...,k,c]
 *
 * Layouts: a [...,M,K] or [...,K,M], b [...,K,N] or [...,N,K] by their strides, leading axes
 * broadcast (collapsed to MW_MATRICES when packing); out [...,M,N].
 * Ranges: all. Workspace: none. The output may not overlap an operand.
 * Rounding: float32 sums in order of k.
 * Source: TensorFlow Lite, BATCH_MATMUL.
 */
#include "mw.h"
#include "mw_walk.h"

void mw_batch_matmul_f32(float *out, const float *a, const float *b,
                         const mw_batch_matmul_f32_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++) {
    for (int32_t r = 0; r < params->rows; r++) {
      for (int32_t c = 0; c < params->cols; c++) {
        const float *x = a + at.a + r * params->a_row, *y = b + at.b + c * params->b_col;
        float acc = 0.0f;
        for (int32_t k = params->depth;;) {
          acc += *x * *y;
          if (--k == 0) break;
          x += params->a_step, y += params->b_step;
        }
        *out++ = acc;
      }
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
