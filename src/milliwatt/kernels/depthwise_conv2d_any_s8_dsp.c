/* depthwise_conv2d, any kernel that moves by one along its runs, one output per input channel, s8;
 * for the DSP extension.
 *
 * out[n,y,x,c] = requantize(bias[c] + sum_t in[n,tap t,c] * w[c,t]), brought within the clamp; taps
 * outside the image read as in_zero_point. Requantization takes one step or two (mw_dsp.h), the
 * two as x = acc + (acc * (2 * multiplier - 2^32) + 2^31 >> 32) and
 * (x * (2^(32 - right) + 1) + 2^31 >> 32) + zero_point: SMMLAR, SMMLAR, SSAT. The one that is added
 * to the power of two takes from a negative x what rounds its halves away from zero.
 *
 * Inner loop, six results of a line: a channel's weights become words once, E = (w0, w1), (w2, w3)
 * .. for even results and O = (0, w0), (w1, w2) .. for odd ones. Word j of the pixels meets E j and
 * O j, and so does word j + 1 for the next two results and word j + 2 for the last two: 3 loads and
 * 6 SMLAD for 12 products, 10 cycles; three times in a row, so that pixels stay where they are.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]; runs are rows or columns (mw_op_dsp_depthwise.h),
 * weights [C][line][run]; records {bias, factor, offset, 0} or {bias, 2 * multiplier - 2^32,
 * zero_point, 2^(32 - right) + 1}. Ranges: |acc| < 2^30, right > 1, right < 12 or |x| below
 * 2^(32 - right), checked when packing. Workspace:
 * buffer_lines * 4 * line_bytes, see mw_plane_dsp.h, then lines_kernel * words * 8 for weights,
 * words = run_kernel / 2 + 1 rounded up to a multiple of 3; a line holds what the last six results
 * read, used or not. Overlap: as depthwise_conv2d_s8_dsp. Rounding: TFLite's two.
 * Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_plane_dsp.h"

#if MW_HAS_DSP
void mw_taps_lines(int8_t *out, const int16_t *plane, const int8_t *weights, const int32_t *record,
                   const mw_plane_run *run);
/* Sixes: r0 pixels, r1 words, r2 counts triples, r3 to r5 pixels, r6 to r11 sums, r12 and lr words.
 * Frame: 0 next result, 4 its pixels, 8 run, 12 results left, 16 kernel lines left; 20 first result
 * of the channel, 24 its buffer, 28 next weights, 32 record, 36 channels left; 40 lines left, 44
 * first result of the line, 48 its pixels. */
