/* The part of a pooling window that lies inside the image; padded cells take no part. */
#ifndef MW_POOL_H
#define MW_POOL_H

#include "mw.h"

typedef struct {
  int32_t offset;        /* elements from the image to the first cell, channel 0 */
  int32_t height, width; /* cells, 1 or more */
} mw_pool_window;

/* The window of output (y, x). A macro because the s8 and f32 parameter structs, which both start
 * with MW_WINDOW, are different types. */
#define MW_POOL_WINDOW(p, y, x)                                                         \
  mw_pool_clip((y) * (p)->stride_h - (p)->pad_top, (x) * (p)->stride_w - (p)->pad_left, \
               (p)->kernel_h, (p)->kernel_w, (p)->in_h, (p)->in_w, (p)->in_c)

static inline mw_pool_window mw_pool_clip(int32_t y, int32_t x, int32_t kernel_h, int32_t kernel_w,
                                          int32_t in_h, int32_t in_w, int32_t in_c) {
  int32_t y0 = mw_max_s32(y, 0), y1 = mw_min_s32(y + kernel_h, in_h);
  int32_t x0 = mw_max_s32(x, 0), x1 = mw_min_s32(x + kernel_w, in_w);
  mw_pool_window window = {(y0 * in_w + x0) * in_c, y1 - y0, x1 - x0};
  return window;
}

#endif
