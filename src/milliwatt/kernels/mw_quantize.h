/* One element between float32 and integers, and between integers. */
#ifndef MW_QUANTIZE_H
#define MW_QUANTIZE_H

#include "mw.h"
#include "mw_fixed.h"

/* Saturated round(x / scale) + zero_point, halves away from zero; NaN gives the zero point.
 * The fraction is taken by subtraction, which is exact: adding 0.5 first would round 0.49999997 up.
 */
static inline int32_t mw_quantize_one(float x, float scale, int32_t zero_point, int32_t low,
                                      int32_t high) {
  float scaled = x / scale;
  if (scaled != scaled) return zero_point;
  scaled = mw_bound_f32(scaled, -65536.0f, 65536.0f);
  int32_t whole = (int32_t)scaled;
  float fraction = scaled - (float)whole;
  whole += (fraction >= 0.5f) - (fraction <= -0.5f);
  return mw_bound_s32(whole + zero_point, low, high);
}

/* Bounded rescale(x - in_zero_point) + out_zero_point for any 32-bit x: in 64 bits, because the
 * nudge of the last shift may pass 2^31. */
static inline int32_t mw_requantize_one(int32_t x, const mw_requantize_params *p) {
  int32_t left = p->shift > 0 ? p->shift : 0, right = left - p->shift;
  int32_t moved = (int32_t)(((uint32_t)x - (uint32_t)p->in_zero_point) << left);
  int64_t scaled = ((int64_t)moved * p->multiplier + (1 << 30)) >> 31;
  scaled = (scaled + ((((int64_t)1 << right) - (scaled < 0)) >> 1)) >> right;
  scaled += p->out_zero_point;
  scaled = scaled < p->clamp_min ? p->clamp_min : scaled; /* in this order, as mw_bound_s32 */
  return (int32_t)(scaled > p->clamp_max ? p->clamp_max : scaled);
}

#endif