__asm__(
    "  .syntax unified\n"
    "  .thumb\n"
    "  .macro mw_taps_word a, b, c\n"
    "  ldr \\c, [r0], #4\n"
    "  ldr r12, [r1], #4\n"
    "  ldr lr, [r1], #4\n"
    "  smlad r6, \\a, r12, r6\n"
    "  smlad r7, \\a, lr, r7\n"
    "  smlad r8, \\b, r12, r8\n"
    "  smlad r9, \\b, lr, r9\n"
    "  smlad r10, \\c, r12, r10\n"
    "  smlad r11, \\c, lr, r11\n"
    "  .endm\n"
    "  .pushsection .text.mw_taps_lines,\"ax\",%progbits\n"
    "  .balign 32\n"
    "  .type mw_taps_lines, %function\n"
    "  .thumb_func\n"
    "mw_taps_lines:\n"
    "  push {r4-r11, lr}\n"
    "  sub sp, sp, #52\n"
    "  ldr r4, [sp, #88]\n"
    "  ldr r5, [r4, #20]\n"
    "  str r4, [sp, #8]\n"
    "  strd r0, r1, [sp, #20]\n"
    "  strd r2, r3, [sp, #28]\n"
    "  str r5, [sp, #36]\n"
    "10:\n"
    "  ldr r4, [sp, #8]\n"
    "  ldr r1, [sp, #28]\n"
    "  ldr r0, [r4, #44]\n"
    "  ldr r12, [r4, #32]\n"
    "11:\n"
    "  ldr r2, [r4, #28]\n"
    "  ldr r3, [r4, #48]\n"
    "  movs r5, #0\n"
    "  add r3, r3, r3, lsl #1\n"
    "  subs r2, r2, #2\n"
    "  blt 13f\n"
    "12:\n"
    "  ldrsb r6, [r1], #2\n"
    "  ldrsb r7, [r1, #-1]\n"
    "  pkhbt r8, r5, r6, lsl #16\n"
    "  pkhbt r6, r6, r7, lsl #16\n"
    "  mov r5, r7\n"
    "  subs r3, r3, #1\n"
    "  subs r2, r2, #2\n"
    "  strd r6, r8, [r0], #8\n"
    "  bge 12b\n"
    "13:\n"
    "  movs r6, #0\n"
    "  adds r2, r2, #2\n"
    "  it ne\n"
    "  ldrsbne r6, [r1], #1\n"
    "  pkhbt r8, r5, r6, lsl #16\n"
    "  uxth r6, r6\n"
    "14:\n"
    "  strd r6, r8, [r0], #8\n"
    "  movs r6, #0\n"
    "  mov r8, r6\n"
    "  subs r3, r3, #1\n"
    "  bgt 14b\n"
    "  subs r12, r12, #1\n"
    "  bne 11b\n"
    "  ldrd r2, r3, [sp, #20]\n"
    "  ldr r5, [r4]\n"
    "  str r1, [sp, #28]\n"
    "  str r5, [sp, #40]\n"
    "  strd r2, r3, [sp, #44]\n"
    "15:\n"
    "  ldrd r0, r1, [sp, #44]\n"
    "  ldr r2, [sp, #8]\n"
    "  ldr r3, [r2, #16]\n"
    "  strd r0, r1, [sp]\n"
    "  str r3, [sp, #12]\n"
    "1:\n"
    "  ldr r2, [sp, #8]\n"
    "  ldr r3, [sp, #32]\n"
    "  ldr r0, [sp, #4]\n"
    "  ldr r6, [r3]\n"
    "  ldr r12, [r2, #32]\n"
    "  ldr r1, [r2, #44]\n"
    "  .irp a, r7, r8, r9, r10, r11\n"
    "  mov \\a, r6\n"
    "  .endr\n"
    "2:\n"
    "  str r12, [sp, #16]\n"
    "  ldr r2, [r2, #48]\n"
    "  ldr r3, [r0], #4\n"
    "  ldr r4, [r0], #4\n"
    "3:\n"
    "  mw_taps_word r3, r4, r5\n"
    "  mw_taps_word r4, r5, r3\n"
    "  mw_taps_word r5, r3, r4\n"
    "  subs r2, r2, #1\n"
    "  bne 3b\n"
    "  ldr r12, [sp, #16]\n"
    "  ldr r2, [sp, #8]\n"
    "  subs r12, r12, #1\n"
    "  beq 4f\n"
    "  ldr r3, [r2, #52]\n"
    "  add r0, r0, r3\n"
    "  b 2b\n"
    "4:\n"
    "  ldr r1, [sp, #32]\n"
    "  ldr r0, [r2, #40]\n"
    "  ldr r3, [r1, #4]\n"
    "  ldr r4, [r1, #8]\n"
    "  ldr r5, [r1, #12]\n"
    "  cmp r0, #1\n"
    "  bne 5f\n"
    "  .irp a, r6, r7, r8, r9, r10, r11\n"
    "  smmla \\a, \\a, r3, r4\n"
    "  ssat \\a, #8, \\a\n"
    "  .endr\n"
    "  b 6f\n"
    "5:\n"
    "  .irp a, r6, r7, r8, r9, r10, r11\n"
    "  smmlar \\a, \\a, r3, \\a\n"
    "  smmlar \\a, \\a, r5, r4\n"
    "  ssat \\a, #8, \\a\n"
    "  .endr\n"
    "6:\n"
    "  ldr r1, [r2, #8]\n"
    "  ldr r0, [sp]\n"
    "  ldr r3, [sp, #4]\n"
    "  ldr r12, [sp, #12]\n"
    "  adds r3, r3, #12\n"
    "  subs r12, r12, #6\n"
    "  blt 7f\n"
    "  add r4, r1, r1, lsl #1\n"
    "  add r5, r1, r1, lsl #2\n"
    "  strb r6, [r0]\n"
    "  strb r7, [r0, r1]\n"
    "  strb r8, [r0, r1, lsl #1]\n"
    "  strb r9, [r0, r4]\n"
    "  strb r10, [r0, r1, lsl #2]\n"
    "  strb r11, [r0, r5]\n"
    "  str r12, [sp, #12]\n"
    "  add r0, r0, r4, lsl #1\n"
    "  strd r0, r3, [sp]\n"
    "  bne 1b\n"
    "  b 8f\n"
    "7:\n"
    "  adds r12, r12, #6\n"
    "  .irp a, r6, r7, r8, r9, r10\n"
    "  strb \\a, [r0]\n"
    "  add r0, r0, r1\n"
    "  subs r12, r12, #1\n"
    "  beq 8f\n"
    "  .endr\n"
    "8:\n"
    "  ldr r0, [sp, #40]\n"
    "  ldr r3, [sp, #44]\n"
    "  ldr r4, [sp, #48]\n"
    "  ldr r5, [r2, #12]\n"
    "  ldr r6, [r2, #56]\n"
    "  add r3, r3, r5\n"
    "  add r4, r4, r6\n"
    "  subs r0, r0, #1\n"
    "  str r0, [sp, #40]\n"
    "  strd r3, r4, [sp, #44]\n"
    "  bne 15b\n"
    "  ldr r0, [sp, #20]\n"
    "  ldr r1, [sp, #24]\n"
    "  ldr r3, [sp, #32]\n"
    "  ldr r4, [sp, #36]\n"
    "  ldr r5, [r2, #24]\n"
    "  adds r0, r0, #1\n"
    "  add r1, r1, r5\n"
    "  adds r3, r3, #16\n"
    "  subs r4, r4, #1\n"
    "  strd r0, r1, [sp, #20]\n"
    "  strd r3, r4, [sp, #32]\n"
    "  bne 10b\n"
    "  add sp, sp, #52\n"
    "  pop {r4-r11, pc}\n"
    "  .size mw_taps_lines, . - mw_taps_lines\n"
    "  .popsection\n");
