/* Windows of bytes widened to columns of int16, for the DSP extension:
 * out[lane(k)] = in[window(k)].
 *
 * Layouts: mw_gemm_dsp.h. Of every four bytes (b0, b1, b2, b3) of a run the column has (b0, b2) and
 * (b1, b3), lanes of a word each; what is left of the runs follows, lane by lane.
 * Ranges: runs and pixels at least 1. Workspace: none. The columns may not overlap the bytes.
 * Source: SXTB16, DDI 0403 A7.7.
 *
 * Inner loop: 4 loads (5 cycles), 8 SXTB16, 8 stores (9: neighbours pipeline) and 3 for the loop
 * widen 16 bytes: 25 cycles, 1.56 a byte. A pixel of one run costs 17 beside it, others 26 and 14 a
 * run, and 11 for each byte that is left. First layers have loops of their own: runs of four bytes
 * (one channel, four columns) take 11 cycles each, a pixel of three runs of nine 51.
 */
#include "mw_gemm_dsp.h"

#if MW_HAS_DSP
/* r0 column, r1 bytes, r12 quads. */
__asm__(
    ".section .text.mw_widen_s8_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 2\n"
    ".global mw_widen_s8_dsp\n.type mw_widen_s8_dsp,%function\n.thumb_func\n"
    ".macro mw_quads\n"
    "subs r12,#4\n blt 12f\n"
    "11: ldr r4,[r1],#16\n ldr r5,[r1,#-12]\n ldr r6,[r1,#-8]\n ldr r7,[r1,#-4]\n"
    "sxtb16 r8,r4\n sxtb16 r9,r4,ror #8\n sxtb16 r10,r5\n sxtb16 r11,r5,ror #8\n"
    "sxtb16 r4,r6\n sxtb16 r5,r6,ror #8\n sxtb16 r6,r7\n sxtb16 r7,r7,ror #8\n"
    "str r8,[r0],#64\n str r9,[r0,#-56]\n str r10,[r0,#-48]\n str r11,[r0,#-40]\n"
    "str r4,[r0,#-32]\n str r5,[r0,#-24]\n str r6,[r0,#-16]\n str r7,[r0,#-8]\n"
    "subs r12,#4\n bge 11b\n"
    "12: lsls r12,r12,#31\n bcc 13f\n" /* carry: two or three are left; negative: one or three */
    "ldr r4,[r1],#8\n ldr r5,[r1,#-4]\n"
    "sxtb16 r6,r4\n sxtb16 r7,r4,ror #8\n sxtb16 r8,r5\n sxtb16 r9,r5,ror #8\n"
    "str r6,[r0],#32\n str r7,[r0,#-24]\n str r8,[r0,#-16]\n str r9,[r0,#-8]\n"
    "13: bpl 14f\n"
    "ldr r4,[r1],#4\n sxtb16 r5,r4\n sxtb16 r6,r4,ror #8\n"
    "str r5,[r0],#16\n str r6,[r0,#-8]\n"
    "14:\n"
    ".endm\n"
    ".macro mw_nine at last\n"
    "ldr r4,[r1]\n ldr r5,[r1,#4]\n ldrsb r6,[r1,#8]\n add r1,r2\n"
    "sxtb16 r8,r4\n sxtb16 r9,r4,ror #8\n sxtb16 r10,r5\n sxtb16 r11,r5,ror #8\n"
    "str r8,[r0,#\\at]\n str r9,[r0,#\\at+8]\n str r10,[r0,#\\at+16]\n str r11,[r0,#\\at+24]\n"
    "strh r6,[r0,#\\last]\n"
    ".endm\n"
    "mw_widen_s8_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#12\n mov lr,r2\n"
    "ldr r12,[lr]\n ldr r4,[lr,#4]\n ldr r5,[lr,#8]\n ldr r6,[lr,#24]\n"
    "cmp r3,#0\n ite eq\n moveq r7,#4\n subne r7,r6,#4\n" /* to the next pixel's column */
    "sub r8,r5,#1\n orrs r8,r4\n beq 9f\n"
    "cmp r12,#1\n it eq\n cmpeq r4,#0\n beq 15f\n"
    /* A strip of a dilated window has three runs of nine too, but its tail elsewhere. */
    "ldr r8,[lr,#16]\n cmp r12,#2\n it eq\n cmpeq r4,#1\n it eq\n cmpeq r5,#3\n"
    "it eq\n cmpeq r8,#96\n beq 20f\n"
    /* Any window. r2 where the next byte that is left goes, r3 runs. On the stack: 0 the column, 4
     * bytes to the next one, 48 pixels. */
    "str r7,[sp,#4]\n"
    "1: str r0,[sp]\n ldr r4,[lr,#16]\n ldr r3,[lr,#8]\n ldr r12,[lr]\n add r2,r0,r4\n"
    "2: mw_quads\n"
    "ldr r4,[lr,#4]\n ldr r5,[lr,#12]\n ldr r12,[lr]\n cbz r4,4f\n"
    "3: ldrsb r6,[r1],#1\n strh r6,[r2],#2\n tst r2,#2\n it eq\n addeq r2,#4\n"
    "subs r4,#1\n bne 3b\n"
    "4: add r1,r5\n subs r3,#1\n bne 2b\n"
    "ldr r0,[sp]\n ldr r4,[sp,#4]\n ldr r5,[lr,#20]\n ldr r6,[lr,#24]\n ldr r7,[sp,#48]\n"
    "add r0,r4\n sub r6,r4\n add r1,r5\n subs r7,#1\n str r6,[sp,#4]\n str r7,[sp,#48]\n bne 1b\n"
    "add sp,#12\n pop {r4-r11,pc}\n"
    /* One run of fours. r2 bytes to the next column, r3 the sum of two such, lr to the next bytes;
     * 4 pixels. */
    "9: lsl r4,r12,#4\n sub r2,r7,r4\n sub r3,r6,r4,lsl #1\n str r12,[sp]\n"
    "ldr r5,[lr,#12]\n ldr r6,[lr,#20]\n ldr r7,[sp,#48]\n add lr,r5,r6\n str r7,[sp,#4]\n"
    "10: ldr r12,[sp]\n mw_quads\n"
    "ldr r4,[sp,#4]\n add r0,r2\n sub r2,r3,r2\n add r1,lr\n subs r4,#1\n str r4,[sp,#4]\n"
    "bne 10b\n"
    "add sp,#12\n pop {r4-r11,pc}\n"
    /* Runs of four. r3 bytes of a pair, r7 to the next column, r8 to the next run, r9 to the next
     * pixel, r10 runs, r11 pixels. */
    "15: mov r3,r6\n ldr r8,[lr,#12]\n ldr r9,[lr,#20]\n ldr r10,[lr,#8]\n ldr r11,[sp,#48]\n"
    "add r8,#4\n"
    "16: mov r12,r10\n mov r4,r0\n"
    "17: ldr r5,[r1]\n add r1,r8\n sxtb16 r6,r5\n sxtb16 r5,r5,ror #8\n"
    "str r6,[r4],#16\n str r5,[r4,#-8]\n subs r12,#1\n bne 17b\n"
    "add r0,r7\n sub r7,r3,r7\n add r1,r9\n subs r11,#1\n bne 16b\n"
    "add sp,#12\n pop {r4-r11,pc}\n"
    /* Three runs of nine, three by three pixels of three channels. r2 bytes to the next run. */
    "20: mov r3,r6\n ldr r2,[lr,#12]\n ldr lr,[lr,#20]\n ldr r12,[sp,#48]\n add r2,#9\n"
    "21: mw_nine 0 96\n mw_nine 32 98\n mw_nine 64 104\n"
    "add r0,r7\n sub r7,r3,r7\n add r1,lr\n subs r12,#1\n bne 21b\n"
    "add sp,#12\n pop {r4-r11,pc}\n"
    ".purgem mw_quads\n.purgem mw_nine\n"
    ".size mw_widen_s8_dsp,.-mw_widen_s8_dsp\n.text\n");
#else
void mw_widen_s8_dsp(uint32_t *column, const int8_t *in, const mw_window_dsp *window, int32_t odd,
                     int32_t pixels) {
  for (; pixels > 0; pixels--, in += window->step, odd ^= 1) {
    uint32_t *to = column;
    int32_t lane = window->tail >> 1 & 1; /* a strip's may begin in the middle of a word */
    for (int32_t run = 0; run < window->runs; run++, in += window->skip) {
      for (int32_t q = 0; q < window->quads; q++, in += 4, to += 4) {
        uint32_t four = mw_word(in);
        to[0] = mw_sxtb16(four), to[2] = mw_sxtb16_ror8(four);
      }
      for (int32_t i = 0; i < window->left; i++, lane++) {
        uint32_t *word = column + window->tail / 4 + (lane & ~1);
        int32_t other = lane & 1 ? mw_low_lane(*word) : 0, value = *in++;
        *word = lane & 1 ? mw_lanes(other, value) : mw_lanes(value, other);
      }
    }
    column += odd ? window->pair / 4 - 1 : 1;
  }
}
#endif
