/* B' d B of a tile of 6 x 6 cells, for Winograd's F(4 x 4, 3 x 3) on the DSP extension.
 *
 * v[column j, row i] = out of the rows of B' (mw_winograd_dsp.h) applied to both axes.
 *
 * Layouts: in int8 at row * i + cell * j; of every four channels c..c+3 the pairs (c, c+2) and
 * (c+1, c+3). v: pair k of position s at v + 4 * k words + s * step bytes, positions in the order
 * of mw_winograd_dsp.h.
 * Ranges: any int8; |v| <= 12800. Workspace: none. Rounding: none.
 *
 * A line of six takes 20 additions of two lanes. A pair is 6 lines along the rows (6 loads, 6
 * SXTB16 and 6 stores to the stack each) and 6 down the columns (6 loads, 6 stores): 545 cycles.
 */
#include "mw_winograd_dsp.h"

#if MW_HAS_DSP
/* On the stack: 0 to 143 lines along the rows; 144 v, 148 in, 152 row, 156 cell, 160 groups of four
 * channels to go, 164 step. */
__asm__(
    ".section .text.mw_winograd4_input_dsp,\"ax\",%progbits\n"
    ".syntax unified\n.thumb\n.p2align 5\n"
    ".global mw_winograd4_input_dsp\n.type mw_winograd4_input_dsp,%function\n.thumb_func\n"
    /* r4-r9 transformed in place; r10-r12 are lost. */
    ".macro mw_line\n"
    "ssub16 r10,r8,r6\n ssub16 r11,r7,r5\n sadd16 r11,r11,r11\n"
    "ssub16 r4,r4,r6\n sadd16 r4,r4,r4\n sadd16 r4,r4,r4\n sadd16 r4,r4,r10\n"
    "ssub16 r9,r9,r7\n sadd16 r12,r11,r11\n ssub16 r9,r9,r12\n"
    "sadd16 r6,r6,r6\n sadd16 r6,r6,r6\n ssub16 r8,r8,r6\n"
    "sadd16 r5,r5,r5\n sadd16 r5,r5,r5\n ssub16 r7,r7,r5\n"
    "sadd16 r5,r8,r7\n ssub16 r6,r8,r7\n sadd16 r7,r10,r11\n ssub16 r8,r10,r11\n"
    ".endm\n"
    ".macro mw_pair ror\n"
    "mov r0,sp\n"
    "1: add lr,r1,r3\n add lr,lr,r3,lsl #1\n"
    "ldr r4,[r1]\n ldr r5,[r1,r3]\n ldr r6,[r1,r3,lsl #1]\n"
    "ldr r7,[lr]\n ldr r8,[lr,r3]\n ldr r9,[lr,r3,lsl #1]\n"
    "sxtb16 r4,r4,ror #\\ror\n sxtb16 r5,r5,ror #\\ror\n sxtb16 r6,r6,ror #\\ror\n"
    "sxtb16 r7,r7,ror #\\ror\n sxtb16 r8,r8,ror #\\ror\n sxtb16 r9,r9,ror #\\ror\n"
    "add r1,r2\n add lr,sp,#144\n"
    "mw_line\n"
    "stm r0!,{r4-r9}\n cmp r0,lr\n bne 1b\n"
    "ldr r0,[sp,#144]\n ldr r2,[sp,#164]\n mov r1,sp\n add r3,sp,#24\n"
    "1: ldr r4,[r1],#4\n ldr r5,[r1,#20]\n ldr r6,[r1,#44]\n"
    "ldr r7,[r1,#68]\n ldr r8,[r1,#92]\n ldr r9,[r1,#116]\n"
    "add lr,r0,r2\n"
    "mw_line\n"
    "str r5,[r0]\n str r6,[lr]\n str r7,[r0,r2,lsl #1]\n str r8,[lr,r2,lsl #1]\n"
    "str r4,[r0,r2,lsl #2]\n str r9,[lr,r2,lsl #2]\n"
    "add r0,lr,r2\n add r0,r0,r2,lsl #2\n cmp r1,r3\n bne 1b\n"
    "add r0,sp,#144\n ldm r0,{r0-r3}\n add r0,#16\n str r0,[sp,#144]\n"
    ".endm\n"
    "mw_winograd4_input_dsp:\n"
    "push {r4-r11,lr}\n sub sp,#168\n"
    "ldm r2,{r2-r5}\n add r6,sp,#144\n stm r6,{r0-r5}\n"
    "0: mw_pair 0\n mw_pair 8\n"
    "add r1,#4\n str r1,[sp,#148]\n"
    "ldr r4,[sp,#160]\n subs r4,#1\n str r4,[sp,#160]\n bne 0b\n"
    "add sp,#168\n pop {r4-r11,pc}\n"
    ".purgem mw_line\n.purgem mw_pair\n"
    ".size mw_winograd4_input_dsp,.-mw_winograd4_input_dsp\n.text\n");
#else
static void winograd4_cells(int32_t *x, int32_t next) {
  int32_t a = x[0], b = x[next], c = x[2 * next];
  int32_t d = x[3 * next], e = x[4 * next], f = x[5 * next];
  x[0] = 4 * a - 5 * c + e, x[5 * next] = 4 * b - 5 * d + f;
  x[next] = e - 4 * c + (d - 4 * b), x[2 * next] = e - 4 * c - (d - 4 * b);
  x[3 * next] = e - c + 2 * (d - b), x[4 * next] = e - c - 2 * (d - b);
}

void mw_winograd4_input_dsp(uint32_t *v, const int8_t *in, const mw_winograd_cells *cells) {
  static const int8_t slots[6] = {4, 0, 1, 2, 3, 5};
  for (int32_t k = 0; k < 2 * cells->quads; k++, v += 4) {
    int32_t x[2][36];
    for (int32_t lane = 0; lane < 2; lane++) {
      const int8_t *from = in + k / 2 * 4 + k % 2 + 2 * lane;
      for (int32_t i = 0; i < 36; i++) {
        x[lane][i] = from[i / 6 * cells->row + i % 6 * cells->cell];
      }
      for (int32_t i = 0; i < 6; i++) winograd4_cells(x[lane] + i, 6);
      for (int32_t i = 0; i < 6; i++) winograd4_cells(x[lane] + 6 * i, 1);
    }
    for (int32_t i = 0; i < 36; i++) {
      v[(i % 6 * 6 + slots[i / 6]) * cells->step / 4] = mw_lanes(x[0][i], x[1][i]);
    }
  }
}
#endif
