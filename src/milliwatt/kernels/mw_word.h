/* Words at any address. */
#ifndef MW_WORD_H
#define MW_WORD_H

#include "mw_common.h"

/* Whether they cost no more than aligned ones, or little more; elsewhere they go byte by byte. */
#if defined(__ARM_FEATURE_UNALIGNED) || defined(__x86_64__) || defined(__aarch64__)
#define MW_WORDS_ANYWHERE 1
#else
#define MW_WORDS_ANYWHERE 0
#endif

/* In a freestanding program memcpy is a call; the builtin is one load or store. */
#if defined(__GNUC__)
#define MW_COPY_WORD __builtin_memcpy
#else
#define MW_COPY_WORD memcpy
#endif

static inline uint32_t mw_word(const void *from) {
  uint32_t word;
  MW_COPY_WORD(&word, from, 4);
  return word;
}
static inline void mw_put_word(void *to, uint32_t word) { MW_COPY_WORD(to, &word, 4); }

/* Copy `count` bytes that do not overlap, by words where they may lie at any address. */
static inline void mw_copy_words(void *to, const void *from, int32_t count) {
#if MW_WORDS_ANYWHERE
  uint8_t *out = to;
  const uint8_t *in = from;
  MW_ROLLED
  for (; count >= 16; count -= 16, in += 16, out += 16) {
    uint32_t a = mw_word(in), b = mw_word(in + 4), c = mw_word(in + 8), d = mw_word(in + 12);
    mw_put_word(out, a), mw_put_word(out + 4, b);
    mw_put_word(out + 8, c), mw_put_word(out + 12, d);
  }
  MW_ROLLED
  for (; count >= 4; count -= 4, in += 4, out += 4) mw_put_word(out, mw_word(in));
  MW_ROLLED
  for (; count > 0; count--) *out++ = *in++;
#else
  mw_copy_bytes(to, from, count);
#endif
}

#endif
