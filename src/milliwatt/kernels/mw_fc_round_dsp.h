/* How fully_connected_s8_dsp turns sums into results, see there. */
#ifndef MW_FC_ROUND_DSP_H
#define MW_FC_ROUND_DSP_H

#include "mw_dsp.h"

/* The result of an accumulator by its record. */
static inline int8_t mw_fc_round(int32_t acc, const int32_t *record, int32_t steps) {
  int32_t value = steps == 1 ? mw_one_step(acc, record[0], record[1])
                             : mw_two_step(acc, record[1], record[2], record[0]);
  return (int8_t)value;
}

#if MW_HAS_DSP
/* Macros that round a pair in place, a = raw and b = low, by forms 1 to 4 of mw_fc_run: r3 and r12
 * are factor and offset or multiplier and half, lr is right or, of `each`, the next record; two
 * steps use r0, `two_each` r2 as well. Sums of two steps are doubled. Where x of mw_two_step is 0
 * its sign makes no difference, so that of the sum serves, and half joins the product. */
#define MW_FC_ROUNDING \
  ".macro mw_fc_one a, b\n" \
  "sub \\a, \\a, \\b\n" \
  "asr \\a, \\a, #8\n" \
  "smmla \\a, \\a, r3, r12\n" \
  "smmla \\b, \\b, r3, r12\n" \
  "ssat \\a, #8, \\a\n" \
  "ssat \\b, #8, \\b\n" \
  ".endm\n" \
  ".macro mw_fc_two a, b\n" \
  "sub \\a, \\a, \\b\n" \
  "asr \\a, \\a, #7\n" \
  "add \\b, \\b, \\b\n" \
  "smmlar r0, \\a, r3, r12\n" \
  "add \\a, r0, \\a, asr #31\n" \
  "smmlar r0, \\b, r3, r12\n" \
  "add \\b, r0, \\b, asr #31\n" \
  "asr \\a, \\a, lr\n" \
  "asr \\b, \\b, lr\n" \
  "ssat \\a, #8, \\a\n" \
  "ssat \\b, #8, \\b\n" \
  ".endm\n" \
  ".macro mw_fc_one_each a, b\n" \
  "sub \\a, \\a, \\b\n" \
  "ldrd r3, r12, [lr], #8\n" \
  "asr \\a, \\a, #8\n" \
  "smmla \\a, \\a, r3, r12\n" \
  "ldrd r3, r12, [lr], #8\n" \
  "ssat \\a, #8, \\a\n" \
  "smmla \\b, \\b, r3, r12\n" \
  "ssat \\b, #8, \\b\n" \
  ".endm\n" \
  ".macro mw_fc_two_each a, b\n" \
  "sub \\a, \\a, \\b\n" \
  "asr \\a, \\a, #7\n" \
  "add \\b, \\b, \\b\n" \
  "ldm lr!, {r2, r3, r12}\n" \
  "smmlar r0, \\a, r3, r12\n" \
  "add \\a, r0, \\a, asr #31\n" \
  "asr \\a, \\a, r2\n" \
  "ssat \\a, #8, \\a\n" \
  "ldm lr!, {r2, r3, r12}\n" \
  "smmlar r0, \\b, r3, r12\n" \
  "add \\b, r0, \\b, asr #31\n" \
  "asr \\b, \\b, r2\n" \
  "ssat \\b, #8, \\b\n" \
  ".endm\n"
#endif

#endif
