/* Depthwise convolution over int16 planes: four channels of NHWC become four buffers of lines, each
 * of which an inner loop walks with SMLAD, two taps an instruction.
 *
 * The buffer is int16 [buffer_lines][4 channels][line_bytes / 2]. A line holds the zero point to
 * the left and right of its run, so that no loop knows borders; lines above and below the image
 * hold nothing else. It is filled from the top, a block of output lines is made of it, the lines
 * that the next block shares move to its top, and so on: an image that fits is one block. A group
 * of channels is read before results overwrite what was read, and never beyond: the result may lie
 * where the input lies, also a smaller result at the same start (no output line ends behind the
 * first input line that the buffer does not hold).
 *
 * Channels that are no multiple of four: the last group starts at channels - 4 and the channels
 * that were done are left out; they are read only, their buffers hold what nobody looks at. Fewer
 * than four channels are read byte by byte.
 */
#ifndef MW_PLANE_DSP_H
#define MW_PLANE_DSP_H

#include "mw.h"
#include "mw_dsp.h"

/* How lines of pixels become int16: offsets are known to the assembly. */
typedef struct {
  int32_t step, line; /* bytes from pixel to pixel, from line to line, of the input */
  int32_t line_bytes; /* from channel to channel of the buffer, a fourth of line to line */
  int32_t lead;       /* 1: a single pixel up to the first whole word */
  int32_t pair_bytes; /* of the input that becomes whole words */
  int32_t tail;       /* 1: a last single pixel */
} mw_widening;

/* What a run of inner loops makes: offsets are known to the assembly. */
typedef struct {
  int32_t lines, pitch;   /* output lines; bytes from line to line of the buffer */
  int32_t step, line;     /* bytes from result to result, from line to line, of the output */
  int32_t count;          /* results in a line */
  int32_t channels, line_bytes; /* bytes from channel to channel of the buffer */
  int32_t taps, taps_lines, lines_stride, steps; /* from here on not known to the assembly */
  uint32_t *words; /* room for weights */
} mw_plane_run;

/* Lines of pixels of four channels, to four buffers. A pair of pixels is 2 LDR, 2 PKH that sort the
 * bytes of two channels each, 4 SXTB16, 4 STR and 3 of the loop: 17 cycles for 8 elements. */
#if MW_HAS_DSP
void mw_widen_lines_dsp(int16_t *to, const int8_t *in, const mw_widening *shape, int32_t lines);
/* A single pixel; r4 to r7 are the buffers. */
#define MW_WIDEN_ONE           \
  "  ldr r8, [r1]\n"           \
  "  sxtb16 r10, r8\n"         \
  "  sxtb16 r11, r8, ror #8\n" \
  "  lsr r12, r10, #16\n"      \
  "  lsr lr, r11, #16\n"       \
  "  strh r10, [r4], #2\n"     \
  "  strh r11, [r5], #2\n"     \
  "  strh r12, [r6], #2\n"     \
  "  strh lr, [r7], #2\n"
__asm__(
    "  .syntax unified\n"
    "  .thumb\n"
    "  .pushsection .text.mw_widen_lines_dsp,\"axG\",%progbits,mw_widen_lines_dsp,comdat\n"
    "  .balign 4\n"
    "  .weak mw_widen_lines_dsp\n"
    "  .type mw_widen_lines_dsp, %function\n"
    "  .thumb_func\n"
    "mw_widen_lines_dsp:\n"
    "  push {r4-r11, lr}\n"
    "  sub sp, sp, #12\n"
    "  strd r0, r1, [sp]\n"
    "  str r3, [sp, #8]\n"
    "  mov r0, r2\n"
    "1:\n"
    "  ldrd r4, r1, [sp]\n"
    "  ldm r0, {r2, r3, r8, r9}\n"
    "  add r5, r4, r8\n"
    "  add r6, r5, r8\n"
    "  add r7, r6, r8\n"
    "  add r8, r8, r7\n"
    "  add r3, r3, r1\n"
    "  strd r8, r3, [sp]\n"
    "  cmp r9, #0\n"
    "  beq 2f\n"
    MW_WIDEN_ONE
    "  add r1, r1, r2\n"
    "2:\n"
    "  ldr r3, [r0, #16]\n"
    "  add r1, r1, r3\n"
    "  negs r3, r3\n"
    "  beq 4f\n"
    "  add lr, r1, r2\n"
    "  lsls r2, r2, #1\n"
    "3:\n"
    "  ldr r8, [r1, r3]\n"
    "  ldr r9, [lr, r3]\n"
    "  adds r3, r3, r2\n"
    "  pkhbt r10, r8, r9, lsl #16\n"
    "  pkhtb r12, r9, r8, asr #16\n"
    "  sxtb16 r8, r10\n"
    "  sxtb16 r9, r10, ror #8\n"
    "  sxtb16 r10, r12\n"
    "  sxtb16 r11, r12, ror #8\n"
    "  str r8, [r4], #4\n"
    "  str r9, [r5], #4\n"
    "  str r10, [r6], #4\n"
    "  str r11, [r7], #4\n"
    "  bne 3b\n"
    "4:\n"
    "  ldr r3, [r0, #20]\n"
    "  cbz r3, 5f\n"
    MW_WIDEN_ONE
    "5:\n"
    "  ldr r3, [sp, #8]\n"
    "  subs r3, r3, #1\n"
    "  str r3, [sp, #8]\n"
    "  bne 1b\n"
    "  add sp, sp, #12\n"
    "  pop {r4-r11, pc}\n"
    "  .size mw_widen_lines_dsp, . - mw_widen_lines_dsp\n"
    "  .popsection\n");
