/* log_softmax over the last axis, s8; the result has scale 1/16 and zero point 127.
 *
 * out[r,i] = saturate(127 - round(16 * (d[i] + ln(sum_j exp(-d[j]))))), d[i] the difference of
 * max_j in[r,j] and in[r,i] in Q5.26; exp is a table of Q0.31 made when packing, the sum is in
 * Q12.19, its logarithm a rational function.
 *
 * Layouts: [rows,row]. Ranges: row < 2^12 (checked when packing).
 * Workspace: none. In place: out may be in. Rounding: that of the source's fixed point, bit for
 * bit. Source: TensorFlow Lite 8-bit specification, LOG_SOFTMAX; gemmlowp, fixedpoint.
 */
#include "mw.h"
#include "mw_bits.h"
#include "mw_fixed.h"
#include "mw_reciprocal.h"
#include "mw_saturate.h"

#define MW_SQRT_HALF 1518500250
#define MW_FOURTH_ROOT_HALF 1805811301

static int32_t mw_headroom(int32_t x) { return 31 - mw_bit_length_u32((uint32_t)x); }

/* x / 2^bits, to nearest with halves away from zero. */
static int32_t mw_lowered(int32_t x, int32_t bits) {
  return (((x + (x >> 31)) >> (bits - 1)) + 1) >> 1;
}

/* ln(x) in Q5.26 of x >= 1 in Q12.19: x = r 2^k with r around the fourth root of 1/2, from two
 * choices that differ by sqrt(1/2). */
static int32_t mw_log_from_one(int32_t x) {
  int32_t quarter = 1 << 23, headroom = mw_headroom(x);
  int32_t r = mw_raised(mw_doubling_high_mul(x << headroom, MW_SQRT_HALF), 1);
  int32_t power = (12 - headroom - 1) * (1 << 25) + quarter;
  headroom = mw_headroom(mw_doubling_high_mul(x, MW_SQRT_HALF));
  r = mw_min_s32(r, mw_raised(x, headroom));
  power = mw_max_s32(power, (12 - headroom) * (1 << 25) - quarter);
  int32_t p = (int32_t)(((uint32_t)r + MW_FOURTH_ROOT_HALF + 1u) >> 1);
  int32_t q = 2 * (r - MW_FOURTH_ROOT_HALF), square = mw_doubling_high_mul(q, q);
  int32_t over = mw_doubling_high_mul(mw_doubling_high_mul(q, square), 117049297);
  over += mw_doubling_high_mul(q, r);
  int32_t under = 1057819769 + q + mw_doubling_high_mul(127690142, square);
  under = mw_doubling_high_mul(p, under) + mw_doubling_high_mul(638450708, q);
  int32_t near = mw_doubling_high_mul(mw_lowered(over, 6), mw_one_over_one_plus_x(under));
  return (mw_doubling_high_mul(power, 1488522236) + near) * 2;
}

void mw_log_softmax_s8(int8_t *out, const int8_t *in, const mw_log_softmax_s8_params *params,
                       void *workspace) {
  int32_t row = params->row;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    int32_t most = in[0];
    uint32_t sum = 0;
    for (int32_t i = 1; i < row; i++) most = mw_max_s32(most, in[i]);
    for (int32_t i = 0; i < row; i++) {
      int32_t below = most - in[i];
      if (below < params->entries) sum += ((uint32_t)params->exp[below] + (1u << 11)) >> 12;
    }
    int32_t log = mw_log_from_one((int32_t)sum);
    int32_t least = mw_rescale(INT32_MIN + log, params->back_multiplier, params->back_shift);
    least = mw_max_s32(least, -params->radius - 1);
    for (int32_t i = 0; i < row; i++) {
      int32_t value = INT8_MIN;
      if (in[i] - most > least) {
        int32_t scaled = mw_rescale(in[i] - most, params->multiplier, params->shift);
        value = mw_bound_s32(mw_lowered(scaled - log, 22) + 127, INT8_MIN, INT8_MAX);
      }
      out[i] = (int8_t)value;
    }
  }
}