#else
static int32_t mw_taps_sum(const int16_t *pixel, const int8_t *weights, int32_t acc,
                           const mw_plane_run *run) {
  for (int32_t k = 0; k < run->taps_lines; k++, pixel += run->pitch / 2, weights += run->taps) {
    for (int32_t j = 0; j < run->taps; j++) acc += pixel[j] * weights[j];
  }
  return acc;
}

static void mw_taps_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                          const int32_t *record, const mw_plane_run *run) {
  int32_t taps = run->taps_lines * run->taps;
  for (int32_t c = 0; c < run->channels; c++, weights += taps, record += 4) {
    for (int32_t i = 0; i < run->lines * run->count; i++) {
      int32_t y = i / run->count, at = i % run->count;
      const int16_t *from = plane + (c * run->line_bytes + y * run->down) / 2 + at;
      int32_t acc = mw_taps_sum(from, weights, record[0], run);
      out[y * run->line + at * run->step + c] = (int8_t)mw_plane_result(acc, record);
    }
  }
}
#endif

void mw_depthwise_conv2d_any_s8_dsp(int8_t *out, const int8_t *in,
                                    const mw_depthwise_dsp_params *params, void *workspace) {
  mw_depthwise_planes(out, in, params, workspace, mw_taps_lines);
}
