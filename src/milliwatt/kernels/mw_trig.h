/* sin and cos in float32, correct for any argument. */
#ifndef MW_TRIG_H
#define MW_TRIG_H

#include "mw_math.h"

/* |x| = quadrant * pi/2 + r with |r| <= pi/4, quadrant modulo 4; x finite, |x| >= 2^-1.
 *
 * The mantissa times 2/pi in fixed point, as far as it matters modulo 4: 96 bits of 2/pi from where
 * their product with the mantissa counts less than 4. Source: Payne and Hanek, "Radian reduction
 * for trigonometric functions", SIGNUM 1983. */
static inline float mw_quarter_turns_f32(float x, uint32_t *quadrant) {
  static const uint32_t two_over_pi[8] = {0,           0xa2f9836eu, 0x4e441529u, 0xfc2757d1u,
                                          0xf534ddc0u, 0xdb629599u, 0x3c439041u, 0xfe5163abu};
  uint32_t bits = mw_bits_of_f32(x), exponent = bits >> 23 & 0xffu;
  uint32_t mantissa = (bits & 0x7fffffu) | 1u << 23, from = exponent - 120, window[3];
  const uint32_t *words = two_over_pi + (from >> 5);
  for (int32_t i = 0; i < 3; i++) {
    uint64_t pair = (uint64_t)words[i] << 32 | words[i + 1];
    window[i] = (uint32_t)(pair << (from & 31) >> 32);
  }
  uint64_t low = (uint64_t)mantissa * window[2];
  uint64_t middle = (uint64_t)mantissa * window[1] + (low >> 32);
  uint64_t turns = middle + ((uint64_t)(mantissa * window[0]) << 32); /* quadrants in Q2.62 */
  uint64_t nearest = (turns + ((uint64_t)1 << 61)) >> 62;
  uint64_t rest = turns - (nearest << 62), size = rest >> 63 ? 0 - rest : rest;
  float r = (float)(uint32_t)(size >> 32) * 9.31322575e-10f;
  r += (float)(uint32_t)size * 2.16840434e-19f;
  *quadrant = (uint32_t)nearest;
  return rest >> 63 ? -1.57079633f * r : 1.57079633f * r;
}

/* sin(x + quadrant * pi/2): Taylor series on [-pi/4, pi/4], 1e-7 relative; NaN where x is not
 * finite. */
static inline float mw_sin_one_f32(float x, uint32_t quadrant) {
  float size = x < 0.0f ? -x : x, r = x;
  if (!(size <= 3.40282347e38f)) return mw_f32_of_bits(MW_NAN_BITS);
  if (size > 0.78539816f) {
    uint32_t turns;
    r = mw_quarter_turns_f32(size, &turns);
    if (x < 0.0f) r = -r, turns = 0 - turns;
    quadrant += turns;
  }
  float s = r * r, value;
  if (quadrant & 1) {
    value = -1.0f / 720 + s * (1.0f / 40320 - s * (1.0f / 3628800));
    value = 1.0f + s * (-0.5f + s * (1.0f / 24 + s * value));
  } else {
    value = 1.0f / 120 + s * (-1.0f / 5040 + s * (1.0f / 362880));
    value = r + r * s * (-1.0f / 6 + s * value);
  }
  return quadrant & 2 ? -value : value;
}

#endif
