/* exp, log, sine, square root and the like in float32 without libm. */
#ifndef MW_MATH_H
#define MW_MATH_H

#include "mw_common.h"

typedef union {
  uint32_t bits;
  float value;
} mw_word_f32;

static inline uint32_t mw_bits_of_f32(float x) {
  mw_word_f32 word;
  word.value = x;
  return word.bits;
}

static inline float mw_f32_of_bits(uint32_t bits) {
  mw_word_f32 word;
  word.bits = bits;
  return word.value;
}

#define MW_INFINITY_BITS 0x7f800000u
#define MW_NAN_BITS 0x7fc00000u

/* 2^n for n in [-126, 127]: the exponent field of a float. */
static inline float mw_pow2_f32(int32_t n) { return mw_f32_of_bits((uint32_t)(n + 127) << 23); }

/* exp(x) / 2^n for |x| < 128, and that n: x = n ln 2 + r, |r| <= ln(2) / 2, ln 2 in two parts (Cody
 * and Waite); exp(r) by its Taylor series, whose first dropped term is r^7 / 5040 < 1.3e-7. */
static inline float mw_exp_fraction_f32(float x, int32_t *n) {
  float scaled = x * 1.44269504f;
  int32_t whole = (int32_t)(scaled < 0.0f ? scaled - 0.5f : scaled + 0.5f);
  float r = (x - (float)whole * 0.693359375f) + (float)whole * 2.12194440e-4f;
  float series = 1.0f / 120 + r * (1.0f / 720 + r * (1.0f / 5040));
  series = 0.5f + r * (1.0f / 6 + r * (1.0f / 24 + r * series));
  *n = whole;
  return 1.0f + (r + r * r * series);
}

/* exp(x) to 2e-7 relative for -87 <= x <= 88, clamped to that range outside. */
static inline float mw_exp_f32(float x) {
  int32_t n;
  float value = mw_exp_fraction_f32(mw_bound_f32(x, -87.0f, 88.0f), &n);
  return value * mw_pow2_f32(n);
}

/* exp(x) of any x: infinite from 88.73 on, 0 below -104, denormal between; NaN stays NaN. */
static inline float mw_exp_any_f32(float x) {
  if (x != x) return x;
  int32_t n;
  float value = mw_exp_fraction_f32(mw_bound_f32(x, -105.0f, 89.0f), &n);
  return value * mw_pow2_f32(n >> 1) * mw_pow2_f32(n - (n >> 1));
}

/* exp(x) - 1: near 0 a series, where the subtraction would cancel; its first dropped term is
 * x^9 / 9! < 6e-9 relative. */
static inline float mw_expm1_f32(float x) {
  if (x < -0.5f || x > 0.5f || x != x) return mw_exp_any_f32(x) - 1.0f;
  float series = 1.0f / 720 + x * (1.0f / 5040 + x * (1.0f / 40320));
  series = 1.0f / 6 + x * (1.0f / 24 + x * (1.0f / 120 + x * series));
  return x + x * x * (0.5f + x * series);
}

/* ln(x) to 2e-7 relative: x = m 2^k, m in [1/sqrt 2, sqrt 2), ln m = 2 atanh(s), s = (m - 1) /
 * (m + 1), by its series to s^9 / 9. ln(0) is -infinity, below 0 it is NaN. */
static inline float mw_log_one_f32(float x) {
  int32_t k = 0;
  uint32_t bits = mw_bits_of_f32(x);
  if (bits << 1 == 0) return mw_f32_of_bits(MW_INFINITY_BITS | 1u << 31);
  if (bits > MW_INFINITY_BITS) return mw_f32_of_bits(MW_NAN_BITS);
  if (bits == MW_INFINITY_BITS) return x;
  if (bits < 1u << 23) bits = mw_bits_of_f32(x * 8388608.0f), k = -23; /* denormal */
  bits += 0x3f800000u - 0x3f3504f3u; /* 1/sqrt 2 is where the exponent field steps */
  k += (int32_t)(bits >> 23) - 127;
  float f = mw_f32_of_bits((bits & 0x7fffffu) + 0x3f3504f3u) - 1.0f;
  float s = f / (2.0f + f), t = s * s, whole = (float)k;
  float series = t * (1.0f / 3 + t * (1.0f / 5 + t * (1.0f / 7 + t * (1.0f / 9))));
  return whole * 0.693359375f + (whole * -2.12194440e-4f + 2.0f * (s + s * series));
}

