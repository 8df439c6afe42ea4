/* softmax over the last axis, s8 to s16; the result has scale 1/65536 and zero point
 * -32768.
 *
 * out[r,i] = saturate(round(65536 * e[i] / sum_j e[j]) - 32768) with
 * e[i] = exp[max_j in[r,j] - in[r,i]], exp a table of Q0.31 made when packing, the sum in Q12.19,
 * its reciprocal by three Newton steps.
 *
 * Layouts: [rows,row]. Ranges: row < 2^12 (checked when packing).
 * Workspace: none. Rounding: that of gemmlowp's fixed point, bit for bit.
 * Source: TensorFlow Lite reference kernels, SOFTMAX with an int16 result; gemmlowp, fixedpoint
 * (the algorithm).
 */
#include "mw_softmax_s8.h"

void mw_softmax_s8_s16(int16_t *out, const int8_t *in, const mw_softmax_s8_params *params,
                       void *workspace) {
  int32_t row = params->row;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    int32_t most = in[0];
    for (int32_t i = 1; i < row; i++) most = mw_max_s32(most, in[i]);
    mw_reciprocal sum = mw_softmax_sum_s8(in, most, params);
    for (int32_t i = 0; i < row; i++) {
      int32_t share = mw_softmax_share_s8(most - in[i], sum, 16, params);
      out[i] = (int16_t)mw_min_s32(share - 32768, INT16_MAX);
    }
  }
}
