/* depthwise_conv2d, 3 x 3, stride 1, one output per input channel, s8; for the DSP extension.
 *
 * out[n,y,x,c] = saturate8((acc * factor[c] >> 32) + offset[c]), brought within the clamp, acc =
 * bias[c] + sum_t in[n,tap t,c] * w[c,t]; taps outside the image read as in_zero_point.
 *
 * Inner loop, six results of a line: a kernel line is two weight words, (w0, w1) and (w1, w2), and
 * four words of pixels, (x0, x1) to (x6, x7). An even result is SMLAD of (x0, x1) and (w0, w1) and
 * SMLABT of (x2, x3) and (w1, w2), an odd one SMLATB and SMLAD of the same words. That is 6 loads
 * and 12 SMLAx for 18 products, three times; then SMMLA, SSAT and STRB for each result. 93 cycles
 * for 54 products: 36 are SMLAx, 21 loads of pixels and weights, 12 requantization, 7 stores, and
 * 17 the frame, because 14 registers hold six sums, six operands and two pointers. What is left of
 * a line is made two at a time, or by itself.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]; runs are rows or columns (mw_op_dsp_depthwise.h),
 * weights [C][line][run]. Ranges: |acc| < 2^30, checked when packing. Workspace: buffer_lines * 4 *
 * line_bytes, see mw_plane_dsp.h. The output may lie where the input starts if it has no more lines
 * and no longer runs, also a smaller one: then runs are rows, or the buffer holds the whole image.
 * Rounding: compiler/rows/onestep.py proves one step equal to TFLite's two. Source: TensorFlow Lite
 * 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_dw3_dsp.h"

#if MW_HAS_DSP
void mw_dw3_s1_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                     const int32_t *record, const mw_plane_run *run);
/* A kernel line of six results: r2, r3 weights, r4 to r7 pixels, sums in r8 to lr; the sums start
 * from r8 to lr, or all from lr. Two results: r4, r5 pixels. */
__asm__(
    "  .macro mw_dw_six a, b, c, d, e\n"
    "  smlad r8, r4, r2, \\a\n"
    "  smlatb r9, r4, r2, \\b\n"
    "  smlad r10, r5, r2, \\c\n"
    "  smlatb r11, r5, r2, \\d\n"
    "  smlad r12, r6, r2, \\e\n"
    "  smlatb lr, r6, r2, lr\n"
    "  smlabt r8, r5, r3, r8\n"
    "  smlad r9, r5, r3, r9\n"
    "  smlabt r10, r6, r3, r10\n"
    "  smlad r11, r6, r3, r11\n"
    "  smlabt r12, r7, r3, r12\n"
    "  smlad lr, r7, r3, lr\n"
    "  .endm\n"
    "  .macro mw_dw_load at\n"
    "  ldr r2, [sp, #\\at]\n"
    "  ldr r3, [sp, #\\at + 4]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  ldr r6, [r0, #8]\n"
    "  ldr r7, [r0, #12]\n"
    "  .endm\n"
    "  .macro mw_dw_two at, a, b\n"
    "  ldr r2, [sp, #\\at]\n"
    "  ldr r3, [sp, #\\at + 4]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  smlad r8, r4, r2, \\a\n"
    "  smlatb r9, r4, r2, \\b\n"
    "  smlabt r8, r5, r3, r8\n"
    "  smlad r9, r5, r3, r9\n"
    "  .endm\n"
    "  .macro mw_dw_one at\n"
    "  ldr r2, [sp, #\\at]\n"
    "  ldr r3, [sp, #\\at + 4]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  smlad r8, r4, r2, r8\n"
    "  smlabt r8, r5, r3, r8\n"
    "  .endm\n"
    MW_DW3_ENTER("mw_dw3_s1_lines", "6", "1")
    "2:\n"
    "  ldr lr, [sp, #24]\n"
    "  mw_dw_load 0\n"
    "  mw_dw_six lr, lr, lr, lr, lr\n"
    "  add r0, r0, r1\n"
    "  mw_dw_load 8\n"
    "  mw_dw_six r8, r9, r10, r11, r12\n"
    "  add r0, r0, r1\n"
    "  ldr r2, [sp, #16]\n"
    "  ldr r3, [sp, #20]\n"
    "  ldr r5, [r0, #4]\n"
    "  ldr r6, [r0, #8]\n"
    "  ldr r7, [r0, #12]\n"
    "  ldr r4, [r0], #12\n"
    "  mw_dw_six r8, r9, r10, r11, r12\n"
    "  ldr r2, [sp, #28]\n"
    "  ldr r3, [sp, #32]\n"
    "  ldr r4, [sp, #36]\n"
    "  ldr r5, [sp, #40]\n"
    "  .irp a, r8, r9, r10, r11, r12, lr\n"
    "  smmla \\a, \\a, r2, r3\n"
    "  ssat \\a, #8, \\a\n"
    "  .endr\n"
    "  add r6, r5, r5, lsl #1\n"
    "  add r7, r5, r5, lsl #2\n"
    "  add r2, r4, r6, lsl #1\n"
    "  strb r8, [r4]\n"
    "  strb r9, [r4, r5]\n"
    "  strb r10, [r4, r5, lsl #1]\n"
    "  strb r11, [r4, r6]\n"
    "  strb r12, [r4, r5, lsl #2]\n"
    "  strb lr, [r4, r7]\n"
    "  str r2, [sp, #36]\n"
    "  ldr r3, [sp, #44]\n"
    "  sub r0, r0, r1, lsl #1\n"
    "  cmp r2, r3\n"
    "  bne 2b\n"
    MW_DW3_REST("  beq 6f\n")
    "  mw_dw_two 0, lr, lr\n"
    "  add r0, r0, r1\n"
    "  mw_dw_two 8, r8, r9\n"
    "  add r0, r0, r1\n"
    "  mw_dw_two 16, r8, r9\n"
    "  sub r0, r0, r1, lsl #1\n"
    "  adds r0, r0, #4\n"
    MW_DW3_TWO_RESULTS
    "  b 5f\n"
    "6:\n"
    "  ldr r8, [sp, #24]\n"
    "  mw_dw_one 0\n"
    "  add r0, r0, r1\n"
    "  mw_dw_one 8\n"
    "  add r0, r0, r1\n"
    "  mw_dw_one 16\n"
    "  sub r0, r0, r1, lsl #1\n"
    "  adds r0, r0, #4\n"
    "  ldr r2, [sp, #28]\n"
    "  ldr r3, [sp, #32]\n"
    "  ldr r4, [sp, #36]\n"
    "  ldr r5, [sp, #40]\n"
    "  smmla r8, r8, r2, r3\n"
    "  ssat r8, #8, r8\n"
    "  add r5, r4, r5, lsl #1\n"
    "  strb r8, [r4]\n"
    "  str r5, [sp, #36]\n"
    MW_DW3_LEAVE("mw_dw3_s1_lines"));
#else
static void mw_dw3_s1_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                            const int32_t *record, const mw_plane_run *run) {
  mw_dw3_lines(out, plane, weights, record, run, 1);
}
#endif

void mw_depthwise_conv2d_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_depthwise_dsp_params *params, void *workspace) {
  mw_depthwise_planes(out, in, params, workspace, mw_dw3_s1_lines);
}
