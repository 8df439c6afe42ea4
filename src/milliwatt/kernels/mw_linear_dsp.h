/* Rows of a quantized sum, as the plane of mw_op_dsp_elementwise.h.
 *
 * Eight results are 4 LDR, 8 AND, 16 SMLAWx, 8 SSAT, 8 STRB, SUBS and BNE: 50 cycles, 6.25 for one
 * result, 2 more in two steps. AND leaves bytes in the upper half of halfwords, the lanes that
 * SMLAWB and SMLAWT multiply by 32 bits: bytes 0 and 2 shifted up, bytes 1 and 3 as they lie.
 */
#ifndef MW_LINEAR_DSP_H
#define MW_LINEAR_DSP_H

#include "mw.h"
#include "mw_dsp.h"

#if MW_HAS_DSP
void mw_linear_row(int8_t *out, const int8_t *a, const int8_t *b, const mw_linear_s8 *linear,
                  int32_t count);

/* r0 out, r1 a, r2 b, r3 count; r4 a_factor, r5 b_factor, r6 start, r7 half, r8 mask. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".macro mw_linear_one y, steps\n"
    ".if \\steps == 2\n"
    "  sub r10, r7, \\y, lsr #25\n"
    "  add \\y, \\y, r10\n"
    ".endif\n"
    "  ssat \\y, #8, \\y, asr #20\n"
    ".endm\n"

    ".macro mw_linear_four steps\n"
    "  ldr r9, [r1], #4\n"
    "  ldr r10, [r2], #4\n"
    "  and r11, r8, r9, lsl #8\n"
    "  and r12, r8, r10, lsl #8\n"
    "  and r9, r8, r9\n"
    "  and r10, r8, r10\n"
    "  smlawb lr, r4, r11, r6\n"
    "  smlawt r11, r4, r11, r6\n"
    "  smlawb lr, r5, r12, lr\n"
    "  smlawt r11, r5, r12, r11\n"
    "  smlawb r12, r4, r9, r6\n"
    "  smlawt r9, r4, r9, r6\n"
    "  smlawb r12, r5, r10, r12\n"
    "  smlawt r9, r5, r10, r9\n"
    "  mw_linear_one lr, \\steps\n"
    "  mw_linear_one r12, \\steps\n"
    "  mw_linear_one r11, \\steps\n"
    "  mw_linear_one r9, \\steps\n"
    "  strb lr, [r0], #1\n"
    "  strb r12, [r0], #1\n"
    "  strb r11, [r0], #1\n"
    "  strb r9, [r0], #1\n"
    ".endm\n"

    ".macro mw_linear_loops steps\n"
    "  subs r3, r3, #8\n"
    "  blt 2f\n"
    "1:\n"
    "  mw_linear_four \\steps\n"
    "  mw_linear_four \\steps\n"
    "  subs r3, r3, #8\n"
    "  bge 1b\n"
    "2:\n"
    "  adds r3, r3, #8\n"
    "  beq 4f\n"
    "3:\n"
    "  ldrsb r9, [r1], #1\n"
    "  ldrsb r11, [r2], #1\n"
    "  lsl r9, r9, #8\n"
    "  lsl r11, r11, #8\n"
    "  smlawb r9, r4, r9, r6\n"
    "  smlawb r9, r5, r11, r9\n"
    "  mw_linear_one r9, \\steps\n"
    "  strb r9, [r0], #1\n"
    "  subs r3, r3, #1\n"
    "  bne 3b\n"
    "4:\n"
    "  pop {r4-r11, pc}\n"
    ".endm\n"

    ".section .text.mw_linear_row, \"ax\", %progbits\n"
    ".align 2\n"
    ".type mw_linear_row, %function\n"
    ".thumb_func\n"
    "mw_linear_row:\n"
    "  push {r4-r11, lr}\n"
    "  ldr r9, [r3]\n"
    "  ldrd r4, r5, [r3, #4]\n"
    "  ldrd r6, r7, [r3, #12]\n"
    "  ldr r3, [sp, #36]\n"
    "  mov r8, #0xff00ff00\n"
    "  cmp r9, #2\n"
    "  beq mw_linear_row_2\n"
    "  mw_linear_loops 1\n"
    "mw_linear_row_2:\n"
    "  mw_linear_loops 2\n"
    ".size mw_linear_row, . - mw_linear_row\n"
    ".purgem mw_linear_one\n"
    ".purgem mw_linear_four\n"
    ".purgem mw_linear_loops\n"
    ".text\n");
#else
static inline void mw_linear_row(int8_t *out, const int8_t *a, const int8_t *b,
                                const mw_linear_s8 *linear, int32_t count) {
  for (; count > 0; count--) {
    int32_t x = (int32_t)((int64_t)linear->a_factor * *a++ >> 8);
    int32_t y = (int32_t)((int64_t)linear->b_factor * *b++ >> 8);
    y = mw_wrap_add(mw_wrap_add(linear->start, x), y);
    if (linear->steps == 2) {
      y = mw_wrap_add(mw_wrap_add(y, -(int32_t)((uint32_t)y >> 25)), linear->half);
    }
    *out++ = (int8_t)mw_ssat8(y >> 20);
  }
}
#endif

#endif
