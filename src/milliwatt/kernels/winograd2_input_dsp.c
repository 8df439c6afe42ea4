/* B' d B of a tile of 4 x 4 cells, for Winograd's F(2 x 2, 3 x 3) on the DSP extension.
 *
 * v[column j, row i] = out of rows 1 0 -1 0, 0 1 1 0, 0 -1 1 0, 0 1 0 -1 applied to both axes.
 *
 * Layouts: in int8 at row * i + cell * j; of every four channels c..c+3 the pairs (c, c+2) and
 * (c+1, c+3). v: pair k of position s at v + 4 * k words + s * step bytes, positions in the order
 * of mw_winograd_dsp.h.
 * Ranges: any int8; |v| <= 512. Workspace: none. Rounding: none.
 *
 * A pair takes 16 loads, 16 SXTB16, 32 additions of two lanes and 16 stores, 120 cycles: columns
 * 0 and 2, then 1, then 3 are transformed downwards in registers and combined at once.
 */
#include "mw_winograd_dsp.h"

#if MW_HAS_DSP
/* r0 where the pair goes, r1 cell (0, j), r2 row, r3 cell, r12 step; 8 words of two columns in
 * r4-r11 and lr. On the stack: groups of four channels to go. */
__asm__(
    ".section .text.mw_winograd2_input_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 5\n"
    ".global mw_winograd2_input_dsp\n.type mw_winograd2_input_dsp,%function\n.thumb_func\n"
    /* Column at r1, downwards: a, t, c, d from cells a, b, c, d; b is spare then. */
    ".macro mw_column a b c d t ror\n"
    "add \\t,r1,r2,lsl #1\n"
    "ldr \\a,[r1]\n ldr \\b,[r1,r2]\n ldr \\c,[\\t]\n ldr \\d,[\\t,r2]\n"
    "sxtb16 \\a,\\a,ror #\\ror\n sxtb16 \\b,\\b,ror #\\ror\n"
    "sxtb16 \\c,\\c,ror #\\ror\n sxtb16 \\d,\\d,ror #\\ror\n"
    "ssub16 \\a,\\a,\\c\n ssub16 \\d,\\b,\\d\n sadd16 \\t,\\b,\\c\n ssub16 \\c,\\c,\\b\n"
    ".endm\n"
    ".macro mw_put a b c d t\n" /* rows 0 to 3 */
    "add \\t,r0,r12\n"
    "str \\b,[r0]\n str \\a,[r0,r12]\n str \\c,[r0,r12,lsl #1]\n str \\d,[\\t,r12,lsl #1]\n"
    "add r0,r0,r12,lsl #2\n"
    ".endm\n"
    ".macro mw_pair ror\n"
    "mw_column r4 r5 r6 r7 lr \\ror\n add r1,r1,r3,lsl #1\n"
    "mw_column r8 r9 r10 r11 r5 \\ror\n sub r1,r3\n"
    "ssub16 r4,r4,r8\n ssub16 lr,lr,r5\n ssub16 r6,r6,r10\n ssub16 r7,r7,r11\n"
    "mw_put r4 lr r6 r7 r9\n"
    "mw_column r4 r6 r7 r9 lr \\ror\n add r1,r1,r3,lsl #1\n"
    /* Sums go out one by one, differences stay in the second column's registers. */
    "sadd16 r6,lr,r5\n ssub16 r5,r5,lr\n str r6,[r0]\n"
    "sadd16 r6,r4,r8\n ssub16 r8,r8,r4\n str r6,[r0,r12]\n"
    "sadd16 r6,r7,r10\n ssub16 r10,r10,r7\n str r6,[r0,r12,lsl #1]\n"
    "add r0,r12\n sadd16 r6,r9,r11\n ssub16 r11,r11,r9\n str r6,[r0,r12,lsl #1]\n"
    "add r0,r12\n add r0,r0,r12,lsl #1\n"
    "mw_put r8 r5 r10 r11 r6\n"
    "mw_column r5 r8 r10 r11 r6 \\ror\n sub r1,r3\n sub r1,r1,r3,lsl #1\n"
    "ssub16 r5,r4,r5\n ssub16 r6,lr,r6\n ssub16 r10,r7,r10\n ssub16 r11,r9,r11\n"
    "mw_put r5 r6 r10 r11 r8\n"
    "sub r0,r0,r12,lsl #4\n add r0,#16\n"
    ".endm\n"
    "mw_winograd2_input_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#4\n"
    "ldm r2,{r2-r5}\n mov r12,r5\n"
    "1: str r4,[sp]\n"
    "mw_pair 0\n mw_pair 8\n"
    "add r1,#4\n ldr r4,[sp]\n subs r4,#1\n bne 1b\n"
    "add sp,#4\n pop {r4-r11,pc}\n"
    ".purgem mw_column\n.purgem mw_put\n.purgem mw_pair\n"
    ".size mw_winograd2_input_dsp,.-mw_winograd2_input_dsp\n.text\n");
#else
static void winograd2_cells(int32_t *x, int32_t next) {
  int32_t a = x[0], b = x[next], c = x[2 * next], d = x[3 * next];
  x[0] = a - c, x[next] = b + c, x[2 * next] = c - b, x[3 * next] = b - d;
}

void mw_winograd2_input_dsp(uint32_t *v, const int8_t *in, const mw_winograd_cells *cells) {
  static const int8_t slots[4] = {1, 0, 2, 3};
  for (int32_t k = 0; k < 2 * cells->quads; k++, v += 4) {
    int32_t x[2][16];
    for (int32_t lane = 0; lane < 2; lane++) {
      const int8_t *from = in + k / 2 * 4 + k % 2 + 2 * lane;
      for (int32_t i = 0; i < 16; i++) {
        x[lane][i] = from[i / 4 * cells->row + i % 4 * cells->cell];
      }
      for (int32_t i = 0; i < 4; i++) winograd2_cells(x[lane] + i, 4);
      for (int32_t i = 0; i < 4; i++) winograd2_cells(x[lane] + 4 * i, 1);
    }
    for (int32_t i = 0; i < 16; i++) {
      v[(i % 4 * 4 + slots[i / 4]) * cells->step / 4] = mw_lanes(x[0][i], x[1][i]);
    }
  }
}
#endif
