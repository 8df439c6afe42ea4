/* The walk of the general convolutions: over the outputs of a filter, and over the taps of each
 * that lie inside the image. Internal. */
#ifndef MW_FILTERS_H
#define MW_FILTERS_H

#include "mw.h"

/* Along one axis: `count` taps, `up` apart from `tap` on, read the cells `dilation` apart from
 * `cell` on. */
typedef struct {
  int32_t tap, cell, count;
} mw_span;

/* `at` is where tap 0 lies among `size` cells that are `up` apart; above 1 the dilation is 1. */
static inline mw_span mw_span_at(int32_t at, int32_t taps, int32_t dilation, int32_t up,
                                 int32_t size) {
  mw_span span = {0, at, 0};
  if (at < 0) {
    span.tap = dilation > 1 ? (dilation - 1 - at) / dilation : -at;
    if (span.tap >= taps) return (mw_span){0, 0, 0};
    span.cell = at + span.tap * dilation;
  }
  if (up > 1) {
    int32_t past = span.cell % up, skip = past ? up - past : 0;
    span.tap += skip;
    span.cell = (span.cell + skip) / up;
  }
  int32_t left = taps - span.tap, cells = size - span.cell;
  if (left <= 0 || cells <= 0) return (mw_span){0, 0, 0};
  if (up > 1) left = (left - 1) / up + 1;
  if (dilation > 1) cells = (cells - 1) / dilation + 1;
  span.count = mw_min_s32(left, cells);
  return span;
}

/* One output of a filter: its place and, from `image` on, what its window covers. */
typedef struct {
  int32_t y, x;
  ptrdiff_t image; /* the image's first cell, in elements from the input's first */
  mw_span down, right;
} mw_pixel;

static inline void mw_pixel_down(mw_pixel *pixel, const mw_filters *p) {
  pixel->down = mw_span_at(pixel->y * p->stride_h - p->pad_top, p->kernel_h, p->dilation_h,
                           p->up_h, p->in_h);
}

static inline void mw_pixel_right(mw_pixel *pixel, const mw_filters *p) {
  pixel->right = mw_span_at(pixel->x * p->stride_w - p->pad_left, p->kernel_w, p->dilation_w,
                            p->up_w, p->in_w);
}

static inline mw_pixel mw_pixel_first(const mw_filters *p) {
  mw_pixel pixel = {0, 0, 0, {0, 0, 0}, {0, 0, 0}};
  mw_pixel_down(&pixel, p);
  mw_pixel_right(&pixel, p);
  return pixel;
}

/* The next output in memory order; there must be one. */
static inline void mw_pixel_next(mw_pixel *pixel, const mw_filters *p) {
  if (++pixel->x == p->out_w) {
    pixel->x = 0;
    if (++pixel->y == p->out_h) {
      pixel->y = 0;
      pixel->image += (ptrdiff_t)p->in_h * p->in_w * p->in_c;
    }
    mw_pixel_down(pixel, p);
  }
  mw_pixel_right(pixel, p);
}

static inline int32_t mw_pixels(const mw_filters *p) { return p->batches * p->out_h * p->out_w; }

/* Filters of one channel whose weights for a tap lie side by side: those of depthwise_conv2d. */
static inline int32_t mw_side_by_side(const mw_filters *p) {
  return p->depth == 1 && p->filter_step == 1;
}

/* Row i of a window: its first cell, in elements from the image's first, and that cell's tap. */
static inline int32_t mw_pixel_cell(const mw_pixel *pixel, int32_t i, const mw_filters *p) {
  int32_t row = (pixel->down.cell + i * p->dilation_h) * p->in_w;
  return (row + pixel->right.cell) * p->in_c;
}

static inline int32_t mw_pixel_tap(const mw_pixel *pixel, int32_t i, const mw_filters *p) {
  return (pixel->down.tap + i * p->up_h) * p->kernel_w + pixel->right.tap;
}

#endif
