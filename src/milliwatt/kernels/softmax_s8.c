/* softmax over the last axis, s8; the result has scale 1/256 and zero point -128.
 *
 * out[r,i] = saturate(round(256 * e[i] / sum_j e[j]) - 128), e[i] = exp[max_j in[r,j] - in[r,i]]
 * with exp a table of Q0.31 made when packing, the sum in Q12.19, its reciprocal by three Newton
 * steps.
 *
 * Layouts: [rows,row]. Ranges: row < 2^12 (checked when packing).
 * Workspace: none. In place: out may be in. Rounding: that of gemmlowp's fixed point, bit for bit.
 * Source: TensorFlow Lite 8-bit specification, SOFTMAX; gemmlowp, fixedpoint (the algorithm).
 */
#include "mw.h"
#include "mw_fixed.h"

/* 1 / (1 + x) for x in [0, 1), both Q0.31: three Newton steps on 1 / (2 d), d = (1 + x) / 2, in
 * Q2.29 from 48/17 - 32/17 d. */
static int32_t mw_one_over_one_plus_x(int32_t x) {
  int32_t d = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
  int32_t y = 1515870810 + mw_doubling_high_mul(d, -1010580540);
  for (int32_t step = 0; step < 3; step++) {
    int32_t error = (1 << 29) - mw_doubling_high_mul(d, y);
    y += mw_doubling_high_mul(y, error) * 4;
  }
  return y > INT32_MAX / 2 ? INT32_MAX : y * 2;
}

void mw_softmax_s8(int8_t *out, const int8_t *in, const mw_softmax_s8_params *params,
                   void *workspace) {
  int32_t row = params->row;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    int32_t most = in[0], bits = 0;
    uint32_t sum = 0;
    for (int32_t i = 1; i < row; i++) most = mw_max_s32(most, in[i]);
    for (int32_t i = 0; i < row; i++) {
      int32_t diff = most - in[i];
      if (diff < params->entries) {
        sum += ((uint32_t)params->exp[diff] + (1u << 11)) >> 12;
      }
    }
    sum += !sum; /* of too long a row it may wrap to 0, and the loop below ends nevertheless */
    /* sum = 2^(31 - bits) * (1 + x); a shift above 31 can only give 0. */
    while (!(sum >> 31)) sum <<= 1, bits++;
    int32_t scale = mw_one_over_one_plus_x((int32_t)(sum - 0x80000000u));
    int32_t shift = 12 - bits + 31 - 8;
    for (int32_t i = 0; i < row; i++) {
      int32_t diff = most - in[i], value = 0;
      if (diff < params->entries && shift < 32) {
        uint32_t share = (uint32_t)mw_doubling_high_mul(params->exp[diff], scale);
        value = (int32_t)((share + (1u << (shift - 1))) >> shift);
      }
      out[i] = (int8_t)mw_min_s32(value - 128, INT8_MAX);
    }
  }
}
