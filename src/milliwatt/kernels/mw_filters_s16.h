/* The body of conv2d_s16 and conv2d_runtime_s16: four filters at a time, output by output;
 * depthwise filters output by output, all channels at a time. */
#ifndef MW_FILTERS_S16_H
#define MW_FILTERS_S16_H

#include "mw_filters.h"
#include "mw_fixed.h"

/* A window's sums of products for four filters, `next` weights apart, that are known to fit 32
 * bits; `weights` is the first one's tap 0. */
MW_NOINLINE void mw_four_sums_s16(int32_t acc[4], const int16_t *image, const int8_t *weights,
                                  const mw_pixel *pixel, const mw_filters *p) {
  int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0, next = p->filter_step;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int16_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < p->depth; c++) {
        int32_t x = cell[c];
        s0 += x * w[c], s1 += x * w[c + next];
        s2 += x * w[c + 2 * next], s3 += x * w[c + 3 * next];
      }
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * p->tap_step;
    }
  }
  acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3;
}

/* The sum of one filter, of any size. */
MW_NOINLINE int64_t mw_one_sum_s16(const int16_t *image, const int8_t *weights,
                                   const mw_pixel *pixel, const mw_filters *p) {
  int64_t acc = 0;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int16_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < p->depth; c++) acc += (int64_t)(cell[c] * w[c]);
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * p->tap_step;
    }
  }
  return acc;
}

/* The stored result of a sum of filter o; its channel as mw_conv2d_runtime_s16_params says. */
static inline int16_t mw_stored_s16(int64_t sum, int32_t o,
                                    const mw_conv2d_runtime_s16_params *params) {
  const int32_t *channel = params->channels + 4 * o;
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

/* Filters o to o + count - 1 of one group, count 4 or 1, over all outputs. */
static inline void mw_filter_block_s16(int16_t *out, const int16_t *in, const int8_t *weights,
                                       int32_t o, int32_t count,
                                       const mw_conv2d_runtime_s16_params *params) {
  const mw_filters *p = &params->window;
  const int8_t *filter = weights + p->first + o * p->filter_step;
  mw_pixel pixel = mw_pixel_first(p);
  for (int32_t left = mw_pixels(p);; mw_pixel_next(&pixel, p), out += p->out_c) {
    const int16_t *image = in + pixel.image;
    if (count == 4) {
      int32_t acc[4];
      mw_four_sums_s16(acc, image, filter, &pixel, p);
      for (int32_t f = 0; f < 4; f++) out[f] = mw_stored_s16(acc[f], o + f, params);
    } else {
      *out = mw_stored_s16(mw_one_sum_s16(image, filter, &pixel, p), o, params);
    }
    if (--left == 0) return;
  }
}

/* All sums of one output of depthwise filters, whose weights for a tap lie side by side. */
MW_NOINLINE void mw_depthwise_sums_s16(int32_t *acc, const int16_t *image, const int8_t *weights,
                                       const mw_pixel *pixel, const mw_filters *p) {
  memset(acc, 0, (size_t)p->out_c * sizeof *acc);
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int16_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + mw_pixel_tap(pixel, i, p) * p->out_c;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      if (p->group == 1) {
        MW_ROLLED
        for (int32_t o = 0; o < p->out_c; o++) acc[o] += cell[o] * w[o];
      }
      for (int32_t o = 0, c = 0; p->group > 1 && o < p->out_c; c++) {
        MW_ROLLED
        for (int32_t last = o + p->group; o < last; o++) acc[o] += cell[c] * w[o];
      }
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->out_c;
    }
  }
}

/* `acc` holds a sum for each output channel of depthwise filters. */
static inline void mw_filters_s16(int16_t *out, const int16_t *in, const int8_t *weights,
                                  const mw_conv2d_runtime_s16_params *params, int32_t *acc) {
  const mw_filters *p = &params->window;
  if (mw_side_by_side(p) && !params->wide) {
    mw_pixel pixel = mw_pixel_first(p);
    for (int32_t left = mw_pixels(p);; mw_pixel_next(&pixel, p), out += p->out_c) {
      mw_depthwise_sums_s16(acc, in + pixel.image, weights, &pixel, p);
      for (int32_t o = 0; o < p->out_c; o++) out[o] = mw_stored_s16(acc[o], o, params);
      if (--left == 0) return;
    }
  }
  for (int32_t group = 0; group < p->out_c; group += p->group, in += p->depth) {
    for (int32_t o = group, left = p->group; left > 0;) {
      int32_t count = left >= 4 && !params->wide ? 4 : 1;
      mw_filter_block_s16(out + o, in, weights, o, count, params);
      o += count, left -= count;
    }
  }
}

#endif
