/* depthwise_conv2d, kernels of one line of up to 10 taps that move by one along it, one output
 * per input channel, s8; for the DSP extension.
 *
 * out[n,y,x,c] = requantize(bias[c] + sum_t in[n,tap t,c] * w[c,t]), brought within the clamp; taps
 * outside the image read as in_zero_point. Requantization takes one step or two (mw_dsp.h), the
 * two as x = acc + (acc * (2 * multiplier - 2^32) + 2^31 >> 32) and
 * (x * (2^(32 - right) + 1) + 2^31 >> 32) + zero_point: SMMLAR, SMMLAR, SSAT. The one that is added
 * to the power of two takes from a negative x what rounds its halves away from zero.
 *
 * Inner loops, six results of a line: words of weights are Wk = (wk, wk+1), words of pixels Xj =
 * (x2j, x2j+1). An even result is SMLAD of X0 W0, X1 W2 .., an odd one SMLATB of X0 W0 and SMLAD of
 * X1 W1, X2 W3 ..; a last tap by itself is SMLABT. Bodies of 3 and 5 taps hold the weights in
 * registers, those of 7 and 10 load them with the pixels; 18, 26, 39 and 55 cycles, then 18 for
 * requantization and 26 for its constants, stores and the loop; 90 a channel, and its pixels.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]; runs are rows or columns (mw_op_dsp_depthwise.h),
 * weights [C][taps] of a count that has a body (zeros behind); records {bias,
 * factor, offset, 0} or {bias, 2 * multiplier - 2^32, zero_point, 2^(32 - right) + 1}.
 * Ranges: |acc| < 2^30, right > 1, |x| < 2^(32 - right) or right < 12, checked when packing.
 * Workspace: buffer_lines * 4 * line_bytes, see mw_plane_dsp.h; a line holds what the last six
 * results read, used or not. Overlap: as depthwise_conv2d_s8_dsp. Rounding: TFLite's two.
 * Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_taps_dsp.h"

#if MW_HAS_DSP
void mw_tap_lines(int8_t *out, const int16_t *plane, const int8_t *weights, const int32_t *record,
                   const mw_plane_run *run);
/* Sums are r8 to lr, pixels r0. `even` and `odd` are instructions for results 0, 2, 4 and 1, 3, 5,
 * a, b, c their pixels. */
__asm__(
    "  .syntax unified\n"
    "  .thumb\n"
    "  .macro mw_taps_even op, w, a, b, c\n"
    "  \\op r8, \\a, \\w, r8\n"
    "  \\op r10, \\b, \\w, r10\n"
    "  \\op r12, \\c, \\w, r12\n"
    "  .endm\n"
    "  .macro mw_taps_odd op, w, a, b, c\n"
    "  \\op r9, \\a, \\w, r9\n"
    "  \\op r11, \\b, \\w, r11\n"
    "  \\op lr, \\c, \\w, lr\n"
    "  .endm\n"
    "  .macro mw_taps_first w, a, b, c\n"
    "  smlad r8, \\a, \\w, lr\n"
    "  smlatb r9, \\a, \\w, lr\n"
    "  smlad r10, \\b, \\w, lr\n"
    "  smlatb r11, \\b, \\w, lr\n"
    "  smlad r12, \\c, \\w, lr\n"
    "  smlatb lr, \\c, \\w, lr\n"
    "  .endm\n"
    /* The first four taps of results, weights from the frame. */
    "  .macro mw_taps_four\n"
    "  ldr lr, [sp]\n"
    "  ldr r2, [r0, #4]\n"
    "  ldr r3, [r0, #8]\n"
    "  ldr r4, [r0, #12]\n"
    "  ldr r1, [r0], #12\n"
    "  ldr r5, [sp, #76]\n"
    "  ldr r6, [sp, #84]\n"
    "  ldr r7, [sp, #80]\n"
    "  mw_taps_first r5, r1, r2, r3\n"
    "  mw_taps_even smlad, r6, r2, r3, r4\n"
    "  mw_taps_odd smlad, r7, r2, r3, r4\n"
    "  ldr r1, [r0, #4]\n"
    "  ldr r2, [r0, #8]\n"
    "  ldr r5, [sp, #92]\n"
    "  ldr r6, [sp, #88]\n"
    "  .endm\n"
    /* Weight words of up to 10 taps, in place. */
    "  .macro mw_taps_pair a, b\n"
    "  pkhbt \\a, \\a, \\b, lsl #16\n"
    "  .endm\n");
