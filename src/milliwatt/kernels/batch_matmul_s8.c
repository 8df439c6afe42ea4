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

/* Four columns of b from `b` on by one row of a, or one column: acc += sum of (a - a_zero) * b. */
MW_INLINE void mw_columns_s8(int32_t acc[4], int32_t columns, const int8_t *a, const int8_t *b,
                             const mw_batch_matmul_s8_params *p) {
  int32_t zero = p->a_zero_point, next = p->b_col;
  int32_t s0 = acc[0], s1 = acc[1], s2 = acc[2], s3 = acc[3];
  MW_ROLLED
  for (int32_t k = p->depth, i = 0, j = 0; k > 0; k--, i += p->a_step, j += p->b_step) {
    int32_t x = a[i] - zero;
    s0 += x * b[j];
    if (columns == 1) continue;
    s1 += x * b[j + next], s2 += x * b[j + 2 * next], s3 += x * b[j + 3 * next];
  }
  acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3;
}

MW_NOINLINE void mw_four_columns_s8(int32_t acc[4], const int8_t *a, const int8_t *b,
                                    const mw_batch_matmul_s8_params *p) {
  mw_columns_s8(acc, 4, a, b, p);
}

/* What b's zero point adds to every sum of a row: -b_zero * sum of (a - a_zero). */
static int32_t mw_row_offset_s8(const int8_t *a, const mw_batch_matmul_s8_params *p) {
  int32_t sum = 0;
  MW_ROLLED
  for (int32_t k = p->depth, i = 0; k > 0; k--, i += p->a_step) sum += a[i] - p->a_zero_point;
  return -p->b_zero_point * sum;
}

void mw_batch_matmul_s8(int8_t *out, const int8_t *a, const int8_t *b,
                        const mw_batch_matmul_s8_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  const int32_t scale[2] = {params->factor, params->right};
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++) {
    for (int32_t r = 0; r < params->rows; r++) {
      const int8_t *row = a + at.a + r * params->a_row, *column = b + at.b;
      int32_t offset = params->b_zero_point ? mw_row_offset_s8(row, params) : 0;
      for (int32_t c = 0, count; c < params->cols; c += count, out += count) {
        int32_t acc[4] = {offset, offset, offset, offset};
        count = params->cols - c >= 4 ? 4 : 1;
        if (count == 4)
          mw_four_columns_s8(acc, row, column + c * params->b_col, params);
        else
          mw_columns_s8(acc, 1, row, column + c * params->b_col, params);
        for (int32_t i = 0; i < count; i++) {
          out[i] = mw_requantize_s8(acc[i], scale, params->out_zero_point, params->clamp_min,
                                    params->clamp_max);
        }
      }
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
