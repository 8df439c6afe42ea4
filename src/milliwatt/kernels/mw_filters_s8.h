/* The body of conv2d_general_s8 and conv2d_runtime_s8: filter by filter, output by output. */
#ifndef MW_FILTERS_S8_H
#define MW_FILTERS_S8_H

#include "mw_filters.h"
#include "mw_fixed.h"

/* Number `at` of weights that share bytes, the low half first. */
static inline int32_t mw_nibble(const int8_t *packed, int32_t at) {
  int32_t byte = packed[at >> 1];
  return at & 1 ? byte >> 4 : ((byte & 15) ^ 8) - 8;
}

/* A window's sum of products; tap t has its weights from number first + t * step on. */
MW_NOINLINE int32_t mw_filter_sum_s8(const int8_t *image, const int8_t *weights, int32_t first,
                                     int32_t step, int32_t weight_zero, const mw_pixel *pixel,
                                     const mw_conv2d_runtime_s8_params *params) {
  const mw_filters *p = &params->window;
  int32_t acc = 0, zero = params->in_zero_point, depth = p->depth;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int8_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + first + mw_pixel_tap(pixel, i, p) * step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < depth; c++) acc += (cell[c] - zero) * (w[c] - weight_zero);
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * step;
    }
  }
  return acc;
}

/* The same with two weights in a byte. */
MW_NOINLINE int32_t mw_filter_sum_s4(const int8_t *image, const int8_t *weights, int32_t first,
                                     const mw_pixel *pixel,
                                     const mw_conv2d_runtime_s8_params *params) {
  const mw_filters *p = &params->window;
  int32_t acc = 0, zero = params->in_zero_point;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int8_t *cell = image + mw_pixel_cell(pixel, i, p);
    int32_t at = first + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < p->depth; c++) acc += (cell[c] - zero) * mw_nibble(weights, at + c);
      if (j > 1) cell += p->dilation_w * p->in_c, at += p->up_w * p->tap_step;
    }
  }
  return acc;
}

/* Filter o as bytes, [taps][depth]. */
static inline void mw_unpack_s4(int8_t *row, const int8_t *weights, int32_t first,
                                const mw_filters *p) {
  for (int32_t t = p->kernel_h * p->kernel_w; t > 0; t--, first += p->tap_step) {
    MW_ROLLED
    for (int32_t c = 0; c < p->depth; c++) *row++ = (int8_t)mw_nibble(weights, first + c);
  }
}

/* `row`, if not NULL, holds one filter unpacked: each is unpacked once, not once an output. */
static inline void mw_filters_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                                 const mw_conv2d_runtime_s8_params *params, int8_t *row) {
  const mw_filters *p = &params->window;
  const int32_t *channel = params->channels;
  for (int32_t o = 0; o < p->out_c; o++, channel += 3, out++) {
    const int8_t *from = in + mw_filter_channel(o, p);
    int32_t first = p->first + o * p->filter_step;
    mw_pixel pixel = mw_pixel_first(p);
    int8_t *to = out;
    if (row) mw_unpack_s4(row, weights, first, p);
    for (int32_t left = mw_pixels(p);;) {
      const int8_t *image = from + pixel.image;
      int32_t acc = channel[0];
      if (row) {
        acc += mw_filter_sum_s8(image, row, 0, p->depth, 0, &pixel, params);
      } else if (params->nibbles) {
        acc += mw_filter_sum_s4(image, weights, first, &pixel, params);
      } else {
        acc += mw_filter_sum_s8(image, weights, first, p->tap_step, params->weight_zero_point,
                                &pixel, params);
      }
      *to = mw_requantize_s8(acc, channel + 1, params->out_zero_point, params->clamp_min,
                             params->clamp_max);
      if (--left == 0) break;
      to += p->out_c;
      mw_pixel_next(&pixel, p);
    }
  }
}

#endif
