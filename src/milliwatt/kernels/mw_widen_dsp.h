/* Pixels of four channels become int16, each channel's in a buffer of its own. */
#ifndef MW_WIDEN_DSP_H
#define MW_WIDEN_DSP_H

#include "mw.h"
#include "mw_dsp.h"

/* How lines of pixels become int16: offsets are known to the assembly. */
typedef struct {
  int32_t step, line; /* bytes from pixel to pixel, from line to line, of the input */
  int32_t line_bytes; /* from channel to channel of the buffer, a fourth of line to line */
  int32_t lead;       /* 1: a single pixel up to the first whole word */
  int32_t pair_bytes; /* of the input that becomes whole words */
  int32_t tail;       /* 1: a last single pixel */
} mw_widening;

/* Lines of pixels of four channels, to four buffers. A pair of pixels is 2 LDR, 2 PKH that sort the
 * bytes of two channels each, 4 SXTB16, 4 STR and 3 of the loop: 17 cycles for 8 elements. */
#if MW_HAS_DSP
void mw_widen_lines_dsp(int16_t *to, const int8_t *in, const mw_widening *shape, int32_t lines);
/* A single pixel; r4 to r7 are the buffers. */
#define MW_WIDEN_ONE           \
  "  ldr r8, [r1]\n"           \
  "  sxtb16 r10, r8\n"         \
  "  sxtb16 r11, r8, ror #8\n" \
  "  lsr r12, r10, #16\n"      \
  "  lsr lr, r11, #16\n"       \
  "  strh r10, [r4], #2\n"     \
  "  strh r11, [r5], #2\n"     \
  "  strh r12, [r6], #2\n"     \
  "  strh lr, [r7], #2\n"
__asm__(
    "  .syntax unified\n"
    "  .thumb\n"
    "  .pushsection .text.mw_widen_lines_dsp,\"axG\",%progbits,mw_widen_lines_dsp,comdat\n"
    "  .balign 32\n"
    "  .weak mw_widen_lines_dsp\n"
    "  .type mw_widen_lines_dsp, %function\n"
    "  .thumb_func\n"
    "mw_widen_lines_dsp:\n"
    "  push {r4-r11, lr}\n"
    "  sub sp, sp, #12\n"
    "  strd r0, r1, [sp]\n"
    "  str r3, [sp, #8]\n"
    "  mov r0, r2\n"
    "1:\n"
    "  ldrd r4, r1, [sp]\n"
    "  ldm r0, {r2, r3, r8, r9}\n"
    "  add r5, r4, r8\n"
    "  add r6, r5, r8\n"
    "  add r7, r6, r8\n"
    "  add r8, r8, r7\n"
    "  add r3, r3, r1\n"
    "  strd r8, r3, [sp]\n"
    "  cmp r9, #0\n"
    "  beq 2f\n"
    MW_WIDEN_ONE
    "  add r1, r1, r2\n"
    "2:\n"
    "  ldr r3, [r0, #16]\n"
    "  add r1, r1, r3\n"
    "  negs r3, r3\n"
    "  beq 4f\n"
    "  add lr, r1, r2\n"
    "  lsls r2, r2, #1\n"
    "3:\n"
    "  ldr r8, [r1, r3]\n"
    "  ldr r9, [lr, r3]\n"
    "  adds r3, r3, r2\n"
    "  pkhbt r10, r8, r9, lsl #16\n"
    "  pkhtb r12, r9, r8, asr #16\n"
    "  sxtb16 r8, r10\n"
    "  sxtb16 r9, r10, ror #8\n"
    "  sxtb16 r10, r12\n"
    "  sxtb16 r11, r12, ror #8\n"
    "  str r8, [r4], #4\n"
    "  str r9, [r5], #4\n"
    "  str r10, [r6], #4\n"
    "  str r11, [r7], #4\n"
    "  bne 3b\n"
    "4:\n"
    "  ldr r3, [r0, #20]\n"
    "  cbz r3, 5f\n"
    MW_WIDEN_ONE
    "5:\n"
    "  ldr r3, [sp, #8]\n"
    "  subs r3, r3, #1\n"
    "  str r3, [sp, #8]\n"
    "  bne 1b\n"
    "  add sp, sp, #12\n"
    "  pop {r4-r11, pc}\n"
    "  .size mw_widen_lines_dsp, . - mw_widen_lines_dsp\n"
    "  .popsection\n");
#undef MW_WIDEN_ONE
#endif

/* Lines of the first `channels` channels, byte by byte. */
MW_NOINLINE void mw_widen_bytes(int16_t *to, const int8_t *in, const mw_widening *shape,
                                int32_t lines, int32_t channels) {
  int32_t pixels = shape->lead + shape->pair_bytes / shape->step + shape->tail;
  int32_t pitch = shape->line_bytes / 2;
  MW_ROLLED
  for (; lines > 0; lines--, to += 4 * pitch, in += shape->line) {
    MW_ROLLED
    for (int32_t c = 0; c < channels; c++) {
      int16_t *cell = to + c * pitch;
      const int8_t *pixel = in + c;
      MW_ROLLED
      for (int32_t left = pixels; left > 0; left--, pixel += shape->step) *cell++ = *pixel;
    }
  }
}

/* Lines of four of `channels` channels, or of all where there are fewer. */
static inline void mw_widen_lines(int16_t *to, const int8_t *in, const mw_widening *shape,
                                  int32_t lines, int32_t channels) {
#if MW_HAS_DSP
  if (channels >= 4) {
    mw_widen_lines_dsp(to, in, shape, lines);
    return;
  }
#endif
  mw_widen_bytes(to, in, shape, lines, mw_min_s32(channels, 4));
}

#endif
