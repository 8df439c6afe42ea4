/* The inner loop of fully_connected_s8_dsp, see there: blocks of 4 pairs of channels. */
#ifndef MW_FC_DSP_H
#define MW_FC_DSP_H

#include "mw_fc_round_dsp.h"
#include "mw_words_dsp.h"

/* What the assembly is told; it counts `blocks` down and moves `out` on. */
typedef struct {
  const int8_t *in, *stop; /* a row and its end, whole fours */
  const void *start;       /* {raw, low} of the first block's 4 pairs */
  const void *weights;     /* of the first block; those of the next lie 32 bytes behind its end */
  int32_t skip;            /* bytes of the loop to leave out the first time, mw_fc_skip */
  int32_t squares;         /* sum of x0 * x1, taken from low */
  int32_t blocks;
  void *out; /* int8 results; with form 0 the 8 sums */
  int32_t form;          /* 0: store the sums of one block; 1, 2: round in so many steps by one
                            record; 3, 4: in one and two steps by a record of each channel;
                            5 to 8: the same after `left` products more, those behind `stop` */
  const int32_t *record; /* {factor, offset} or {right, multiplier, half} */
  int32_t factor, offset, right; /* the one record, of two steps {multiplier, half, right} */
  int32_t left;
} mw_fc_run;

/* A step of the loop, four k, is 112 bytes of code; the loop has five. */
static inline int32_t mw_fc_skip(int32_t fours) { return 112 * (fours ? 4 - (fours - 1) % 5 : 5); }

/* One product of each of a block's channels. */
static inline void mw_fc_product(int32_t sums[8], int32_t x, const uint8_t *weights) {
  for (int32_t i = 0; i < 8; i += 2, weights += 2) {
    sums[i] += x * (256 * (int8_t)weights[1] + weights[0]);
    sums[i + 1] += x * (int8_t)weights[0];
  }
}

#if MW_HAS_DSP
void mw_fc_blocks_dsp(mw_fc_run *run);
/* r0 x, r1 weights, r2 even, r3 odd, r4 to r11 {raw, low} of 4 pairs, r12 R, lr S. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".macro mw_fc_pair raw, low\n"
    "smlad \\raw, lr, r2, \\raw\n"
    "smlad \\raw, r12, r3, \\raw\n"
    "sxtab16 r12, r2, r12\n"
    "sxtab16 lr, r3, lr\n"
    "smlad \\low, r12, lr, \\low\n"
    ".endm\n"
    ".macro mw_fc_step\n"
    "ldr r3, [r0], #4\n"
    "ldr r12, [r1], #4\n"
    "ldr lr, [r1], #4\n"
    "sxtb16 r2, r3\n"
    "sxtb16 r3, r3, ror #8\n"
    "mw_fc_pair r4, r5\n"
    "ldrd r12, lr, [r1], #8\n"
    "mw_fc_pair r6, r7\n"
    "ldrd r12, lr, [r1], #8\n"
    "mw_fc_pair r8, r9\n"
    "ldrd r12, lr, [r1], #8\n"
    "mw_fc_pair r10, r11\n"
    ".endm\n"
    MW_FC_ROUNDING
    ".section .text.mw_fc_blocks_dsp,\"ax\",%progbits\n"
    ".balign 16\n"
    ".global mw_fc_blocks_dsp\n"
    ".type mw_fc_blocks_dsp, %function\n"
    ".thumb_func\n"
    "mw_fc_blocks_dsp:\n"
    "ldr r1, [r0, #4]\n" /* stop, to [sp, #4] */
    "push {r0, r1, r4-r11, lr}\n"
    "ldr r12, [r0, #8]\n"
    "ldr r1, [r0, #12]\n"
    "ldm r12, {r4-r11}\n"
    "b 9f\n"
    "1:\n" /* the next block */
    "ldm r1!, {r4-r11}\n"
    "9:\n"
    "ldr r2, [r0, #20]\n"
    "ldr r3, [r0, #16]\n"
    "ldr r0, [r0]\n"
    "sub r5, r5, r2\n"
    "sub r7, r7, r2\n"
    "sub r9, r9, r2\n"
    "sub r11, r11, r2\n"
    "add pc, r3\n" /* to 2, which pc, 4 bytes ahead, points to, plus skip */
    "nop\n"
    "2:\n"
    "mw_fc_step\n"
    "mw_fc_step\n"
    "mw_fc_step\n"
    "mw_fc_step\n"
    "mw_fc_step\n"
    "ldr r12, [sp, #4]\n"
    "cmp r0, r12\n"
    "bne 2b\n"
    "ldr r0, [sp]\n"
    "ldr lr, [r0, #32]\n"
    "ldr r2, [r0, #28]\n"
    "ldr r3, [r0, #40]\n"
    "ldr r12, [r0, #44]\n"
    "cmp lr, #1\n"
    "blt 8f\n"
    "bgt 4f\n"
    "10:\n"
    "mw_fc_one r4, r5\n"
    "mw_fc_one r6, r7\n"
    "mw_fc_one r8, r9\n"
    "mw_fc_one r10, r11\n"
    "3:\n"
    "strb r4, [r2]\n"
    "strb r5, [r2, #1]\n"
    "strb r6, [r2, #2]\n"
    "strb r7, [r2, #3]\n"
    "strb r8, [r2, #4]\n"
    "strb r9, [r2, #5]\n"
    "strb r10, [r2, #6]\n"
    "strb r11, [r2, #7]\n"
    "ldr r3, [r0, #24]\n"
    "add r2, r2, #8\n"
    "subs r3, r3, #1\n"
    "str r2, [r0, #28]\n"
    "str r3, [r0, #24]\n"
    "bne 1b\n"
    "pop {r0, r1, r4-r11, pc}\n"
    "4:\n"
    "cmp lr, #4\n"
    "bgt 11f\n"
    "12:\n"
    "cmp lr, #3\n"
    "ldr lr, [r0, #36]\n"
    "beq 5f\n"
    "bgt 6f\n"
    "ldr lr, [r0, #48]\n"
    "mw_fc_two r4, r5\n"
    "mw_fc_two r6, r7\n"
    "mw_fc_two r8, r9\n"
    "mw_fc_two r10, r11\n"
    "ldr r0, [sp]\n"
    "b 3b\n"
    "5:\n"
    "mw_fc_one_each r4, r5\n"
    "mw_fc_one_each r6, r7\n"
    "mw_fc_one_each r8, r9\n"
    "mw_fc_one_each r10, r11\n"
    "b 7f\n"
    "6:\n"
    "mw_fc_two_each r4, r5\n"
    "mw_fc_two_each r6, r7\n"
    "mw_fc_two_each r8, r9\n"
    "mw_fc_two_each r10, r11\n"
    "ldr r0, [sp]\n"
    "ldr r2, [r0, #28]\n"
    "7:\n"
    "str lr, [r0, #36]\n"
    "b 3b\n"
    "8:\n"
    "stm r2, {r4-r11}\n"
    "pop {r0, r1, r4-r11, pc}\n"
    "11:\n" /* r0 x, r2 x[k], lr what is left */
    "ldr lr, [r0, #52]\n"
    "ldr r0, [r0, #4]\n"
    "13:\n"
    "ldrsb r2, [r0], #1\n"
    "ldr r3, [r1], #4\n"
    "ldr r12, [r1], #4\n"
    "smlabb r4, r3, r2, r4\n"
    "smlatb r6, r3, r2, r6\n"
    "smlabb r8, r12, r2, r8\n"
    "smlatb r10, r12, r2, r10\n"
    "sxtb16 r3, r3\n"
    "sxtb16 r12, r12\n"
    "smlabb r5, r3, r2, r5\n"
    "smlatb r7, r3, r2, r7\n"
    "smlabb r9, r12, r2, r9\n"
    "smlatb r11, r12, r2, r11\n"
    "subs lr, lr, #1\n"
    "bne 13b\n"
    "ldr r0, [sp]\n"
    "ldr lr, [r0, #32]\n"
    "ldr r2, [r0, #28]\n"
    "ldr r3, [r0, #40]\n"
    "ldr r12, [r0, #44]\n"
    "sub lr, lr, #4\n"
    "cmp lr, #1\n"
    "beq 10b\n"
    "b 12b\n"
    ".size mw_fc_blocks_dsp, . - mw_fc_blocks_dsp\n"
    ".text\n");
