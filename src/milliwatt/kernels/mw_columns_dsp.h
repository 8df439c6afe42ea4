/* Windows of an image as int16 columns, for the kernels that feed mw_gemm_s8_dsp. */
#ifndef MW_COLUMNS_DSP_H
#define MW_COLUMNS_DSP_H

#include "mw_gemm_dsp.h"
#include "mw.h"

/* One of two interleaved columns from the window at `in`, whose rows are `row` bytes apart.
 *
 * A window is strips of runs: all of `rows` runs of `run` bytes lie one row apart, strips lie
 * `strip` bytes apart. Source order is the whole fours of all runs of all strips, then what the
 * runs have left; that is collected in `bytes` (3 a run at most) first. */
static inline void mw_column_dsp(uint32_t *column, const int8_t *in, int32_t row,
                                 const mw_columns_dsp *c, int8_t *bytes) {
  int32_t quads = c->run >> 2, left = c->run & 3, words = 4 * quads * c->rows;
  int8_t *to = bytes;
  MW_ROLLED
  for (int32_t strip = 0; strip < c->strips; strip++, in += c->strip, column += words) {
    if (quads) mw_widen_s8_dsp(column, in, quads, c->rows, row);
    if (!left) continue;
    const int8_t *from = in + 4 * quads;
    MW_ROLLED
    for (int32_t ky = 0; ky < c->rows; ky++, from += row) {
      *to++ = from[0];
      if (left > 1) *to++ = from[1];
      if (left > 2) *to++ = from[2];
    }
  }
  if (!left) return;
  int32_t count = (int32_t)(to - bytes);
  if (count >> 2) mw_widen_s8_dsp(column, bytes, count >> 2, 1, 0);
  column += 4 * (count >> 2), bytes = to - (count & 3);
  if (count & 2) *column = mw_lanes(bytes[0], bytes[1]), column += 2, bytes += 2;
  if (count & 1) *column = mw_lanes(bytes[0], 0);
}

/* `rows` rows of an image as an output row sees them, from input row y on, `dilation_h` apart, with
 * cells outside the image at the input zero point: [rows, width, in_c] at `to`. */
static inline void mw_padded_rows_dsp(int8_t *to, const int8_t *image, int32_t y, int32_t width,
                                      const mw_conv2d_s8_dsp_params *p) {
  int32_t before = p->pad_left * p->in_c, bytes = width * p->in_c;
  int32_t inside = mw_min_s32(p->in_w * p->in_c, bytes - before);
  if (inside < 0) inside = 0, before = bytes;
  MW_ROLLED
  for (int32_t ky = 0; ky < p->kernel_h; ky++, y += p->dilation_h, to += bytes) {
    if (y < 0 || y >= p->in_h) {
      memset(to, p->in_zero_point, (size_t)bytes);
      continue;
    }
    if (before) memset(to, p->in_zero_point, (size_t)before);
    if (inside) memcpy(to + before, image + y * p->in_w * p->in_c, (size_t)inside);
    int32_t after = bytes - before - inside;
    if (after) memset(to + before + inside, p->in_zero_point, (size_t)after);
  }
}

#endif
