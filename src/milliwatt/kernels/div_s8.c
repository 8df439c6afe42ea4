/* div with broadcasting, s8.
 *
 * out = clamp(out_zero_point + rescale(A / B)), A = a - a_zero_point, B = b - b_zero_point
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; by 0 it is the bound that the sign of A says, of 0 the zero point. What a scale
 * moves out of 32 bits to the right is 0, to the left the bound that its sign says. Workspace:
 * none. In place: out may be an operand of out's own shape. Rounding: the reciprocal of B in fixed
 * point, see mw_reciprocal.h, the quotient in 31 bits, then TFLM's two roundings. Source:
 * TensorFlow Lite, DIV.
 */
#include "mw.h"
#include "mw_pairs.h"
#include "mw_reciprocal.h"

/* The result before its bounds, which it stays within 2^30 of. */
static int32_t mw_div_one_s8(int32_t x, int32_t y, const mw_mul_s8_params *p) {
  int32_t a = x - p->a_zero_point, b = y - p->b_zero_point, far = 1 << 30;
  if (b < 0) a = -a, b = -b;
  if (a == 0) return p->out_zero_point;
  if (b == 0) return a < 0 ? -far : far;
  int32_t bits = 0, headroom = 0, spread = a < 0 ? -a - 1 : a;
  uint32_t raised = (uint32_t)b << 23; /* |b| < 2^8: b = 2^bits * (1 + x), x in Q0.31 */
  for (bits = 8; !(raised >> 31); bits--) raised <<= 1;
  while ((spread << headroom) >> 30 == 0 && headroom < 31) headroom++;
  int32_t inverse = mw_one_over_one_plus_x((int32_t)(raised - 0x80000000u));
  int32_t quotient = mw_doubling_high_mul((int32_t)((uint32_t)a << headroom), inverse);
  int32_t shift = p->shift - bits - headroom;
  if (shift > 0) return a < 0 ? -far : far;
  if (shift < -31) return p->out_zero_point;
  int32_t value = mw_rescale(quotient, p->multiplier, shift);
  return mw_bound_s32(value, -far, far) + p->out_zero_point;
}

void mw_div_s8(int8_t *out, const int8_t *a, const int8_t *b, const mw_mul_s8_params *params,
               void *workspace) {
  mw_mul_s8_params p = *params; /* a copy, which stores to out cannot change */
  (void)workspace;
  MW_PAIRS(int8_t, int8_t,
           (int8_t)mw_bound_s32(mw_div_one_s8(*x, *y, &p), p.clamp_min, p.clamp_max));
}
