/* The DSP instructions that mw_dsp.h lacks; on the host, C of the same results. */
#ifndef MW_WORDS_DSP_H
#define MW_WORDS_DSP_H

#include "mw_dsp.h"
#include "mw_word.h"

#if MW_HAS_DSP
MW_DSP_2(mw_sxtab16, "sxtab16 %0, %1, %2")
MW_DSP_2(mw_sxtab16_ror8, "sxtab16 %0, %1, %2, ror #8")

/* The larger of each pair of signed bytes. */
static inline uint32_t mw_max4(uint32_t a, uint32_t b) {
  uint32_t d;
  __asm__("ssub8 %0, %1, %2\n\tsel %0, %1, %2" : "=&r"(d) : "r"(a), "r"(b) : "cc");
  return d;
}

/* 2 a + (a >= 0 ? above : below) in each lane: SADD16 leaves the signs for SEL. */
static inline uint32_t mw_double_add_by_sign(uint32_t a, uint32_t above, uint32_t below) {
  uint32_t d, e;
  __asm__("sadd16 %0, %2, %2\n\tsel %1, %3, %4\n\tsadd16 %0, %0, %1"
          : "=&r"(d), "=&r"(e)
          : "r"(a), "r"(above), "r"(below)
          : "cc");
  return d;
}
MW_DSP_2(mw_smulwb, "smulwb %0, %1, %2")
MW_DSP_2(mw_smulwt, "smulwt %0, %1, %2")
#else
/* Lanes of a plus the sign-extended bytes 0 and 2 of b. */
static inline uint32_t mw_sxtab16(uint32_t a, uint32_t b) {
  return mw_lanes(mw_low_lane(a) + (int8_t)(b & 0xffu),
                  mw_high_lane(a) + (int8_t)(b >> 16 & 0xffu));
}
static inline uint32_t mw_sxtab16_ror8(uint32_t a, uint32_t b) {
  return mw_sxtab16(a, b >> 8 | b << 24);
}
static inline uint32_t mw_double_add_by_sign(uint32_t a, uint32_t above, uint32_t below) {
  int32_t low = mw_low_lane(a), high = mw_high_lane(a);
  return mw_lanes(2 * low + mw_low_lane(low < 0 ? below : above),
                  2 * high + mw_high_lane(high < 0 ? below : above));
}

/* The upper 32 of the 48 bits of a times a lane of b. */
static inline uint32_t mw_smulwb(uint32_t a, uint32_t b) {
  return (uint32_t)((int64_t)(int32_t)a * mw_low_lane(b) >> 16);
}
static inline uint32_t mw_smulwt(uint32_t a, uint32_t b) { return mw_smulwb(a, b >> 16); }
static inline uint32_t mw_max4(uint32_t a, uint32_t b) {
  uint32_t most = 0;
  for (int32_t at = 0; at < 32; at += 8) {
    uint32_t x = a >> at & 0xffu, y = b >> at & 0xffu;
    most |= ((int8_t)x > (int8_t)y ? x : y) << at;
  }
  return most;
}
#endif

#endif
