/* softmax over the last axis, s16; the result has scale 1/32768 and zero point 0.
 *
 * out[r,i] = e[i] / sum_j e[j] in Q0.15, e[i] = exp(scale * (in[r,i] - max_j in[r,j])) by a table
 * from -10 to 0, the reciprocal of the sum by another.
 *
 * Layouts: [rows,row]. Ranges: row < 2^16, 65535 * 2^shift < 2^31 - 1024 (checked when packing).
 * Workspace: none. In place: out may be in.
 * Rounding: that of TFLM's tables, bit for bit, see mw_tables_s16.h.
 * Source: TensorFlow Lite Micro reference kernels, SOFTMAX for int16.
 */
#include "mw.h"
#include "mw_fixed.h"
#include "mw_tables_s16.h"

void mw_softmax_s16(int16_t *out, const int16_t *in, const mw_softmax_s16_params *params,
                    void *workspace) {
  int32_t row = params->row, multiplier = params->multiplier, shift = params->shift;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    int32_t most = in[0], bits = 30;
    uint32_t sum = 0;
    for (int32_t i = 1; i < row; i++) most = mw_max_s32(most, in[i]);
    for (int32_t i = 0; i < row; i++) {
      int32_t diff = mw_rescale(in[i] - most, multiplier, shift) + INT16_MAX;
      int32_t share = mw_table_s16(mw_max_s32(diff, INT16_MIN), mw_exp_table);
      out[i] = (int16_t)share;
      sum += (uint32_t)share;
    }
    /* sum = 2^bits * (1 + x); the largest value alone gives 2^14 and more. */
    while (!(sum >> bits)) bits--;
    int32_t x = (int32_t)(((sum << (30 - bits)) + (1u << 13)) >> 14) - 0x18000;
    int32_t scale = mw_table_s16(mw_min_s32(x, INT16_MAX), mw_reciprocal_table);
    for (int32_t i = 0; i < row; i++) {
      int32_t share = (out[i] * scale + (1 << (bits - 1))) >> bits;
      out[i] = (int16_t)mw_min_s32(share, INT16_MAX);
    }
  }
}
