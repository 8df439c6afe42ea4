/* A' m A of a tile for Winograd's F(4 x 4, 3 x 3) on the DSP extension, requantized and stored:
 * out[i,j] = saturate8(requantized(bias + (24 A' m 24 A)[i,j] / 576)) for two channels.
 *
 * Layouts: m [36 positions, 2 channels, 4 tiles] with sums of position pairs (winograd_gemm_dsp.c,
 * order in mw_winograd_dsp.h); places say where a tile's results go; channels [2][4].
 * Ranges: |24 A' m 24 A| / 9 < 2^31, all before it wraps (checked when packing). Workspace: none.
 * Rounding: TFLM's two, in one or two steps, proven equal when packing (compiler/rows/onestep.py).
 *
 * A tile of a channel is 6 columns (6 loads, 9 additions, 4 stores to the stack) and 4 rows (6
 * loads, 10 additions, and 4 instructions (one step) or 6 and a store for each of 4 results): 335
 * or 365 cycles. Rows and columns 1, 2 and 3 are kept divided by 2, 4 and 4. The loop over
 * tiles stays below 1 KiB, the flash's instruction cache.
 */
#include "mw_winograd_dsp.h"

#if MW_HAS_DSP
/* r0 sums, r1 places, r4-r6 the channel's constants. On the stack: 0 to 95 results of the columns,
 * 96 channel 0 or 1, 100 end of the places, 104 places, 108 channels, 112 sums of the channel,
 * 116 right, 120 the first place. */
__asm__(
    ".section .text.mw_winograd4_output_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 5\n"
    ".global mw_winograd4_output_dsp\n.type mw_winograd4_output_dsp,%function\n.thumb_func\n"
    /* Column at r0 + at to r1 + at / 48: m1, m1 + m2, m3, m3 + m4, m0, m0 + m5. */
    ".macro mw_column at to\n"
    "ldr r2,[r0,#\\at]\n ldr r3,[r0,#32+\\at]\n ldr r7,[r0,#64+\\at]\n ldr r8,[r0,#96+\\at]\n"
    "ldr r9,[r0,#128+\\at]\n ldr r10,[r0,#160+\\at]\n"
    "rsb r2,r3,r2,lsl #1\n rsb r7,r8,r7,lsl #1\n" /* m1 - m2, m3 - m4 */
    "sub r11,r7,r2,lsl #1\n sub r12,r8,r3\n"
    "add lr,r8,r9,lsl #1\n sub lr,lr,r3,lsl #2\n"
    "sub r10,r9\n add r10,r7\n rsb r10,r2,r10,lsl #1\n"
    "str lr,[r1,#\\to]\n str r11,[r1,#24+\\to]\n str r12,[r1,#48+\\to]\n str r10,[r1,#72+\\to]\n"
    ".endm\n"
    ".macro mw_one y shift\n"
    "mul \\y,\\y,r11\n add \\y,r4,\\y,asr #\\shift\n smmla \\y,\\y,r5,r6\n ssat \\y,#8,\\y\n"
    ".endm\n"
    /* A sum's sign is that of its scaled value wherever it matters. */
    ".macro mw_two y shift\n"
    "mul \\y,\\y,r11\n add \\y,r4,\\y,asr #\\shift-1\n add r3,r6,\\y,asr #31\n"
    "smmlar \\y,\\y,r5,r3\n asr \\y,\\y,r7\n ssat \\y,#8,\\y\n"
    ".endm\n"
    ".macro mw_row steps at shift\n"
    "ldr r2,[sp,#\\at]\n ldr r3,[sp,#4+\\at]\n ldr r7,[sp,#8+\\at]\n ldr r8,[sp,#12+\\at]\n"
    "ldr r9,[sp,#16+\\at]\n ldr r10,[sp,#20+\\at]\n"
    "add r3,r7\n sub r7,r3,r7,lsl #1\n add r8,r9\n sub r9,r8,r9,lsl #1\n"
    "add r2,r8,r2,lsl #1\n sub r2,r2,r3,lsl #2\n add r10,r9\n rsb r10,r7,r10,lsl #1\n"
    "sub r9,r9,r7,lsl #1\n sub r8,r3\n"
    ".ifc \\steps,two\n ldr r7,[sp,#116]\n .endif\n"
    "mw_\\steps r2 3+\\shift\n mw_\\steps r9 2+\\shift\n"
    "mw_\\steps r8 1+\\shift\n mw_\\steps r10 1+\\shift\n"
    "add r3,r12,lr\n"
    "strb r2,[r12]\n strb r9,[r3]\n strb r8,[r12,lr,lsl #1]\n strb r10,[r3,lr,lsl #1]\n"
    ".if \\at < 72\n ldr r3,[r1,#-4]\n add r12,r3\n .endif\n"
    ".endm\n"
    ".macro mw_tiles steps\n"
    "1: mov r1,sp\n"
    "2: mw_column 0 0\n mw_column 192 4\n"
    "add r1,#8\n add r0,#384\n add r2,sp,#24\n cmp r1,r2\n bne 2b\n"
    "ldr r1,[sp,#104]\n ldr r3,[sp,#96]\n ldr r12,[r1],#12\n ldr lr,[r1,#-8]\n"
    "str r1,[sp,#104]\n sub r0,#1152-4\n add r12,r3\n"
    "movw r11,#0x8e39\n movt r11,#0x38e3\n" /* the inverse of 9 modulo 2^32 */
    "mw_row \\steps 0 3\n mw_row \\steps 24 2\n mw_row \\steps 48 1\n mw_row \\steps 72 1\n"
    "ldr r2,[sp,#100]\n cmp r1,r2\n bne 1b\n"
    ".endm\n"
    "mw_winograd4_output_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#124\n"
    "movs r8,#0\n mov r4,#12\n mla r3,r3,r4,r1\n strd r8,r3,[sp,#96]\n str r1,[sp,#120]\n"
    "0: ldm r2!,{r4-r7}\n strd r1,r2,[sp,#104]\n str r0,[sp,#112]\n str r7,[sp,#116]\n"
    "cmp r7,#0\n bne.w 4f\n"
    "mw_tiles one\n b.w 3f\n"
    "4: mw_tiles two\n"
    "3: ldr r3,[sp,#96]\n eors r3,#1\n beq 5f\n"
    "str r3,[sp,#96]\n ldr r0,[sp,#112]\n ldr r2,[sp,#108]\n ldr r1,[sp,#120]\n"
    "add r0,#16\n b.w 0b\n"
    "5: add sp,#124\n pop {r4-r11,pc}\n"
    ".purgem mw_column\n.purgem mw_row\n.purgem mw_one\n.purgem mw_two\n.purgem mw_tiles\n"
    ".size mw_winograd4_output_dsp,.-mw_winograd4_output_dsp\n.text\n");