#undef MW_WIDEN_ONE
#endif

/* Lines of the first `channels` channels, byte by byte. */
MW_NOINLINE void mw_widen_bytes(int16_t *to, const int8_t *in, const mw_widening *shape,
                                int32_t lines, int32_t channels) {
  int32_t pixels = shape->lead + shape->pair_bytes / shape->step + shape->tail;
  int32_t pitch = shape->line_bytes / 2;
  MW_ROLLED
  for (; lines > 0; lines--, to += 4 * pitch, in += shape->line) {
    MW_ROLLED
    for (int32_t c = 0; c < channels; c++) {
      int16_t *cell = to + c * pitch;
      const int8_t *pixel = in + c;
      MW_ROLLED
      for (int32_t left = pixels; left > 0; left--, pixel += shape->step) *cell++ = *pixel;
    }
  }
}

/* Lines of four of `channels` channels, or of all where there are fewer. */
static inline void mw_widen_lines(int16_t *to, const int8_t *in, const mw_widening *shape,
                                  int32_t lines, int32_t channels) {
#if MW_HAS_DSP
  if (channels >= 4) {
    mw_widen_lines_dsp(to, in, shape, lines);
    return;
  }
#endif
  mw_widen_bytes(to, in, shape, lines, mw_min_s32(channels, 4));
}

/* Output lines of neighbouring channels: first result, buffer, weights and record of the first. */
typedef void mw_plane_kernel(int8_t *out, const int16_t *plane, const int8_t *weights,
                             const int32_t *record, const mw_plane_run *run);

/* Two pixels; lines are filled and moved by words, read and written by halfwords. */
#if defined(__GNUC__)
typedef uint32_t __attribute__((__may_alias__)) mw_pixels_word;
#else
typedef uint32_t mw_pixels_word;
#endif

MW_NOINLINE void mw_plane_fill(int16_t *line, int32_t words, int32_t zero) {
  mw_pixels_word *to = (mw_pixels_word *)(void *)line, word = mw_lanes(zero, zero);
  MW_ROLLED
  for (; words >= 4; words -= 4, to += 4) to[0] = word, to[1] = word, to[2] = word, to[3] = word;
}

/* Towards the front, at least four words. */
MW_NOINLINE void mw_plane_move(int16_t *line, const int16_t *other, int32_t words) {
  mw_pixels_word *to = (mw_pixels_word *)(void *)line;
  const mw_pixels_word *from = (const mw_pixels_word *)(const void *)other;
  MW_ROLLED
  for (; words >= 4; words -= 4, to += 4, from += 4) {
    uint32_t w0 = from[0], w1 = from[1], w2 = from[2], w3 = from[3];
    to[0] = w0, to[1] = w1, to[2] = w2, to[3] = w3;
  }
}

