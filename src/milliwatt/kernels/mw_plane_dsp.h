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
#include "mw_widen_dsp.h"

/* What a run of inner loops makes: offsets are known to the assembly. */
typedef struct {
  int32_t lines, pitch;   /* output lines; bytes from line to line of the buffer */
  int32_t step, line;     /* bytes from result to result, from line to line, of the output */
  int32_t count;          /* results in a line */
  int32_t channels, line_bytes; /* bytes from channel to channel of the buffer */
  int32_t taps, taps_lines, lines_stride, steps;
  uint32_t *words; /* room for weights */
  int32_t triples; /* weight words in threes */
  int32_t next, down; /* from the end of a kernel line to the next, from window to window below */
} mw_plane_run;

/* Output lines of neighbouring channels: first result, buffer, weights and record of the first. */
typedef void mw_plane_kernel(int8_t *out, const int16_t *plane, const int8_t *weights,
                             const int32_t *record, const mw_plane_run *run);

#if !MW_HAS_DSP
/* A sum by its record {bias, factor, offset, 0} or {bias, 2 * multiplier - 2^32, zero_point,
 * 2^(32 - right) + 1}; the one takes from a negative x what rounds its halves away from zero. */
static inline int32_t mw_plane_result(int32_t acc, const int32_t *record) {
  if (record[3] == 0) return mw_one_step(acc, record[1], record[2]);
  int32_t x = mw_wrap_add(acc, mw_smmulr(acc, record[1]));
  return mw_ssat8(mw_wrap_add(mw_smmulr(x, record[3]), record[2]));
}
#endif

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

/* One image whose lines fit the buffer, `whole` of them and padding, which stays there. */
MW_NOINLINE void mw_plane_image(int8_t *out, const int8_t *in, const mw_depthwise_dsp_params *p,
                                const mw_widening *shape, mw_plane_run *run, int16_t *buffer,
                                int32_t whole, mw_plane_kernel *kernel) {
  const int8_t *weights = p->weights;
  const int32_t *records = p->records;
  int16_t *start = buffer + p->lines_pad * 2 * p->line_bytes + p->run_pad;
  int32_t left = p->channels, taps = 4 * run->taps * run->taps_lines;
  run->channels = 4;
  MW_ROLLED
  for (; left >= 4; left -= 4, in += 4, out += 4, weights += taps, records += 16) {
    mw_widen_lines(start, in, shape, whole, 4);
    kernel(out, buffer, weights, records, run);
  }
  if (left == 0) return;
  int32_t back = p->channels < 4 ? 0 : 4 - left;
  run->channels = left;
  mw_widen_lines(start, in - back, shape, whole, p->channels);
  kernel(out, buffer + back * (p->line_bytes / 2), weights, records, run);
}

/* Four channels in blocks; `out` and `weights` of the first of them that is made. */
MW_NOINLINE void mw_plane_blocks(int8_t *out, const int8_t *in, const int8_t *weights,
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

static inline void mw_depthwise_planes(int8_t *out, const int8_t *in,
                                       const mw_depthwise_dsp_params *p, int16_t *buffer,
                                       mw_plane_kernel *kernel) {
  int32_t pixels = (p->run_out - 1) * p->run_stride + p->run_kernel - p->run_pad;
  pixels = mw_max_s32(mw_min_s32(pixels, p->run_in), 1);
  int32_t lead = p->run_pad & 1, tail = (pixels - lead) & 1;
  mw_widening shape = {p->in_step, p->in_line, p->line_bytes, lead, 0, tail};
  shape.pair_bytes = (pixels - lead - tail) * p->in_step;
  mw_plane_run run = {0, 4 * p->line_bytes, p->out_step, p->out_line, p->run_out, 0, p->line_bytes,
                      p->run_kernel, p->lines_kernel, p->lines_stride, p->steps, NULL, 0, 0, 0};
  run.triples = (p->run_kernel / 2 + 3) / 3;
  run.next = run.pitch - 12 * run.triples - 8;
  run.down = p->lines_stride * run.pitch;
  run.words = (uint32_t *)(void *)(buffer + p->buffer_lines * 2 * p->line_bytes);
  run.lines = (p->buffer_lines - p->lines_kernel) / p->lines_stride + 1;
  int32_t need = (p->lines_out - 1) * p->lines_stride + p->lines_kernel;
  int32_t whole = run.lines >= p->lines_out, taps = p->lines_kernel * p->run_kernel;
  if (whole) run.lines = p->lines_out, whole = mw_min_s32(need - p->lines_pad, p->lines_in);
  mw_plane_fill(buffer, p->buffer_lines * p->line_bytes, p->in_zero_point);
  for (int32_t n = 0; n < p->batches; n++, in += p->in_bytes, out += p->out_bytes) {
    if (whole) mw_plane_image(out, in, p, &shape, &run, buffer, whole, kernel);
    for (int32_t c = 0; c < p->channels && !whole; c += 4) {
      int32_t first = mw_max_s32(mw_min_s32(c, p->channels - 4), 0);
      run.channels = mw_min_s32(p->channels - c, 4);
      mw_plane_blocks(out + c, in + first, p->weights + c * taps, p->records + 4 * c, &shape, p,
                      buffer, (c - first) * (p->line_bytes / 2), &run, kernel);
    }
    mw_bound_bytes(out, p->out_bytes, p->clamp_min, p->clamp_max);
  }
}

#endif