#else
static void winograd4_sums(uint32_t *to, const uint32_t z[6]) {
  uint32_t p = z[1] + z[2], q = z[1] - z[2], r = z[3] + z[4], s = z[3] - z[4];
  to[0] = r - 4 * p + 2 * z[0], to[1] = s - 2 * q, to[2] = r - p, to[3] = 2 * (s + z[5]) - q;
}

void mw_winograd4_output_dsp(const int32_t *m, const mw_winograd_place *places,
                             const int32_t *channels, int32_t count) {
  static const int8_t shifts[4] = {3, 2, 1, 1};
  for (int32_t n = 0; n < 2 * count; n++) {
    int32_t t = n % count, c = n / count;
    const int32_t *sums = m + 4 * c + t;
    uint32_t z[6][4], row[6], y[4];
    for (int32_t j = 0; j < 6; j++, sums += 48) {
      uint32_t a[6];
      for (int32_t i = 0; i < 6; i++) a[i] = (uint32_t)sums[8 * i];
      uint32_t column[6] = {a[4], a[0], a[1] - a[0], a[2], a[3] - a[2], a[5] - a[4]};
      winograd4_sums(z[j], column);
    }
    for (int32_t i = 0; i < 4; i++) {
      int8_t *out = places[t].out + i * places[t].row + c;
      for (int32_t j = 0; j < 6; j++) row[j] = z[j][i];
      winograd4_sums(y, row);
      for (int32_t j = 0; j < 4; j++, out += places[t].column) {
        int32_t sum = (int32_t)(y[j] * 0x38e38e39u);
        *out = mw_winograd_result(sum, shifts[i] + shifts[j], channels + 4 * c);
      }
    }
  }
}
#endif
