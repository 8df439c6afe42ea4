/* softmax of one s8 row, with a result of 8 or 16 bits; softmax_s8 and softmax_s8_s16 share it. */
#ifndef MW_SOFTMAX_S8_H
#define MW_SOFTMAX_S8_H

#include "mw.h"
#include "mw_reciprocal.h"

/* 1 / (1 + x) and bits of a row's sum of exponentials, which is 2^(31 - bits) * (1 + x). */
typedef struct {
  int32_t scale, bits;
} mw_reciprocal;

static inline mw_reciprocal mw_softmax_sum_s8(const int8_t *in, int32_t most,
                                              const mw_softmax_s8_params *p) {
  uint32_t sum = 0;
  mw_reciprocal made = {0, 0};
  for (int32_t i = 0; i < p->row; i++) {
    int32_t diff = most - in[i];
    if (diff < p->entries) {
      sum += ((uint32_t)p->exp[diff] + (1u << 11)) >> 12;
    }
  }
  sum += !sum; /* of too long a row it may wrap to 0, and the loop below ends nevertheless */
  while (!(sum >> 31)) sum <<= 1, made.bits++;
  made.scale = mw_one_over_one_plus_x((int32_t)(sum - 0x80000000u));
  return made;
}

/* The share of an element `diff` below the largest, 2^width for all of it; a shift above 31 can
 * only give 0. */
static inline int32_t mw_softmax_share_s8(int32_t diff, mw_reciprocal sum, int32_t width,
                                          const mw_softmax_s8_params *p) {
  int32_t shift = 12 - sum.bits + 31 - width;
  if (diff >= p->entries || shift >= 32) return 0;
  uint32_t share = (uint32_t)mw_doubling_high_mul(p->exp[diff], sum.scale);
  return (int32_t)((share + (1u << (shift - 1))) >> shift);
}

#endif