/* Buffer lines `have` to `need` - 1, the first of them image line `line` (outside it, padding). */
MW_NOINLINE void mw_plane_load(int16_t *buffer, const int8_t *in, const mw_widening *shape,
                               int32_t have, int32_t need, int32_t line,
                               const mw_depthwise_dsp_params *p) {
  int32_t pitch = 2 * shape->line_bytes; /* in halfwords */
  for (; have < need; have++, line++) {
    int16_t *to = buffer + have * pitch;
    if (line < 0 || line >= p->lines_in) {
      mw_plane_fill(to, pitch / 2, p->in_zero_point);
      continue;
    }
    int32_t lines = mw_min_s32(need - have, p->lines_in - line);
    mw_widen_lines(to + p->run_pad, in + line * shape->line, shape, lines, p->channels);
    have += lines - 1, line += lines - 1;
  }
}

/* Four channels in blocks; `out` and `weights` of the first of them that is made. */
MW_INLINE void mw_plane_blocks(int8_t *out, const int8_t *in, const int8_t *weights,
                               const int32_t *records, const mw_widening *shape,
                               const mw_depthwise_dsp_params *p, int16_t *buffer, int32_t skip,
                               mw_plane_run *run, mw_plane_kernel *kernel) {
  int32_t block = run->lines, have = 0, top = -p->lines_pad;
  for (int32_t left = p->lines_out;; out += block * p->out_line) {
    run->lines = mw_min_s32(block, left);
    int32_t moved = run->lines * p->lines_stride;
    int32_t need = moved - p->lines_stride + p->lines_kernel;
    mw_plane_load(buffer, in, shape, have, need, top, p);
    kernel(out, buffer + skip, weights, records, run);
    if ((left -= block) <= 0) break;
    top += need - have;
    have = need - moved;
    if (have < 0) top -= have, have = 0; /* lines between windows */
    mw_plane_move(buffer, buffer + moved * 2 * p->line_bytes, have * p->line_bytes);
  }
  run->lines = block;
}

/* The lines of an image that one buffer holds, padding apart, which stays there. */
static inline int32_t mw_plane_whole(const mw_depthwise_dsp_params *p) {
  int32_t need = (p->lines_out - 1) * p->lines_stride + p->lines_kernel;
  return mw_min_s32(need - p->lines_pad, p->lines_in);
}

MW_INLINE void mw_depthwise_planes(int8_t *out, const int8_t *in, const mw_depthwise_dsp_params *p,
                                   int16_t *buffer, mw_plane_kernel *kernel) {
  int32_t pixels = (p->run_out - 1) * p->run_stride + p->run_kernel - p->run_pad;
  pixels = mw_max_s32(mw_min_s32(pixels, p->run_in), 1);
  int32_t lead = p->run_pad & 1, tail = (pixels - lead) & 1;
  mw_widening shape = {p->in_step, p->in_line, p->line_bytes, lead, 0, tail};
  shape.pair_bytes = (pixels - lead - tail) * p->in_step;
  mw_plane_run run = {0, 4 * p->line_bytes, p->out_step, p->out_line, p->run_out, 0, p->line_bytes,
                      p->run_kernel, p->lines_kernel, p->lines_stride, p->steps, NULL};
  run.words = (uint32_t *)(void *)(buffer + p->buffer_lines * 2 * p->line_bytes);
  run.lines = (p->buffer_lines - p->lines_kernel) / p->lines_stride + 1;
  int32_t taps = p->lines_kernel * p->run_kernel, whole = 0;
  if (run.lines >= p->lines_out) run.lines = p->lines_out, whole = mw_plane_whole(p);
  int16_t *start = buffer + p->lines_pad * 2 * p->line_bytes + p->run_pad;
  mw_plane_fill(buffer, p->buffer_lines * p->line_bytes, p->in_zero_point);
  for (int32_t n = 0; n < p->batches; n++, in += p->in_bytes, out += p->out_bytes) {
    const int8_t *weights = p->weights;
    const int32_t *records = p->records;
    for (int32_t c = 0; c < p->channels; c += run.channels) {
      int32_t first = mw_max_s32(mw_min_s32(c, p->channels - 4), 0);
      int32_t skip = (c - first) * (p->line_bytes / 2);
      run.channels = mw_min_s32(p->channels - c, 4);
      if (whole > 0) {
        mw_widen_lines(start, in + first, &shape, whole, p->channels);
        kernel(out + c, buffer + skip, weights, records, &run);
      } else {
        mw_plane_blocks(out + c, in + first, weights, records, &shape, p, buffer, skip, &run,
                        kernel);
      }
      weights += run.channels * taps, records += 4 * run.channels;
    }
    mw_bound_bytes(out, p->out_bytes, p->clamp_min, p->clamp_max);
  }
}

#endif
