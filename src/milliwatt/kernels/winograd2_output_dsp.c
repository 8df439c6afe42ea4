/* A' m A of a tile for Winograd's F(2 x 2, 3 x 3) on the DSP extension, requantized and stored:
 * out[i,j] = saturate8(requantized(bias + (A' m A)[i,j] / 4)) for two channels.
 *
 * Layouts: m [16 positions, 2 channels, 4 tiles] with sums of position pairs (winograd_gemm_dsp.c,
 * order in mw_winograd_dsp.h); places say where a tile's results go; channels [2][4].
 * Ranges: |A' m A| < 2^31, all before it wraps (checked when packing). Workspace: none.
 * Rounding: TFLM's two, in one or two steps, proven equal when packing (compiler/rows/onestep.py).
 *
 * A tile of a channel takes 16 loads, 16 additions, and 3 instructions (one step) or 5 and a store
 * for each of its 4 results: 75 or 83 cycles. Of four sums of a column the chain of products has
 * made m1, m1 + m0, m2, m2 + m3, so that its two results take one addition each.
 */
#include "mw_winograd_dsp.h"

#if MW_HAS_DSP
/* r0 sums, r1 places, r4-r7 the channel's constants, r8-r11 results. On the stack: 0 channel 0 or
 * 1, 4 end of the places, 8 places, 12 channels, 16 sums of the channel. */
__asm__(
    ".section .text.mw_winograd2_output_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 5\n"
    ".global mw_winograd2_output_dsp\n.type mw_winograd2_output_dsp,%function\n.thumb_func\n"
    /* One result of every column, that is op of its words at a and b; two results of the row. */
    ".macro mw_row y z op po a b\n"
    "ldr r2,[r0,#128+\\a]\n ldr r3,[r0,#128+\\b]\n"
    "ldr r12,[r0,#256+\\a]\n ldr lr,[r0,#256+\\b]\n"
    "\\op r2,r3\n \\op r12,lr\n add \\y,r2,r12\n sub \\z,r2,r12\n"
    "ldr r2,[r0,#\\a]\n ldr r3,[r0,#\\b]\n ldr r12,[r0,#384+\\a]\n ldr lr,[r0,#384+\\b]\n"
    "add \\y,r2\n \\op \\y,r3\n sub \\z,r12\n \\po \\z,lr\n"
    ".endm\n"
    ".macro mw_one y t\n"
    "add \\y,r4,\\y,asr #2\n smmla \\y,\\y,r5,r6\n ssat \\y,#8,\\y\n"
    ".endm\n"
    /* A sum's sign is that of its scaled value wherever it matters. */
    ".macro mw_two y t\n"
    "add \\y,r4,\\y,asr #1\n add \\t,r6,\\y,asr #31\n smmlar \\y,\\y,r5,\\t\n"
    "asr \\y,\\y,r7\n ssat \\y,#8,\\y\n"
    ".endm\n"
    ".macro mw_tiles steps\n"
    "1: mw_row r8 r9 add sub 32 64\n mw_row r10 r11 sub add 0 96\n"
    "mw_\\steps r8 r2\n mw_\\steps r9 r3\n mw_\\steps r10 r12\n mw_\\steps r11 lr\n"
    "ldr lr,[sp]\n ldr r2,[r1],#12\n ldr r3,[r1,#-8]\n ldr r12,[r1,#-4]\n"
    "add r2,lr\n add r12,r2\n add r0,#4\n"
    "strb r8,[r2]\n strb r9,[r2,r3]\n strb r10,[r12]\n strb r11,[r12,r3]\n ldr lr,[sp,#4]\n"
    "cmp r1,lr\n bne 1b\n"
    ".endm\n"
    "mw_winograd2_output_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#20\n"
    "movs r8,#0\n mov r4,#12\n mla r3,r3,r4,r1\n strd r8,r3,[sp]\n str r1,[sp,#8]\n"
    "0: ldm r2!,{r4-r7}\n str r2,[sp,#12]\n str r0,[sp,#16]\n"
    "cmp r7,#0\n bne 2f\n"
    "mw_tiles one\n b 3f\n"
    "2: mw_tiles two\n"
    "3: ldrd r1,r2,[sp,#8]\n ldr r0,[sp,#16]\n ldr r3,[sp]\n add r0,#16\n"
    "eors r3,#1\n str r3,[sp]\n bne 0b\n"
    "add sp,#20\n pop {r4-r11,pc}\n"
    ".purgem mw_row\n.purgem mw_one\n.purgem mw_two\n.purgem mw_tiles\n"
    ".size mw_winograd2_output_dsp,.-mw_winograd2_output_dsp\n.text\n");
#else
void mw_winograd2_output_dsp(const int32_t *m, const mw_winograd_place *places,
                             const int32_t *channels, int32_t count) {
  for (int32_t n = 0; n < 2 * count; n++) {
    int32_t t = n % count, c = n / count;
    const int32_t *sums = m + 4 * c + t, *record = channels + 4 * c;
    uint32_t z[2][4];
    for (int32_t j = 0; j < 4; j++, sums += 32) {
      z[0][j] = (uint32_t)sums[8] + (uint32_t)sums[16];
      z[1][j] = (uint32_t)sums[0] - (uint32_t)sums[24];
    }
    for (int32_t i = 0; i < 2; i++) {
      int8_t *out = places[t].out + i * places[t].row + c;
      out[0] = mw_winograd_result((int32_t)(z[i][0] + z[i][1] + z[i][2]), 2, record);
      out[places[t].column] =
          mw_winograd_result((int32_t)(z[i][1] - z[i][2] - z[i][3]), 2, record);
    }
  }
}
#endif
