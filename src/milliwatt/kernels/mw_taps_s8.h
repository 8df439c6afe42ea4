/* Where the taps of a depthwise window lie; depthwise_conv2d_s8 and depthwise_conv2d_mult_s8 share
 * it.
 *
 * A tap is an address to which the channel index is added. Inside the image the taps of a window
 * are constant distances from its first cell, computed once; at the border each is an absolute
 * address, and a tap outside the image points to a row that holds the input zero point. Workspace:
 * two tables of kernel_h * kernel_w addresses, then the row of in_c bytes.
 */
#ifndef MW_TAPS_S8_H
#define MW_TAPS_S8_H

#include "mw.h"

typedef struct {
  int32_t count;
  uintptr_t *inside; /* [count] distances from the window's first cell */
  uintptr_t *border; /* [count] addresses */
  int8_t *row;       /* [in_c] input zero point */
} mw_taps;

static inline mw_taps mw_taps_init(const mw_conv2d_s8_params *p, void *workspace) {
  mw_taps taps;
  taps.count = p->kernel_h * p->kernel_w;
  taps.inside = workspace;
  taps.border = taps.inside + taps.count;
  taps.row = (int8_t *)(taps.border + taps.count);
  memset(taps.row, p->in_zero_point, (size_t)p->in_c);
  uintptr_t *tap = taps.inside;
  for (int32_t ky = 0; ky < p->kernel_h; ky++) {
    for (int32_t kx = 0; kx < p->kernel_w; kx++) {
      *tap++ = (uintptr_t)((ky * p->dilation_h * p->in_w + kx * p->dilation_w) * p->in_c);
    }
  }
  return taps;
}

/* The tap table of output (y, x) of an image and, in *base, what to add to its entries. */
static inline const uintptr_t *mw_taps_at(const mw_taps *taps, const int8_t *image, int32_t y,
                                          int32_t x, const mw_conv2d_s8_params *p,
                                          uintptr_t *base) {
  int32_t y0 = y * p->stride_h - p->pad_top, x0 = x * p->stride_w - p->pad_left;
  int32_t y1 = y0 + (p->kernel_h - 1) * p->dilation_h;
  int32_t x1 = x0 + (p->kernel_w - 1) * p->dilation_w;
  if (y0 >= 0 && x0 >= 0 && y1 < p->in_h && x1 < p->in_w) {
    *base = (uintptr_t)(image + (y0 * p->in_w + x0) * p->in_c);
    return taps->inside;
  }
  uintptr_t *tap = taps->border;
  for (int32_t iy = y0; iy <= y1; iy += p->dilation_h) {
    int32_t row_outside = iy < 0 || iy >= p->in_h;
    for (int32_t ix = x0; ix <= x1; ix += p->dilation_w) {
      int32_t outside = row_outside || ix < 0 || ix >= p->in_w;
      *tap++ = (uintptr_t)(outside ? taps->row : image + (iy * p->in_w + ix) * p->in_c);
    }
  }
  *base = 0;
  return taps->border;
}

#endif
