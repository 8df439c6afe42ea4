/* add and sub with broadcasting, s8, with the DSP extension, where no plane gives their results.
 *
 * out = clamp(out_zero_point + rescale(A + B)), A = rescale((a - a_zero_point) * 2^20), B alike,
 * B negative for sub.
 *
 * Layouts: row-major, shapes broadcast as in NumPy; innermost both operands advance.
 * Ranges: rows of 4 or more; sums are below 2^29, as no operand is brought to more than half its
 * raised size.
 * Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: TFLM's. The operand of the larger scale is halved exactly, the other and the sum are
 * rounded in two steps, see mw_dsp.h. Source: TensorFlow Lite 8-bit specification, ADD and SUB.
 *
 * Twelve numbers do not fit the registers, so that four results go through each step together: 71
 * cycles, 18 a result, 11 of 71 for loading the numbers. A sum's sign is taken for that of the
 * scaled sum: where that is 0, one less rounds the same.
 */
#include "mw.h"
#include "mw_dsp.h"
#include "mw_walk.h"

/* mw_two_step of y / 2, less its saturation. */
static inline int32_t mw_rounded(int32_t y, int32_t multiplier, int32_t half, int32_t right) {
  int32_t x = mw_smmulr(y, multiplier);
  return (x + (x >> 31) + half) >> right;
}

static void mw_add_steps_some(int8_t *out, const int8_t *exact, const int8_t *rounded,
                              const mw_add_steps_s8_dsp_params *p, int32_t count) {
  MW_ROLLED
  for (; count > 0; count--) {
    int32_t r = *rounded++ * p->raise + p->rounded_start;
    int32_t y = *exact++ * p->exact_factor + p->start;
    y += p->sign * mw_rounded(r, p->multiplier, p->half, p->right);
    *out++ = (int8_t)mw_ssat8(mw_rounded(y, p->out_multiplier, p->out_half, p->out_right));
  }
}

#if MW_HAS_DSP
void mw_add_steps_fours(int8_t *out, const int8_t *exact, const int8_t *rounded,
                        const mw_add_steps_s8_dsp_params *params, int32_t fours);

/* r0 out, r1 exact, r2 rounded, r3 params, lr fours; sums in r4 to r7. */
__asm__(
    ".syntax unified\n"
    ".thumb\n"
    ".macro mw_steps_round y, multiplier, half, right, t\n"
    "  add \\t, \\half, \\y, asr #31\n"
    "  smmlar \\y, \\y, \\multiplier, \\t\n"
    "  asr \\y, \\y, \\right\n"
    ".endm\n"

    ".macro mw_steps_exact y, z\n"
    "  ldrsb r11, [r1], #1\n"
    "  ldrsb r12, [r1], #1\n"
    "  mla r11, r11, r9, r10\n"
    "  mla r12, r12, r9, r10\n"
    "  mla \\y, \\y, r8, r11\n"
    "  mla \\z, \\z, r8, r12\n"
    ".endm\n"

    ".section .text.mw_add_steps_fours, \"ax\", %progbits\n"
    ".align 2\n"
    ".type mw_add_steps_fours, %function\n"
    ".thumb_func\n"
    "mw_add_steps_fours:\n"
    "  push {r4-r11, lr}\n"
    "  ldr lr, [sp, #36]\n"
    "1:\n"
    "  ldrsb r4, [r2], #1\n"
    "  ldrsb r5, [r2], #1\n"
    "  ldrsb r6, [r2], #1\n"
    "  ldrsb r7, [r2], #1\n"
    "  ldr r8, [r3, #28]\n" /* raise, rounded_start, multiplier, half, right */
    "  ldr r9, [r3, #32]\n"
    "  ldr r10, [r3, #36]\n"
    "  ldr r11, [r3, #40]\n"
    "  ldr r12, [r3, #44]\n"
    "  mla r4, r4, r8, r9\n"
    "  mla r5, r5, r8, r9\n"
    "  mla r6, r6, r8, r9\n"
    "  mla r7, r7, r8, r9\n"
    "  mw_steps_round r4, r10, r11, r12, r8\n"
    "  mw_steps_round r5, r10, r11, r12, r8\n"
    "  mw_steps_round r6, r10, r11, r12, r8\n"
    "  mw_steps_round r7, r10, r11, r12, r8\n"
    "  ldr r8, [r3, #48]\n" /* sign, exact_factor, start */
    "  ldr r9, [r3, #20]\n"
    "  ldr r10, [r3, #24]\n"
    "  mw_steps_exact r4, r5\n"
    "  mw_steps_exact r6, r7\n"
    "  ldr r8, [r3, #52]\n" /* out_multiplier, out_half, out_right */
    "  ldr r9, [r3, #56]\n"
    "  ldr r10, [r3, #60]\n"
    "  mw_steps_round r4, r8, r9, r10, r11\n"
    "  mw_steps_round r5, r8, r9, r10, r11\n"
    "  mw_steps_round r6, r8, r9, r10, r11\n"
    "  mw_steps_round r7, r8, r9, r10, r11\n"
    "  ssat r4, #8, r4\n"
    "  ssat r5, #8, r5\n"
    "  ssat r6, #8, r6\n"
    "  ssat r7, #8, r7\n"
    "  strb r4, [r0], #1\n"
    "  strb r5, [r0], #1\n"
    "  strb r6, [r0], #1\n"
    "  strb r7, [r0], #1\n"
    "  subs lr, lr, #1\n"
    "  bne 1b\n"
    "  pop {r4-r11, pc}\n"
    ".size mw_add_steps_fours, . - mw_add_steps_fours\n"
    ".purgem mw_steps_round\n"
    ".purgem mw_steps_exact\n"
    ".text\n");
#else
static inline void mw_add_steps_fours(int8_t *out, const int8_t *exact, const int8_t *rounded,
                                      const mw_add_steps_s8_dsp_params *params, int32_t fours) {
  mw_add_steps_some(out, exact, rounded, params, 4 * fours);
}
#endif

void mw_add_steps_s8_dsp(int8_t *out, const int8_t *a, const int8_t *b,
                         const mw_add_steps_s8_dsp_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t row = params->row, whole = row & ~3;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--, out += row) {
    const int8_t *x = a + at.a, *y = b + at.b;
    const int8_t *exact = params->swapped ? y : x, *rounded = params->swapped ? x : y;
    mw_add_steps_fours(out, exact, rounded, params, row >> 2);
    mw_add_steps_some(out + whole, exact + whole, rounded + whole, params, row - whole);
    mw_bound_bytes(out, row, params->clamp_min, params->clamp_max);
    mw_walk_next(&at, params->axes, params->rank);
  }
}
