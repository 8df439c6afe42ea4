/* The body of conv2d_s16 and conv2d_runtime_s16: filter by filter, output by output. */
#ifndef MW_FILTERS_S16_H
#define MW_FILTERS_S16_H

#include "mw_filters.h"
#include "mw_fixed.h"

/* A window's sum of products that is known to fit 32 bits; `weights` is the filter's tap 0. */
MW_NOINLINE int32_t mw_filter_sum_s16(const int16_t *image, const int8_t *weights,
                                      const mw_pixel *pixel, const mw_filters *p) {
  int32_t acc = 0, depth = p->depth;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int16_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < depth; c++) acc += cell[c] * w[c];
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * p->tap_step;
    }
  }
  return acc;
}

/* The same in 64 bits. */
MW_NOINLINE int64_t mw_filter_sum_wide(const int16_t *image, const int8_t *weights,
                                       const mw_pixel *pixel, const mw_filters *p) {
  int64_t acc = 0;
  int32_t depth = p->depth;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int16_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < depth; c++) acc += (int64_t)cell[c] * w[c];
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * p->tap_step;
    }
  }
  return acc;
}

/* The stored result of a sum; `channel` as mw_conv2d_runtime_s16_params says. */
static inline int16_t mw_requantize_s16(int64_t sum, const int32_t *channel,
                                        const mw_conv2d_runtime_s16_params *params) {
  uint64_t bias = (uint64_t)(uint32_t)channel[1] << 32 | (uint32_t)channel[0];
  uint64_t acc = (uint64_t)sum + bias;
  int32_t value;
  if (params->two_step) {
    value = mw_scale((int32_t)(uint32_t)acc, channel[2], channel[3]);
  } else {
    value = mw_scale_wide((int64_t)acc, channel[2], channel[3]);
  }
  return (int16_t)mw_bound_s32(value, params->clamp_min, params->clamp_max);
}

static inline void mw_filters_s16(int16_t *out, const int16_t *in, const int8_t *weights,
                                  const mw_conv2d_runtime_s16_params *params) {
  const mw_filters *p = &params->window;
  const int32_t *channel = params->channels;
  for (int32_t o = 0; o < p->out_c; o++, channel += 4, out++) {
    const int16_t *from = in + mw_filter_channel(o, p);
    const int8_t *filter = weights + p->first + o * p->filter_step;
    mw_pixel pixel = mw_pixel_first(p);
    int16_t *to = out;
    for (int32_t left = mw_pixels(p);;) {
      const int16_t *image = from + pixel.image;
      int64_t sum = params->wide ? mw_filter_sum_wide(image, filter, &pixel, p)
                                 : mw_filter_sum_s16(image, filter, &pixel, p);
      *to = mw_requantize_s16(sum, channel, params);
      if (--left == 0) break;
      to += p->out_c;
      mw_pixel_next(&pixel, p);
    }
  }
}

#endif
