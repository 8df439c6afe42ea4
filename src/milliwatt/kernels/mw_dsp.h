/* The instructions of the Armv7E-M and Armv8-M DSP extension that kernels use, and the same in C.
 *
 * Names are Arm's. Lanes are the two halfwords of a word. Each function is one instruction where
 * __ARM_FEATURE_DSP is defined; elsewhere it is C of the same result, so that a `_dsp` kernel runs
 * under sanitizers on the host. Words are loaded through mw_word.h.
 * Source: Arm Architecture Reference Manual, Armv7-M (DDI 0403), A7.7.
 */
#ifndef MW_DSP_H
#define MW_DSP_H

#include "mw_word.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && defined(__thumb2__)
#define MW_HAS_DSP 1
#else
#define MW_HAS_DSP 0
#endif

static inline int32_t mw_low_lane(uint32_t x) { return (int16_t)(x & 0xffffu); }
static inline int32_t mw_high_lane(uint32_t x) { return (int16_t)(x >> 16); }

static inline uint32_t mw_lanes(int32_t low, int32_t high) {
  return ((uint32_t)low & 0xffffu) | (uint32_t)high << 16;
}

/* A sum that wraps, as the instructions' do. */
static inline int32_t mw_wrap_add(int32_t a, int32_t b) {
  return (int32_t)((uint32_t)a + (uint32_t)b);
}

#if MW_HAS_DSP
#define MW_DSP_1(name, instruction)                       \
  static inline uint32_t name(uint32_t a) {               \
    uint32_t d;                                           \
    __asm__(instruction : "=r"(d) : "r"(a));              \
    return d;                                             \
  }
#define MW_DSP_2(name, instruction)                       \
  static inline uint32_t name(uint32_t a, uint32_t b) {   \
    uint32_t d;                                           \
    __asm__(instruction : "=r"(d) : "r"(a), "r"(b));      \
    return d;                                             \
  }
#define MW_DSP_3(name, instruction, type)                 \
  static inline int32_t name(type a, type b, int32_t c) { \
    int32_t d;                                            \
    __asm__(instruction : "=r"(d) : "r"(a), "r"(b), "r"(c)); \
    return d;                                             \
  }
MW_DSP_1(mw_sxtb16, "sxtb16 %0, %1")
MW_DSP_1(mw_sxtb16_ror8, "sxtb16 %0, %1, ror #8")
MW_DSP_2(mw_pkhbt, "pkhbt %0, %1, %2, lsl #16")
MW_DSP_2(mw_pkhtb, "pkhtb %0, %1, %2, asr #16")
MW_DSP_3(mw_smlad, "smlad %0, %1, %2, %3", uint32_t)
MW_DSP_3(mw_smlabb, "smlabb %0, %1, %2, %3", uint32_t)
MW_DSP_3(mw_smlabt, "smlabt %0, %1, %2, %3", uint32_t)
MW_DSP_3(mw_smlatb, "smlatb %0, %1, %2, %3", uint32_t)
MW_DSP_3(mw_smlatt, "smlatt %0, %1, %2, %3", uint32_t)
MW_DSP_3(mw_smmla, "smmla %0, %1, %2, %3", int32_t)
static inline int32_t mw_smmulr(int32_t a, int32_t b) {
  int32_t d;
  __asm__("smmulr %0, %1, %2" : "=r"(d) : "r"(a), "r"(b));
  return d;
}
static inline int32_t mw_ssat8(int32_t x) {
  int32_t d;
  __asm__("ssat %0, #8, %1" : "=r"(d) : "r"(x));
  return d;
}
#else
/* Sign-extended bytes 0 and 2; bytes 1 and 3. */
static inline uint32_t mw_sxtb16(uint32_t a) {
  return mw_lanes((int8_t)(a & 0xffu), (int8_t)(a >> 16 & 0xffu));
}
static inline uint32_t mw_sxtb16_ror8(uint32_t a) { return mw_sxtb16(a >> 8 | a << 24); }

/* {low of a, low of b}; {high of b, high of a}: the first named lane is the low one. */
static inline uint32_t mw_pkhbt(uint32_t a, uint32_t b) { return (a & 0xffffu) | b << 16; }
static inline uint32_t mw_pkhtb(uint32_t a, uint32_t b) { return (a & 0xffff0000u) | b >> 16; }

/* c + products of lanes. */
static inline int32_t mw_smlabb(uint32_t a, uint32_t b, int32_t c) {
  return mw_wrap_add(c, mw_low_lane(a) * mw_low_lane(b));
}
static inline int32_t mw_smlabt(uint32_t a, uint32_t b, int32_t c) {
  return mw_wrap_add(c, mw_low_lane(a) * mw_high_lane(b));
}
static inline int32_t mw_smlatb(uint32_t a, uint32_t b, int32_t c) {
  return mw_wrap_add(c, mw_high_lane(a) * mw_low_lane(b));
}
static inline int32_t mw_smlatt(uint32_t a, uint32_t b, int32_t c) {
  return mw_wrap_add(c, mw_high_lane(a) * mw_high_lane(b));
}
static inline int32_t mw_smlad(uint32_t a, uint32_t b, int32_t c) {
  return mw_smlatt(a, b, mw_smlabb(a, b, c));
}

/* c + (a * b >> 32); (a * b + 2^31) >> 32. */
static inline int32_t mw_smmla(int32_t a, int32_t b, int32_t c) {
  return mw_wrap_add(c, (int32_t)((int64_t)a * b >> 32));
}
static inline int32_t mw_smmulr(int32_t a, int32_t b) {
  return (int32_t)(((int64_t)a * b + 0x80000000ll) >> 32);
}
static inline int32_t mw_ssat8(int32_t x) { return mw_bound_s32(x, INT8_MIN, INT8_MAX); }
#endif

/* How an accumulator, bias included, becomes an int8 result (compiler/rows/onestep.py):
 * in one step, saturate8((acc * factor >> 32) + offset), or in two,
 * x = (2 * acc * multiplier + 2^31) >> 32, saturate8((x + (x >> 31) + half) >> right). */
static inline int32_t mw_one_step(int32_t acc, int32_t factor, int32_t offset) {
  return mw_ssat8(mw_smmla(acc, factor, offset));
}

static inline int32_t mw_two_step(int32_t acc, int32_t multiplier, int32_t half, int32_t right) {
  int32_t x = mw_smmulr(acc + acc, multiplier);
  return mw_ssat8((x + (x >> 31) + half) >> right);
}

/* Results of a layer whose bounds are narrower than int8, brought within them. */
static inline void mw_bound_bytes(int8_t *out, int32_t count, int32_t low, int32_t high) {
  if (low == INT8_MIN && high == INT8_MAX) return;
  MW_ROLLED
  for (; count > 0; count--, out++) *out = (int8_t)mw_bound_s32(*out, low, high);
}

#endif
