/* depthwise_conv2d, any kernel that moves by one along its runs, one output per input channel, s8;
 * for the DSP extension.
 *
 * out[n,y,x,c] = requantize(bias[c] + sum_t in[n,tap t,c] * w[c,t]), brought within the clamp; taps
 * outside the image read as in_zero_point. Requantization takes one step or two (mw_dsp.h), the
 * second of two as (x * 2^(32 - right) + 2^31 >> 32) + zero_point.
 *
 * Inner loop, six results of a line: a channel's weights become words once, E = (w0, w1), (w2, w3)
 * .. for even results and O = (0, w0), (w1, w2) .. for odd ones. Word j of the pixels meets E j and
 * O j, and so does word j + 1 for the next two results and word j + 2 for the last two: 3 loads and
 * 6 SMLAD for 12 products, 10 cycles; three times in a row, so that pixels stay where they are.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]; runs are rows or columns (mw_op_dsp_depthwise.h),
 * weights [C][line][run]; records {bias, factor, offset, 0} or {bias, multiplier, zero_point,
 * 2^(32 - right)}. Ranges: |acc| < 2^30, checked when packing. Workspace: buffer_lines * 4 *
 * line_bytes, see mw_plane_dsp.h, then lines_kernel * words * 8 for weights, words = run_kernel / 2
 * + 1 rounded up to a multiple of 3. Overlap: as depthwise_conv2d_s8_dsp. Rounding: TFLite's two.
 * Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_plane_dsp.h"

/* What six results take; offsets are known to the assembly. */
typedef struct {
  const uint32_t *words;
  int32_t triples, lines, pitch; /* words in threes; kernel lines */
  int32_t step, count;
  int32_t bias, factor, offset, power, steps;
} mw_taps_line;

#if MW_HAS_DSP
void mw_taps_line_dsp(int8_t *out, const int16_t *plane, const mw_taps_line *line);
/* r0 pixels, r1 weights, r2 counts triples, r3 to r5 pixels, r6 to r11 sums, r12 and lr weights. */
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
    "  .macro mw_taps_two_steps a\n"
    "  add \\a, \\a, \\a\n"
    "  smmulr \\a, \\a, r3\n"
    "  add \\a, \\a, \\a, asr #31\n"
    "  smmlar \\a, \\a, r5, r4\n"
    "  ssat \\a, #8, \\a\n"
    "  .endm\n"
    "  .pushsection .text.mw_taps_line_dsp,\"ax\",%progbits\n"
    "  .balign 4\n"
    "  .type mw_taps_line_dsp, %function\n"
    "  .thumb_func\n"
    "mw_taps_line_dsp:\n"
    "  push {r4-r11, lr}\n"
    "  sub sp, sp, #20\n"
    "  ldr r3, [r2, #20]\n"
    "  strd r0, r1, [sp]\n"
    "  strd r2, r3, [sp, #8]\n"
    "1:\n"
    "  ldr r6, [r2, #24]\n"
    "  ldr r12, [r2, #8]\n"
    "  ldr r1, [r2]\n"
    "  ldr r0, [sp, #4]\n"
    "  mov r7, r6\n"
    "  mov r8, r6\n"
    "  mov r9, r6\n"
    "  mov r10, r6\n"
    "  mov r11, r6\n"
    "2:\n"
    "  ldr r3, [sp, #8]\n"
    "  str r12, [sp, #16]\n"
    "  ldr r2, [r3, #4]\n"
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
    "  ldr r3, [r2, #12]\n"
    "  ldr r4, [r2, #4]\n"
    "  add r0, r0, r3\n"
    "  add r4, r4, r4, lsl #1\n"
    "  sub r0, r0, r4, lsl #2\n"
    "  subs r0, r0, #8\n"
    "  b 2b\n"
    "4:\n"
    "  ldr r0, [r2, #40]\n"
    "  ldr r3, [r2, #28]\n"
    "  ldr r4, [r2, #32]\n"
    "  ldr r5, [r2, #36]\n"
    "  cmp r0, #1\n"
    "  bne 5f\n"
    "  smmla r6, r6, r3, r4\n"
    "  smmla r7, r7, r3, r4\n"
    "  smmla r8, r8, r3, r4\n"
    "  smmla r9, r9, r3, r4\n"
    "  smmla r10, r10, r3, r4\n"
    "  smmla r11, r11, r3, r4\n"
    "  ssat r6, #8, r6\n"
    "  ssat r7, #8, r7\n"
    "  ssat r8, #8, r8\n"
    "  ssat r9, #8, r9\n"
    "  ssat r10, #8, r10\n"
    "  ssat r11, #8, r11\n"
    "  b 6f\n"
    "5:\n"
    "  mw_taps_two_steps r6\n"
    "  mw_taps_two_steps r7\n"
    "  mw_taps_two_steps r8\n"
    "  mw_taps_two_steps r9\n"
    "  mw_taps_two_steps r10\n"
    "  mw_taps_two_steps r11\n"
    "6:\n"
    "  ldr r1, [r2, #16]\n"
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
    "  add r0, r0, r4, lsl #1\n"
    "  strd r0, r3, [sp]\n"
    "  str r12, [sp, #12]\n"
    "  bgt 1b\n"
    "  b 8f\n"
    "7:\n"
    "  strb r6, [r0], #0\n"
    "  cmp r12, #-5\n"
    "  beq 8f\n"
    "  strb r7, [r0, r1]\n"
    "  cmp r12, #-4\n"
    "  beq 8f\n"
    "  strb r8, [r0, r1, lsl #1]\n"
    "  cmp r12, #-3\n"
    "  beq 8f\n"
    "  add r0, r0, r1\n"
    "  strb r9, [r0, r1, lsl #1]\n"
    "  cmp r12, #-2\n"
    "  beq 8f\n"
    "  add r0, r0, r1\n"
    "  strb r10, [r0, r1, lsl #1]\n"
    "8:\n"
    "  add sp, sp, #20\n"
    "  pop {r4-r11, pc}\n"
    "  .size mw_taps_line_dsp, . - mw_taps_line_dsp\n"
    "  .popsection\n"
    "  .purgem mw_taps_word\n"
    "  .purgem mw_taps_two_steps\n");
