/* Bytes widened to int16, for the DSP extension: of every four bytes (b0, b1, b2, b3) of in,
 * out[0] = (b0, b2) and out[2] = (b1, b3), lanes of a word; the next four go to out[4], out[6].
 *
 * Layouts: `runs` runs of 4 * quads bytes, `step` bytes from one to the next, to one of the two
 * interleaved columns of mw_gemm_dsp.h. Ranges: quads and runs at least 1.
 * Workspace: none. The column may not overlap the bytes. Source: SXTB16, DDI 0403 A7.7.
 *
 * Inner loop: 4 loads (5 cycles), 8 SXTB16, 8 stores (8, directly after each other) and 3 for the
 * loop widen 16 bytes: 25 cycles, 1.56 a byte.
 */
#include "mw_gemm_dsp.h"

#if MW_HAS_DSP
__asm__(
    ".section .text.mw_widen_s8_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 2\n"
    ".global mw_widen_s8_dsp\n.type mw_widen_s8_dsp,%function\n.thumb_func\n"
    "mw_widen_s8_dsp:\n"
    "push {r4-r11,lr}\n ldr lr,[sp,#36]\n sub lr,lr,r2,lsl #2\n" /* from a run's end to the next */
    "0: subs r12,r2,#4\n blt 2f\n"
    "1: ldr r4,[r1],#16\n ldr r5,[r1,#-12]\n ldr r6,[r1,#-8]\n ldr r7,[r1,#-4]\n"
    "sxtb16 r8,r4\n sxtb16 r9,r4,ror #8\n sxtb16 r10,r5\n sxtb16 r11,r5,ror #8\n"
    "sxtb16 r4,r6\n sxtb16 r5,r6,ror #8\n sxtb16 r6,r7\n sxtb16 r7,r7,ror #8\n"
    "str r8,[r0],#64\n str r9,[r0,#-56]\n str r10,[r0,#-48]\n str r11,[r0,#-40]\n"
    "str r4,[r0,#-32]\n str r5,[r0,#-24]\n str r6,[r0,#-16]\n str r7,[r0,#-8]\n"
    "subs r12,#4\n bge 1b\n"
    "2: lsls r12,r12,#31\n bcc 3f\n" /* carry: two quads or three are left; negative: one or three */
    "ldr r4,[r1],#8\n ldr r5,[r1,#-4]\n"
    "sxtb16 r6,r4\n sxtb16 r7,r4,ror #8\n sxtb16 r8,r5\n sxtb16 r9,r5,ror #8\n"
    "str r6,[r0],#32\n str r7,[r0,#-24]\n str r8,[r0,#-16]\n str r9,[r0,#-8]\n"
    "3: bpl 4f\n"
    "ldr r4,[r1],#4\n sxtb16 r5,r4\n sxtb16 r6,r4,ror #8\n"
    "str r5,[r0],#16\n str r6,[r0,#-8]\n"
    "4: add r1,lr\n subs r3,#1\n bne 0b\n"
    "pop {r4-r11,pc}\n"
    ".size mw_widen_s8_dsp,.-mw_widen_s8_dsp\n.text\n");
#else
void mw_widen_s8_dsp(uint32_t *column, const int8_t *in, int32_t quads, int32_t runs,
                     int32_t step) {
  for (; runs > 0; runs--, in += step) {
    for (int32_t q = 0; q < quads; q++, column += 4) {
      uint32_t four = mw_load_word(in + 4 * q);
      column[0] = mw_sxtb16(four), column[2] = mw_sxtb16_ror8(four);
    }
  }
}
#endif
