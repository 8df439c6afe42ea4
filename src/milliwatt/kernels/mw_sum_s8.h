/* One element of a quantized sum or difference; add, sub and conv2d_add of s8 and s16 share it.
 * Source: TensorFlow Lite 8-bit specification, ADD: both operands raised by 2^20 (s16: 2^15),
 * brought to twice the larger scale, summed, brought to the result's scale. */
#ifndef MW_SUM_S8_H
#define MW_SUM_S8_H

#include "mw.h"
#include "mw_fixed.h"

MW_INLINE int32_t mw_sum_one(int32_t a, int32_t b, int32_t raise, int32_t sign,
                             const mw_sum_s8 *p) {
  a = mw_scale((a - p->a_zero_point) * raise, p->a_factor, p->a_right);
  b = mw_scale((b - p->b_zero_point) * raise, p->b_factor, p->b_right);
  int32_t sum = mw_scale(a + sign * b, p->out_factor, p->out_right);
  return mw_bound_s32(sum + p->out_zero_point, p->clamp_min, p->clamp_max);
}

static inline int32_t mw_sum_one_s8(int32_t a, int32_t b, int32_t sign, const mw_sum_s8 *p) {
  return mw_sum_one(a, b, 1 << 20, sign, p);
}

static inline int32_t mw_sum_one_s16(int32_t a, int32_t b, int32_t sign, const mw_sum_s8 *p) {
  return mw_sum_one(a, b, 1 << 15, sign, p);
}

#endif
