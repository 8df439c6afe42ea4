/* depthwise_conv2d, 3 x 3, stride 2, one output per input channel, s8; for the DSP extension.
 *
 * out[n,y,x,c] = saturate8((acc * factor[c] >> 32) + offset[c]), brought within the clamp, acc =
 * bias[c] + sum_t in[n,tap t,c] * w[c,t]; taps outside the image read as in_zero_point.
 *
 * Inner loop, four results of a line: a kernel line is two weight words, (w0, w1) and (w1, w2), and
 * five words of pixels, (x0, x1) to (x8, x9). Result i is SMLAD of word i and (w0, w1) and SMLABT
 * of word i + 1 and (w1, w2). That is 7 loads and 8 SMLAx for 12 products, three times; then SMMLA,
 * SSAT and STRB for each result: 77 cycles for 36 products. What is left of a line is made two at a
 * time. Four times as many pixels as results have to be widened: that costs 1 cycle a product.
 *
 * Layouts, ranges, workspace, overlap, rounding: those of depthwise_conv2d_s8_dsp. Workspace:
 * buffer_lines * 4 * line_bytes. Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_dw3_dsp.h"

#if MW_HAS_DSP
void mw_dw3_s2_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                     const int32_t *record, const mw_plane_run *run);
/* A kernel line of four results: r2, r3 weights, r4 to r8 pixels, sums in r9 to r12; the sums start
 * from r9 to r12, or all from r12. */
__asm__(
    "  .macro mw_dw_four a, b, c\n"
    "  smlad r9, r4, r2, \\a\n"
    "  smlad r10, r5, r2, \\b\n"
    "  smlad r11, r6, r2, \\c\n"
    "  smlad r12, r7, r2, r12\n"
    "  smlabt r9, r5, r3, r9\n"
    "  smlabt r10, r6, r3, r10\n"
    "  smlabt r11, r7, r3, r11\n"
    "  smlabt r12, r8, r3, r12\n"
    "  .endm\n"
    MW_DW3_ENTER("mw_dw3_s2_lines", "4", "2")
    "2:\n"
    "  ldr r12, [sp, #24]\n"
    "  ldr r2, [sp]\n"
    "  ldr r3, [sp, #4]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  ldr r6, [r0, #8]\n"
    "  ldr r7, [r0, #12]\n"
    "  ldr r8, [r0, #16]\n"
    "  mw_dw_four r12, r12, r12\n"
    "  add r0, r0, r1\n"
    "  ldr r2, [sp, #8]\n"
    "  ldr r3, [sp, #12]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  ldr r6, [r0, #8]\n"
    "  ldr r7, [r0, #12]\n"
    "  ldr r8, [r0, #16]\n"
    "  mw_dw_four r9, r10, r11\n"
    "  add r0, r0, r1\n"
    "  ldr r2, [sp, #16]\n"
    "  ldr r3, [sp, #20]\n"
    "  ldr r5, [r0, #4]\n"
    "  ldr r6, [r0, #8]\n"
    "  ldr r7, [r0, #12]\n"
    "  ldr r8, [r0, #16]\n"
    "  ldr r4, [r0], #16\n"
    "  mw_dw_four r9, r10, r11\n"
    "  ldr r2, [sp, #28]\n"
    "  ldr r3, [sp, #32]\n"
    "  ldr r4, [sp, #36]\n"
    "  ldr r5, [sp, #40]\n"
    "  smmla r9, r9, r2, r3\n"
    "  smmla r10, r10, r2, r3\n"
    "  smmla r11, r11, r2, r3\n"
    "  smmla r12, r12, r2, r3\n"
    "  ssat r9, #8, r9\n"
    "  ssat r10, #8, r10\n"
    "  ssat r11, #8, r11\n"
    "  ssat r12, #8, r12\n"
    "  add r6, r5, r5, lsl #1\n"
    "  add r2, r4, r5, lsl #2\n"
    "  strb r9, [r4]\n"
    "  strb r10, [r4, r5]\n"
    "  strb r11, [r4, r5, lsl #1]\n"
    "  strb r12, [r4, r6]\n"
    "  str r2, [sp, #36]\n"
    "  ldr r3, [sp, #44]\n"
    "  sub r0, r0, r1, lsl #1\n"
    "  cmp r2, r3\n"
    "  bne 2b\n"
    MW_DW3_REST("")
    "  ldr r2, [sp]\n"
    "  ldr r3, [sp, #4]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  smlad r8, r4, r2, lr\n"
    "  ldr r4, [r0, #8]\n"
    "  smlad r9, r5, r2, lr\n"
    "  smlabt r8, r5, r3, r8\n"
    "  smlabt r9, r4, r3, r9\n"
    "  add r0, r0, r1\n"
    "  ldr r2, [sp, #8]\n"
    "  ldr r3, [sp, #12]\n"
    "  ldr r4, [r0]\n"
    "  ldr r5, [r0, #4]\n"
    "  smlad r8, r4, r2, r8\n"
    "  ldr r4, [r0, #8]\n"
    "  smlad r9, r5, r2, r9\n"
    "  smlabt r8, r5, r3, r8\n"
    "  smlabt r9, r4, r3, r9\n"
    "  add r0, r0, r1\n"
    "  ldr r2, [sp, #16]\n"
    "  ldr r3, [sp, #20]\n"
    "  ldr r5, [r0, #4]\n"
    "  ldr r4, [r0], #8\n"
    "  smlad r8, r4, r2, r8\n"
    "  ldr r4, [r0]\n"
    "  smlad r9, r5, r2, r9\n"
    "  smlabt r8, r5, r3, r8\n"
    "  smlabt r9, r4, r3, r9\n"
    "  sub r0, r0, r1, lsl #1\n"
    MW_DW3_TWO_RESULTS
    MW_DW3_LEAVE("mw_dw3_s2_lines"));
#else
static void mw_dw3_s2_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                            const int32_t *record, const mw_plane_run *run) {
  mw_dw3_lines(out, plane, weights, record, run, 2);
}
#endif

void mw_depthwise_conv2d_s2_s8_dsp(int8_t *out, const int8_t *in,
                                   const mw_depthwise_dsp_params *params, void *workspace) {
  mw_depthwise_planes(out, in, params, workspace, mw_dw3_s2_lines);
}
