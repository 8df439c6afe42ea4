/* Fixed-point rescaling with the two roundings of the TensorFlow Lite Micro reference kernels.
 *
 * A real factor is multiplier / 2^31 * 2^shift, multiplier in [0, 2^31), shift in [-31, 30].
 * Source: TensorFlow Lite 8-bit quantization specification; Jacob et al., CVPR 2018, appendix B.
 * Right shifts of negative numbers are arithmetic, as on every compiler this library is built with.
 */
#ifndef MW_FIXED_H
#define MW_FIXED_H

#include "mw_common.h"

/* round(a * b / 2^31), halves towards plus infinity; not for a = b = -2^31. */
static inline int32_t mw_doubling_high_mul(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x * multiplier / 2^31 * 2^shift: the doubling high product, then the right shift rounded to
 * nearest with halves away from zero, floor((h + 2^(e-1) - (h < 0)) / 2^e) with e = -shift, done in
 * two shifts so that nothing leaves 32 bits. A left shift is applied to x first and wraps. */
static inline int32_t mw_rescale(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift >= 0) return mw_doubling_high_mul((int32_t)((uint32_t)x << shift), multiplier);
  int32_t high = mw_doubling_high_mul(x, multiplier);
  return (((high + (high >> 31)) >> ~shift) + 1) >> 1;
}

/* The same with the scale packed for speed: factor = 2 * multiplier - 2^32 and right = -shift - 1,
 * which needs multiplier >= 2^30 (what is 0 packs as factor -2^31, right 31). Then the high product
 * is the upper word of x * 2^32 + x * factor + 2^31, one multiply-accumulate. */
static inline int32_t mw_high_mul(int32_t x, int32_t factor) {
  uint64_t start = (uint64_t)(uint32_t)x << 32 | 0x80000000u;
  return (int32_t)(uint32_t)((start + (uint64_t)((int64_t)x * factor)) >> 32);
}

static inline int32_t mw_scale(int32_t x, int32_t factor, int32_t right) {
  if (right < 0) return mw_high_mul((int32_t)((uint32_t)x << ~right), factor);
  int32_t high = mw_high_mul(x, factor);
  return (((high + (high >> 31)) >> right) + 1) >> 1;
}

/* The stored result of an accumulator: mw_scale with scale = {factor, right}, the zero point, the
 * bounds. The zero point joins the last rounding, floor(t / 2) + z = floor((t + 2 z) / 2). */
MW_INLINE int8_t mw_requantize_s8(int32_t acc, const int32_t *scale, int32_t zero_point,
                                  int32_t low, int32_t high) {
  int32_t factor = scale[0], right = scale[1], value;
  if (right < 0) {
    value = mw_high_mul((int32_t)((uint32_t)acc << ~right), factor) + zero_point;
  } else {
    value = mw_high_mul(acc, factor);
    value = (((value + (value >> 31)) >> right) + (2 * zero_point + 1)) >> 1;
  }
  return (int8_t)mw_bound_s32(value, low, high);
}

/* x * multiplier / 2^right rounded to nearest, halves up, wrapped to 32 bits: how TFLM scales the
 * 64-bit sums of s16 activations. |x| < 2^47, multiplier in [0, 2^15), right >= 1. */
static inline int32_t mw_scale_wide(int64_t x, int32_t multiplier, int32_t right) {
  int64_t raised = x * multiplier + ((int64_t)1 << (right - 1));
  return (int32_t)(uint32_t)((uint64_t)(raised >> right) & 0xffffffffu);
}

#endif