/* The integral of the normal distribution up to x: below 0 exp(-x^2 / 2) times a polynomial in
 * t = 1 / (1 + 0.3 |x|), fitted to 2e-7 relative; 0 below -14.5, 1 above 6. */
static inline float mw_normal_f32(float x) {
  if (x != x) return x;
  float size = mw_bound_f32(x < 0.0f ? -x : x, 0.0f, 15.0f), t = 1.0f / (1.0f + 0.3f * size);
  float tail = 0.206388041f + t * (-0.157223627f + t * 0.0356798135f);
  tail = 0.0999086970f + t * (0.128577650f + t * (-0.0537146218f + t * tail));
  tail = t * (0.119629249f + t * (0.120754719f + t * tail)) * mw_exp_any_f32(-0.5f * size * size);
  return x < 0.0f ? tail : 1.0f - tail;
}

/* The square root, correctly rounded: 24 bits of the root of the mantissa, one at a time, and one
 * more to round by. Below 0 it is NaN; -0, infinity and NaN stay what they are. */
static inline float mw_sqrt_one_f32(float x) {
  uint32_t bits = mw_bits_of_f32(x);
  if (bits << 1 == 0 || (bits >= MW_INFINITY_BITS && bits < 1u << 31)) return x;
  if (bits > 1u << 31) return mw_f32_of_bits(MW_NAN_BITS);
  int32_t exponent = (int32_t)(bits >> 23) - 127;
  uint32_t rest = bits & 0x7fffffu;
  if (exponent == -127) { /* denormal */
    for (exponent = -126; !(rest >> 23); exponent--) rest <<= 1;
  }
  rest = (rest | 1u << 23) << (1 + (exponent & 1));
  uint32_t root = 0, twice = 0;
  for (uint32_t bit = 1u << 24; bit; bit >>= 1) {
    if (twice + bit <= rest) rest -= twice + bit, twice += 2 * bit, root += bit;
    rest <<= 1;
  }
  root += root & 1; /* halves cannot occur: a root of 25 bits has a square of 49 */
  return mw_f32_of_bits((root >> 1) + ((uint32_t)((exponent >> 1) + 126) << 23));
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

/* The largest whole number that is not above x; from 2^23 on every float is whole. */
static inline float mw_floor_one_f32(float x) {
  if (!(x > -8388608.0f && x < 8388608.0f)) return x;
  float whole = (float)(int32_t)x;
  return whole > x ? whole - 1.0f : whole;
}

/* The nearest whole number, the even one of two. */
static inline float mw_round_one_f32(float x) {
  float whole = mw_floor_one_f32(x), rest = x - whole, half = whole * 0.5f;
  if (rest > 0.5f || (rest == 0.5f && half != mw_floor_one_f32(half))) return whole + 1.0f;
  return whole;
}

/* The remainder of |x| / |y| with the sign of x, exact: long division of the mantissas, one bit a
 * step. NaN where y is 0 or x infinite. */
static inline float mw_fmod_f32(float x, float y) {
  uint32_t sign = mw_bits_of_f32(x) & 1u << 31;
  uint32_t a = mw_bits_of_f32(x) ^ sign, b = mw_bits_of_f32(y) & ~(1u << 31);
  if (b == 0 || a >= MW_INFINITY_BITS || b > MW_INFINITY_BITS) return mw_f32_of_bits(MW_NAN_BITS);
  if (a < b) return x;
  int32_t a_exponent = (int32_t)(a >> 23), b_exponent = (int32_t)(b >> 23);
  a &= 0x7fffffu, b &= 0x7fffffu;
  if (a_exponent) a |= 1u << 23;
  else a_exponent = 1;
  if (b_exponent) b |= 1u << 23;
  else b_exponent = 1;
  if (a >= b) a %= b;
  for (; a && a_exponent > b_exponent; a_exponent--) {
    a <<= 1;
    if (a >= b) a -= b;
  }
  if (a == 0) return mw_f32_of_bits(sign);
  while (!(a >> 23) && b_exponent > 1) a <<= 1, b_exponent--;
  uint32_t field = a >> 23 ? (uint32_t)(b_exponent - 1) << 23 : 0;
  return mw_f32_of_bits(sign | (field + a));
}

#endif