#else
/* Four products of each of a block's channels. */
static inline void mw_fc_step(int32_t sums[8], const int8_t *in, const uint8_t *weights) {
  uint32_t x = mw_word(in), even = mw_sxtb16(x), odd = mw_sxtb16_ror8(x);
  for (int32_t i = 0; i < 8; i += 2, weights += 8) {
    uint32_t r = mw_word(weights), s = mw_word(weights + 4);
    sums[i] = mw_smlad(r, odd, mw_smlad(s, even, sums[i]));
    sums[i + 1] = mw_smlad(mw_sxtab16(even, r), mw_sxtab16(odd, s), sums[i + 1]);
  }
}

/* The same in C; `skip` needs no twin. */
static void mw_fc_blocks_dsp(mw_fc_run *run) {
  const uint8_t *start = run->start, *weights = run->weights;
  int32_t whole = (int32_t)(run->stop - run->in), left = run->form > 4 ? run->left : 0;
  int32_t form = left ? run->form - 4 : run->form;
  for (; run->blocks > 0; run->blocks--) {
    int32_t sums[8];
    for (int32_t i = 0; i < 8; i++) sums[i] = (int32_t)mw_word(start + 4 * i);
    for (int32_t i = 1; i < 8; i += 2) sums[i] = mw_wrap_add(sums[i], -run->squares);
    for (int32_t k = 0; k < whole; k += 4, weights += 32) mw_fc_step(sums, run->in + k, weights);
    for (int32_t k = 0; k < left; k++, weights += 8) mw_fc_product(sums, run->stop[k], weights);
    if (form == 0) {
      memcpy(run->out, sums, sizeof sums);
      return;
    }
    int8_t *out = run->out;
    for (int32_t i = 0; i < 8; i++) {
      int32_t acc = sums[i];
      if (i % 2 == 0) acc = (int32_t)((uint32_t)acc - (uint32_t)sums[i + 1]) >> 8;
      *out++ = mw_fc_round(acc, run->record, 2 - (form & 1));
      if (form > 2) run->record += form - 1;
    }
    run->out = out, start = weights, weights += 32;
  }
}
#endif

#endif
