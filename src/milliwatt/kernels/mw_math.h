/* exp and tanh in float32 without libm. */
#ifndef MW_MATH_H
#define MW_MATH_H

#include "mw_common.h"

/* 2^n for n in [-126, 127]: the exponent field of a float. */
static inline float mw_pow2_f32(int32_t n) {
  union {
    uint32_t bits;
    float value;
  } word;
  word.bits = (uint32_t)(n + 127) << 23;
  return word.value;
}

/* exp(x) to 2e-7 relative for -87 <= x <= 88, clamped to that range outside.
 * x = n ln 2 + r, |r| <= ln(2) / 2, ln 2 in two parts (Cody and Waite); exp(r) by its Taylor
 * series, whose first dropped term is r^7 / 5040 < 1.3e-7 relative. */
static inline float mw_exp_f32(float x) {
  x = mw_bound_f32(x, -87.0f, 88.0f);
  float scaled = x * 1.44269504f;
  int32_t n = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
  float r = (x - (float)n * 0.693359375f) + (float)n * 2.12194440e-4f;
  float series = 1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040));
  series = 0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * series));
  return (1.0f + (r + r * r * series)) * mw_pow2_f32(n);
}

/* 1 / (1 + exp(-x)), without overflow on either side. */
static inline float mw_logistic_one_f32(float x) {
  float size = mw_exp_f32(x < 0.0f ? x : -x);
  return (x < 0.0f ? size : 1.0f) / (1.0f + size);
}

/* tanh(x): near 0 a continued fraction (Lambert), which keeps the relative error small where
 * 1 - exp(-2|x|) would cancel. */
static inline float mw_tanh_one_f32(float x) {
  float size = x < 0.0f ? -x : x;
  if (size < 0.625f) {
    float s = x * x;
    return x * (10395.0f + s * (1260.0f + s * 21.0f)) /
           (10395.0f + s * (4725.0f + s * (210.0f + s)));
  }
  float e = mw_exp_f32(-2.0f * size), value = (1.0f - e) / (1.0f + e);
  return x < 0.0f ? -value : value;
}

#endif
