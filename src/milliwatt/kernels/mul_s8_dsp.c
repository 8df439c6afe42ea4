/* mul with broadcasting, s8, with the DSP extension.
 *
 * out = clamp(saturate8(rescale((a - a_zero_point) * (b - b_zero_point)) + out_zero_point))
 *
 * Layouts: row-major, shapes broadcast as in NumPy; innermost both operands advance.
 * Ranges: products are below 2^17, doubled ones below 2^18.
 * Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: TFLM's two roundings, in one step or two; see mw_dsp.h.
 * Source: TensorFlow Lite 8-bit specification, MUL.
 *
 * Four results are 2 LDR, 4 SXTAB16, 4 SMLAxx, 4 SMMLA, 4 SSAT and 4 STRB; of eight, with SUBS and
 * BNE, 50 cycles, 6.25 a result. In two steps a's lanes hold twice its difference, so that no
 * product has to be doubled for SMMLAR, and 2 more instructions round: 8.75 cycles a result. They
 * take a product's sign for that of the scaled product: where that is 0, one less rounds the same.
 */
#include "mw.h"
#include "mw_dsp.h"
#include "mw_walk.h"

#if MW_HAS_DSP
void mw_mul_row(int8_t *out, const int8_t *a, const int8_t *b,
                const mw_mul_s8_dsp_params *params, int32_t count);

/* r0 out, r1 a, r2 b, r3 count; r4 a_lanes, r5 b_lanes, r6 factor, r7 half, r8 last. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".macro mw_mul_round y, steps\n"
    ".if \\steps == 2\n"
    "  add r10, r7, \\y, asr #31\n"
    "  smmlar \\y, \\y, r6, r10\n"
    "  asr \\y, \\y, r8\n"
    ".else\n"
    "  smmla \\y, \\y, r6, r7\n"
    ".endif\n"
    "  ssat \\y, #8, \\y\n"
    ".endm\n"

    ".macro mw_mul_product y, lane, a, b, steps\n"
    ".if \\steps == 2\n"
    "  smul\\lane \\y, \\a, \\b\n"
    ".else\n"
    "  smla\\lane \\y, \\a, \\b, r8\n"
    ".endif\n"
    ".endm\n"

    ".macro mw_mul_four steps\n"
    "  ldr r9, [r1], #4\n"
    "  ldr r10, [r2], #4\n"
    "  sxtab16 r11, r4, r9\n"
    "  sxtab16 r12, r5, r10\n"
    ".if \\steps == 2\n"
    "  sxtab16 r11, r11, r9\n"
    "  sxtab16 lr, r4, r9, ror #8\n"
    "  sxtab16 r9, lr, r9, ror #8\n"
    ".else\n"
    "  sxtab16 r9, r4, r9, ror #8\n"
    ".endif\n"
    "  sxtab16 r10, r5, r10, ror #8\n"
    "  mw_mul_product lr, bb, r11, r12, \\steps\n"
    "  mw_mul_product r11, tt, r11, r12, \\steps\n"
    "  mw_mul_product r12, bb, r9, r10, \\steps\n"
    "  mw_mul_product r9, tt, r9, r10, \\steps\n"
    "  mw_mul_round lr, \\steps\n"
    "  mw_mul_round r12, \\steps\n"
    "  mw_mul_round r11, \\steps\n"
    "  mw_mul_round r9, \\steps\n"
    "  strb lr, [r0], #1\n"
    "  strb r12, [r0], #1\n"
    "  strb r11, [r0], #1\n"
    "  strb r9, [r0], #1\n"
    ".endm\n"

    ".macro mw_mul_loops steps\n"
    "  subs r3, r3, #8\n"
    "  blt 2f\n"
    "1:\n"
    "  mw_mul_four \\steps\n"
    "  mw_mul_four \\steps\n"
    "  subs r3, r3, #8\n"
    "  bge 1b\n"
    "2:\n"
    "  adds r3, r3, #8\n"
    "  beq 4f\n"
    "3:\n"
    "  ldrsb r9, [r1], #1\n"
    "  ldrsb r11, [r2], #1\n"
    ".if \\steps == 2\n"
    "  add r9, r9, r9\n"
    ".endif\n"
    "  add r9, r9, r4\n"
    "  add r11, r11, r5\n"
    "  mw_mul_product r9, bb, r9, r11, \\steps\n"
    "  mw_mul_round r9, \\steps\n"
    "  strb r9, [r0], #1\n"
    "  subs r3, r3, #1\n"
    "  bne 3b\n"
    "4:\n"
    "  pop {r4-r11, pc}\n"
    ".endm\n"

    ".section .text.mw_mul_row, \"ax\", %progbits\n"
    ".align 2\n"
    ".type mw_mul_row, %function\n"
    ".thumb_func\n"
    "mw_mul_row:\n"
    "  push {r4-r11, lr}\n"
    "  ldr r9, [r3, #16]\n"
    "  ldrd r4, r5, [r3, #20]\n"
    "  ldrd r6, r7, [r3, #28]\n"
    "  ldr r8, [r3, #36]\n"
    "  ldr r3, [sp, #36]\n"
    "  cmp r9, #2\n"
    "  beq mw_mul_row_2\n"
    "  mw_mul_loops 1\n"
    "mw_mul_row_2:\n"
    "  mw_mul_loops 2\n"
    ".size mw_mul_row, . - mw_mul_row\n"
    ".purgem mw_mul_round\n"
    ".purgem mw_mul_product\n"
    ".purgem mw_mul_four\n"
    ".purgem mw_mul_loops\n"
    ".text\n");
#else
static inline void mw_mul_row(int8_t *out, const int8_t *a, const int8_t *b,
                              const mw_mul_s8_dsp_params *p, int32_t count) {
  int32_t a_zero = mw_low_lane((uint32_t)p->a_lanes), b_zero = mw_low_lane((uint32_t)p->b_lanes);
  for (; count > 0; count--, a++, b++) {
    int32_t y = (*a * p->steps + a_zero) * (*b + b_zero);
    if (p->steps == 2) {
      y = mw_smmulr(y, p->factor);
      y = mw_ssat8((y + (y >> 31) + p->half) >> p->last);
    } else {
      y = mw_one_step(y + p->last, p->factor, p->half);
    }
    *out++ = (int8_t)y;
  }
}
#endif

void mw_mul_s8_dsp(int8_t *out, const int8_t *a, const int8_t *b,
                   const mw_mul_s8_dsp_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t row = params->row;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--, out += row) {
    mw_mul_row(out, a + at.a, b + at.b, params, row);
    mw_bound_bytes(out, row, params->clamp_min, params->clamp_max);
    mw_walk_next(&at, params->axes, params->rank);
  }
}
