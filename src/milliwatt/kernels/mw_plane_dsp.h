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
  int32_t step, line;    /* bytes from pixel to pixel, from line to line, of the input */
  int32_t line_bytes;    /* from channel to channel of the buffer, a fourth of line to line */
  int32_t lead, pairs, tail; /* a single pixel up to a word, whole words, a last single pixel */
} mw_widening;

/* What a run of inner loops makes: offsets are known to the assembly. */
typedef struct {
  int32_t lines, pitch;   /* output lines; bytes from line to line of the buffer */
  int32_t step, line;     /* bytes from result to result, from line to line, of the output */
  int32_t count;          /* results in a line */
  int32_t channels, line_bytes; /* bytes from channel to channel of the buffer */
} mw_plane_run;

/* Words of a line from its first pixel on: pixel pairs of four channels to four buffers.
 * A pair of pixels is 2 LDR, 4 SXTB16, 4 PKH, 4 STR and 3 of the loop: 20 cycles for 8 elements. */
#if MW_HAS_DSP
void mw_widen_lines_dsp(int16_t *to, const int8_t *in, const mw_widening *shape, int32_t lines);
/* r0 shape, r1 in, r2 step, r4 to r7 buffers. */
#define MW_WIDEN_ONE          \
  "  ldr r8, [r1]\n"          \
  "  add r1, r1, r2\n"        \
  "  sxtb16 r10, r8\n"        \
  "  sxtb16 r11, r8, ror #8\n" \
  "  lsr r12, r10, #16\n"     \
  "  lsr lr, r11, #16\n"      \
  "  strh r10, [r4], #2\n"    \
  "  strh r11, [r5], #2\n"    \
  "  strh r12, [r6], #2\n"    \
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
    "  ldr r2, [r0, #8]\n"
    "  ldr r3, [r0, #4]\n"
    "  add r5, r4, r2\n"
    "  add r6, r5, r2\n"
    "  add r7, r6, r2\n"
    "  add r8, r7, r2\n"
    "  add r9, r1, r3\n"
    "  strd r8, r9, [sp]\n"
    "  ldr r2, [r0]\n"
    "  ldr r3, [r0, #12]\n"
    "  cbz r3, 2f\n"
    MW_WIDEN_ONE
    "2:\n"
    "  ldr r3, [r0, #16]\n"
    "  cbz r3, 4f\n"
    "3:\n"
    "  ldr r8, [r1]\n"
    "  ldr r9, [r1, r2]\n"
    "  add r1, r1, r2, lsl #1\n"
    "  sxtb16 r10, r8\n"
    "  sxtb16 r11, r8, ror #8\n"
    "  sxtb16 r12, r9\n"
    "  sxtb16 lr, r9, ror #8\n"
    "  pkhbt r8, r10, r12, lsl #16\n"
    "  pkhbt r9, r11, lr, lsl #16\n"
    "  pkhtb r12, r12, r10, asr #16\n"
    "  pkhtb lr, lr, r11, asr #16\n"
    "  subs r3, r3, #1\n"
    "  str r8, [r4], #4\n"
    "  str r9, [r5], #4\n"
    "  str r12, [r6], #4\n"
    "  str lr, [r7], #4\n"
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
MW_NOINLINE void mw_widen_lines(int16_t *to, const int8_t *in, const mw_widening *shape,
                                int32_t lines, int32_t channels) {
  int32_t pixels = shape->lead + 2 * shape->pairs + shape->tail, pitch = shape->line_bytes / 2;
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
    const int8_t *from = in + line * shape->line;
    to += p->run_pad;
#if MW_HAS_DSP
    if (p->channels >= 4)
      mw_widen_lines_dsp(to, from, shape, lines);
    else
      mw_widen_lines(to, from, shape, lines, p->channels);
#else
    mw_widen_lines(to, from, shape, lines, mw_min_s32(p->channels, 4));
#endif
    have += lines - 1, line += lines - 1;
  }
}

/* The channels from `first` of four of one image, `skip` of them left out. */
static inline void mw_plane_group(int8_t *out, const int8_t *in, int32_t first, int32_t skip,
                                  const mw_widening *shape, const mw_depthwise_dsp_params *p,
                                  int16_t *buffer, mw_plane_kernel *kernel) {
  int32_t block = (p->buffer_lines - p->lines_kernel) / p->lines_stride + 1;
  int32_t have = 0, top = -p->lines_pad, taps = p->lines_kernel * p->run_kernel;
  int32_t channels = mw_min_s32(p->channels - first, 4);
  mw_plane_run run = {0,          4 * p->line_bytes, p->out_step,   p->out_line,
                      p->run_out, channels - skip,   p->line_bytes};
  int32_t whole = p->lines_out <= block; /* then lines of padding stay as they are */
  if (whole && p->lines_pad > 0) have = p->lines_pad, top = 0;
  for (int32_t y = 0; y < p->lines_out; y += run.lines) {
    run.lines = mw_min_s32(block, p->lines_out - y);
    int32_t need = (run.lines - 1) * p->lines_stride + p->lines_kernel;
    int32_t end = whole ? mw_min_s32(need, p->lines_pad + p->lines_in) : need;
    mw_plane_load(buffer, in + first, shape, have, end, top, p);
    int32_t c = first + skip;
    kernel(out + y * p->out_line + c, buffer + skip * (p->line_bytes / 2), p->weights + c * taps,
           p->records + 4 * c, &run);
    int32_t moved = run.lines * p->lines_stride;
    top += need - have;
    have = need - moved;
    if (have < 0) top -= have, have = 0; /* lines between windows */
    if (y + run.lines < p->lines_out) {
      mw_plane_move(buffer, buffer + moved * 2 * p->line_bytes, have * p->line_bytes);
    }
  }
}

MW_INLINE void mw_depthwise_planes(int8_t *out, const int8_t *in, const mw_depthwise_dsp_params *p,
                                   int16_t *buffer, mw_plane_kernel *kernel) {
  int32_t pixels = (p->run_out - 1) * p->run_stride + p->run_kernel - p->run_pad;
  pixels = mw_max_s32(mw_min_s32(pixels, p->run_in), 1);
  mw_widening shape = {p->in_step, p->in_line, p->line_bytes, p->run_pad & 1, 0, 0};
  shape.pairs = (pixels - shape.lead) / 2;
  shape.tail = (pixels - shape.lead) & 1;
  mw_plane_fill(buffer, p->buffer_lines * p->line_bytes, p->in_zero_point);
  for (int32_t n = 0; n < p->batches; n++, in += p->in_bytes, out += p->out_bytes) {
    for (int32_t c = 0; c < p->channels; c += 4) {
      int32_t first = mw_max_s32(mw_min_s32(c, p->channels - 4), 0);
      mw_plane_group(out, in, first, c - first, &shape, p, buffer, kernel);
    }
    mw_bound_bytes(out, p->out_bytes, p->clamp_min, p->clamp_max);
  }
}

#endif
