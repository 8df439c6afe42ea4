/* Windows of an image as int16 columns, for the kernels that feed mw_gemm_s8_dsp. */
#ifndef MW_COLUMNS_DSP_H
#define MW_COLUMNS_DSP_H

#include "mw.h"
#include "mw_gemm_dsp.h"

/* How the windows of an image whose rows are `row` bytes apart become columns. A window's rows are
 * its runs; where it is dilated sideways its columns of cells are strips of runs. */
static inline mw_window_dsp mw_window_of(const mw_conv2d_s8_dsp_params *p, int32_t row) {
  int32_t strips = p->dilation_w > 1 ? p->kernel_w : 1;
  int32_t run = p->kernel_w / strips * p->in_c, quads = run >> 2;
  mw_window_dsp w = {quads, run & 3, p->kernel_h, row - run, 16 * quads * p->kernel_h * strips,
                     p->stride_w * p->in_c - p->kernel_h * row, 4 * p->products};
  return w;
}

/* Columns of `pixels` pixels whose windows lie side by side from `in` on, behind `filled` columns
 * that are at `columns` already. */
static inline void mw_columns_dsp(uint32_t *columns, int32_t filled, const int8_t *in,
                                  const mw_window_dsp *window, int32_t pixels,
                                  const mw_conv2d_s8_dsp_params *p) {
  uint32_t *to = columns + (filled >> 1) * (window->pair >> 2) + (filled & 1);
  if (p->dilation_w == 1) {
    mw_widen_s8_dsp(to, in, window, filled & 1, pixels);
    return;
  }
  MW_ROLLED
  for (; pixels > 0; pixels--, in += p->stride_w * p->in_c, filled++) {
    mw_window_dsp strip = *window;
    to = columns + (filled >> 1) * (window->pair >> 2) + (filled & 1);
    MW_ROLLED
    for (int32_t kx = 0; kx < p->kernel_w; kx++) {
      int32_t lane = kx * strip.runs * strip.left, words = 4 * strip.quads * strip.runs;
      strip.tail = window->tail - 4 * kx * words + 4 * (lane & ~1) + 2 * (lane & 1);
      mw_widen_s8_dsp(to + kx * words, in + kx * p->dilation_w * p->in_c, &strip, 0, 1);
    }
  }
}

/* The rows that an output row's windows see, input rows y, y + dilation_h and so on, cells outside
 * the image at the input zero point: [kernel_h, bytes] at `rows`. `known` is how many rows of the
 * last call, from its end, are this one's first; less than 0 in the first call. */
static inline void mw_padded_rows_dsp(int8_t *rows, const int8_t *image, int32_t y, int32_t bytes,
                                      int32_t known, const mw_conv2d_s8_dsp_params *p) {
  int32_t before = mw_min_s32(p->pad_left * p->in_c, bytes);
  int32_t inside = mw_min_s32(p->in_w * p->in_c, bytes - before);
  if (known < 0) memset(rows, p->in_zero_point, (size_t)(p->kernel_h * bytes));
  if (known > 0) memmove(rows, rows + (p->kernel_h - known) * bytes, (size_t)(known * bytes));
  known = mw_max_s32(known, 0);
  y += known * p->dilation_h, rows += known * bytes + before;
  MW_ROLLED
  for (; known < p->kernel_h; known++, y += p->dilation_h, rows += bytes) {
    if (y < 0 || y >= p->in_h)
      memset(rows, p->in_zero_point, (size_t)inside);
    else
      memcpy(rows, image + y * p->in_w * p->in_c, (size_t)inside);
  }
}

#endif