__asm__(
    "  .pushsection .text.mw_tap_lines,\"ax\",%progbits\n"
    "  .balign 32\n"
    "  .type mw_tap_lines, %function\n"
    "  .thumb_func\n"
    "mw_tap_lines:\n"
    "  mw_taps_enter\n"
    "10:\n"
    "  mw_taps_channel\n"
    "  ldrsb r1, [r5]\n"
    "  ldrsb r2, [r5, #1]\n"
    "  ldrsb r3, [r5, #2]\n"
    "  mw_taps_pair r1, r2\n"
    "  mw_taps_pair r2, r3\n"
    "  cmp r12, #5\n"
    "  beq 15f\n"
    "  bhi.w 16f\n"
    "  mw_taps_body 43, 23\n"
    "  ldr lr, [sp]\n"
    "  ldr r4, [r0, #4]\n"
    "  ldr r5, [r0, #8]\n"
    "  ldr r6, [r0, #12]\n"
    "  ldr r3, [r0], #12\n"
    "  mw_taps_first r1, r3, r4, r5\n"
    "  mw_taps_even smlabt, r2, r4, r5, r6\n"
    "  mw_taps_odd smlad, r2, r4, r5, r6\n"
    "  mw_taps_results 23\n"
    "15:\n"
    "  ldrsb r4, [r5, #3]\n"
    "  ldrsb r7, [r5, #4]\n"
    "  mw_taps_pair r3, r4\n"
    "  mw_taps_pair r4, r7\n"
    "  mw_taps_body 45, 25\n"
    "  ldr lr, [sp]\n"
    "  ldr r6, [r0, #4]\n"
    "  ldr r7, [r0, #8]\n"
    "  ldr r5, [r0], #12\n"
    "  mw_taps_first r1, r5, r6, r7\n"
    "  smlad r8, r6, r3, r8\n"
    "  smlad r9, r6, r2, r9\n"
    "  smlabt r8, r7, r4, r8\n"
    "  smlad r9, r7, r4, r9\n"
    "  ldr r5, [r0]\n"
    "  ldr r6, [r0, #4]\n"
    "  smlad r10, r7, r3, r10\n"
    "  smlad r11, r7, r2, r11\n"
    "  smlabt r10, r5, r4, r10\n"
    "  smlad r11, r5, r4, r11\n"
    "  smlad r12, r5, r3, r12\n"
    "  smlad lr, r5, r2, lr\n"
    "  smlabt r12, r6, r4, r12\n"
    "  smlad lr, r6, r4, lr\n"
    "  mw_taps_results 25\n"
    "16:\n"
    "  cmp r12, #10\n"
    "  ldrsb r4, [r5, #3]\n"
    "  ldrsb r7, [r5, #4]\n"
    "  ldrsb r8, [r5, #5]\n"
    "  ldrsb r9, [r5, #6]\n"
    "  mw_taps_pair r3, r4\n"
    "  mw_taps_pair r4, r7\n"
    "  mw_taps_pair r7, r8\n"
    "  mw_taps_pair r8, r9\n"
    "  add.w r6, sp, #76\n"
    "  stm r6!, {r1-r4, r7, r8}\n"
    "  bne.w 17f\n"
    "  ldrsb r1, [r5, #7]\n"
    "  ldrsb r2, [r5, #8]\n"
    "  ldrsb r3, [r5, #9]\n"
    "  mw_taps_pair r9, r1\n"
    "  mw_taps_pair r1, r2\n"
    "  mw_taps_pair r2, r3\n"
    "  str r9, [r6]\n"
    "  strd r1, r2, [r6, #4]\n"
    "  mw_taps_body 50, 30\n"
    "  mw_taps_four\n"
    "  ldr r7, [sp, #100]\n"
    "  mw_taps_even smlad, r5, r3, r4, r1\n"
    "  mw_taps_odd smlad, r6, r3, r4, r1\n"
    "  mw_taps_even smlad, r7, r4, r1, r2\n"
    "  ldr r5, [sp, #96]\n"
    "  ldr r3, [r0, #12]\n"
    "  ldr r6, [sp, #108]\n"
    "  ldr r7, [sp, #104]\n"
    "  mw_taps_odd smlad, r5, r4, r1, r2\n"
    "  ldr r4, [r0, #16]\n"
    "  mw_taps_even smlad, r6, r1, r2, r3\n"
    "  mw_taps_odd smlad, r7, r1, r2, r3\n"
    "  mw_taps_odd smlabt, r6, r2, r3, r4\n"
    "  mw_taps_results 30\n"
    "17:\n"
    "  mw_taps_body 47, 27\n"
    "  mw_taps_four\n"
    "  ldr r7, [sp, #96]\n"
    "  mw_taps_even smlad, r5, r3, r4, r1\n"
    "  mw_taps_odd smlad, r6, r3, r4, r1\n"
    "  mw_taps_even smlabt, r7, r4, r1, r2\n"
    "  mw_taps_odd smlad, r7, r4, r1, r2\n"
    "  mw_taps_results 27\n"
    "  mw_taps_leave\n"
    "  .size mw_tap_lines, . - mw_tap_lines\n"
    "  .popsection\n");
#else
static void mw_tap_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                          const int32_t *record, const mw_plane_run *run) {
  for (int32_t c = 0; c < run->channels; c++, weights += run->taps, record += 4) {
    for (int32_t i = 0; i < run->lines * run->count; i++) {
      int32_t y = i / run->count, at = i % run->count;
      const int16_t *from = plane + (c * run->line_bytes + y * run->down) / 2 + at;
      int32_t acc = record[0];
      for (int32_t j = 0; j < run->taps; j++) acc += from[j] * weights[j];
      out[y * run->line + at * run->step + c] = (int8_t)mw_plane_result(acc, record);
    }
  }
}
#endif

void mw_depthwise_conv2d_taps_s8_dsp(int8_t *out, const int8_t *in,
                                     const mw_depthwise_dsp_params *params, void *workspace) {
  mw_depthwise_planes(out, in, params, workspace, mw_tap_lines);
}
