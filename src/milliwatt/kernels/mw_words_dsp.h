/* Words at any address without a call, and the DSP instructions that mw_dsp.h lacks; on the host,
 * C of the same results. */
#ifndef MW_WORDS_DSP_H
#define MW_WORDS_DSP_H

#include "mw_dsp.h"

#if MW_HAS_DSP
/* In a freestanding program memcpy is a call; the builtin is one LDR or STR. */
static inline uint32_t mw_word(const void *from) {
  uint32_t word;
  __builtin_memcpy(&word, from, 4);
  return word;
}
static inline void mw_put_word(void *to, uint32_t word) { __builtin_memcpy(to, &word, 4); }
MW_DSP_2(mw_sxtab16, "sxtab16 %0, %1, %2")
#else
static inline uint32_t mw_word(const void *from) { return mw_load_word(from); }
static inline void mw_put_word(void *to, uint32_t word) { mw_store_word(to, word); }

/* Lanes of a plus the sign-extended bytes 0 and 2 of b. */
static inline uint32_t mw_sxtab16(uint32_t a, uint32_t b) {
  return mw_lanes(mw_low_lane(a) + (int8_t)(b & 0xffu),
                  mw_high_lane(a) + (int8_t)(b >> 16 & 0xffu));
}
#endif

#endif