#else
static int32_t mw_taps_sum(const int16_t *pixel, const mw_taps_line *line, int32_t odd) {
  int32_t acc = line->bias;
  const uint32_t *words = line->words + odd;
  for (int32_t k = 0; k < line->lines; k++, pixel += line->pitch / 2) {
    for (int32_t j = 0; j < 3 * line->triples; j++, words += 2) {
      acc = mw_smlad(mw_lanes(pixel[2 * j], pixel[2 * j + 1]), *words, acc);
    }
  }
  return acc;
}

static void mw_taps_line_dsp(int8_t *out, const int16_t *plane, const mw_taps_line *line) {
  for (int32_t i = 0; i < line->count; i++, out += line->step) {
    int32_t acc = mw_taps_sum(plane + i / 2 * 2, line, i & 1);
    if (line->steps == 1) {
      *out = (int8_t)mw_one_step(acc, line->factor, line->offset);
      continue;
    }
    int32_t x = mw_smmulr(acc + acc, line->factor);
    *out = (int8_t)mw_ssat8(mw_wrap_add(mw_smmulr(x + (x >> 31), line->power), line->offset));
  }
}
#endif

/* A channel's weights as words, the even and the odd ones in turn. */
static inline void mw_taps_words(uint32_t *to, const int8_t *weights, int32_t lines, int32_t taps,
                                 int32_t triples) {
  for (; lines > 0; lines--) {
    int32_t left = taps, before = 0, words = 3 * triples;
    MW_ROLLED
    for (; left >= 2; left -= 2, weights += 2, to += 2, words--) {
      int32_t w0 = weights[0], w1 = weights[1];
      to[0] = mw_lanes(w0, w1), to[1] = mw_lanes(before, w0);
      before = w1;
    }
    int32_t last = left > 0 ? *weights++ : 0;
    to[0] = mw_lanes(last, 0), to[1] = mw_lanes(before, last);
    MW_ROLLED
    for (to += 2; words > 1; words--, to += 2) to[0] = 0, to[1] = 0;
  }
}

static void mw_taps_lines(int8_t *out, const int16_t *plane, const int8_t *weights,
                          const int32_t *record, const mw_plane_run *run) {
  int32_t taps = run->taps_lines * run->taps;
  mw_taps_line line = {run->words, (run->taps / 2 + 3) / 3, run->taps_lines, run->pitch,
                       run->step,  run->count,              0,               0,
                       0,          0,                       run->steps};
  for (int32_t c = run->channels; c > 0; c--, weights += taps, record += 4, out++) {
    mw_taps_words(run->words, weights, run->taps_lines, run->taps, line.triples);
    line.bias = record[0], line.factor = record[1], line.offset = record[2], line.power = record[3];
    const int16_t *from = plane;
    int8_t *to = out;
    for (int32_t y = run->lines; y > 0; y--, to += run->line) {
      mw_taps_line_dsp(to, from, &line);
      from += run->lines_stride * run->pitch / 2;
    }
    plane += run->line_bytes / 2;
  }
}

void mw_depthwise_conv2d_any_s8_dsp(int8_t *out, const int8_t *in,
                                    const mw_depthwise_dsp_params *params, void *workspace) {
  mw_depthwise_planes(out, in, params, workspace, mw_taps_lines);
}
