/* The body of conv2d_general_s8 and conv2d_runtime_s8: four filters at a time, output by output;
 * depthwise filters output by output, all channels at a time. */
#ifndef MW_FILTERS_S8_H
#define MW_FILTERS_S8_H

#include "mw_filters.h"
#include "mw_fixed.h"

/* Number `at` of weights that share bytes, the low half first. */
static inline int32_t mw_nibble(const int8_t *packed, int32_t at) {
  int32_t byte = packed[at >> 1];
  return at & 1 ? byte >> 4 : ((byte & 15) ^ 8) - 8;
}

/* A window's sums of products for four filters or for the first alone. Filter f has its weights for
 * tap t from number f * next + t * step on. */
MW_INLINE void mw_filter_sums_s8(int32_t acc[4], int32_t filters, const int8_t *image,
                                 const int8_t *weights, int32_t next, int32_t step,
                                 int32_t weight_zero, const mw_pixel *pixel,
                                 const mw_conv2d_runtime_s8_params *params) {
  const mw_filters *p = &params->window;
  int32_t zero = params->in_zero_point, s0 = acc[0], s1 = acc[1], s2 = acc[2], s3 = acc[3];
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int8_t *cell = image + mw_pixel_cell(pixel, i, p);
    const int8_t *w = weights + mw_pixel_tap(pixel, i, p) * step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      MW_ROLLED
      for (int32_t c = 0; c < p->depth; c++) {
        int32_t x = cell[c] - zero;
        s0 += x * (w[c] - weight_zero);
        if (filters == 1) continue;
        s1 += x * (w[c + next] - weight_zero);
        s2 += x * (w[c + 2 * next] - weight_zero);
        s3 += x * (w[c + 3 * next] - weight_zero);
      }
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * step;
    }
  }
  acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3;
}

MW_NOINLINE void mw_four_sums_s8(int32_t acc[4], const int8_t *image, const int8_t *weights,
                                 int32_t next, int32_t step, int32_t weight_zero,
                                 const mw_pixel *pixel, const mw_conv2d_runtime_s8_params *params) {
  mw_filter_sums_s8(acc, 4, image, weights, next, step, weight_zero, pixel, params);
}

MW_NOINLINE void mw_one_sum_s8(int32_t acc[4], const int8_t *image, const int8_t *weights,
                               int32_t step, int32_t weight_zero, const mw_pixel *pixel,
                               const mw_conv2d_runtime_s8_params *params) {
  mw_filter_sums_s8(acc, 1, image, weights, 0, step, weight_zero, pixel, params);
}

/* `count` products with weights from number `at` on, two in a byte. */
static inline int32_t mw_dot_s4(int32_t acc, const int8_t *x, int32_t zero, const int8_t *packed,
                                int32_t at, int32_t count) {
  if (at & 1) acc += (*x++ - zero) * mw_nibble(packed, at++), count--;
  packed += at >> 1;
  MW_ROLLED
  for (; count >= 2; count -= 2, x += 2) {
    int32_t byte = *packed++;
    acc += (x[0] - zero) * (((byte & 15) ^ 8) - 8) + (x[1] - zero) * (byte >> 4);
  }
  if (count > 0) acc += (*x - zero) * mw_nibble(packed, 0);
  return acc;
}

/* The sum of a filter whose first weight is number `first`, two weights in a byte. */
MW_NOINLINE int32_t mw_filter_sum_s4(int32_t acc, const int8_t *image, const int8_t *weights,
                                     int32_t first, const mw_pixel *pixel,
                                     const mw_conv2d_runtime_s8_params *params) {
  const mw_filters *p = &params->window;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int8_t *cell = image + mw_pixel_cell(pixel, i, p);
    int32_t at = first + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      acc = mw_dot_s4(acc, cell, params->in_zero_point, weights, at, p->depth);
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

static inline int8_t mw_stored_s8(int32_t acc, int32_t o,
                                  const mw_conv2d_runtime_s8_params *params) {
  return mw_requantize_s8(acc, params->channels + 3 * o + 1, params->out_zero_point,
                          params->clamp_min, params->clamp_max);
}

/* Filters o to o + count - 1 of one group, count 4 or 1, over all outputs. */
static inline void mw_filter_block_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                                      int32_t o, int32_t count, int8_t *rows,
                                      const mw_conv2d_runtime_s8_params *params) {
  const mw_filters *p = &params->window;
  int32_t taps = p->kernel_h * p->kernel_w, first = p->first + o * p->filter_step;
  int32_t next = rows ? taps * p->depth : p->filter_step, step = rows ? p->depth : p->tap_step;
  int32_t zero = rows ? 0 : params->weight_zero_point;
  const int8_t *used = rows ? rows : weights + (params->nibbles ? 0 : first);
  for (int32_t f = 0; rows && f < count; f++) {
    mw_unpack_s4(rows + f * next, weights, first + f * p->filter_step, p);
  }
  mw_pixel pixel = mw_pixel_first(p);
  for (int32_t left = mw_pixels(p);; mw_pixel_next(&pixel, p), out += p->out_c) {
    const int8_t *image = in + pixel.image;
    int32_t acc[4] = {0, 0, 0, 0};
    for (int32_t f = 0; f < count; f++) acc[f] = params->channels[3 * (o + f)];
    if (params->nibbles && !rows) {
      acc[0] = mw_filter_sum_s4(acc[0], image, weights, first, &pixel, params);
    } else if (count == 4) {
      mw_four_sums_s8(acc, image, used, next, step, zero, &pixel, params);
    } else {
      mw_one_sum_s8(acc, image, used, step, zero, &pixel, params);
    }
    for (int32_t f = 0; f < count; f++) out[f] = mw_stored_s8(acc[f], o + f, params);
    if (--left == 0) return;
  }
}

/* `rows`, if not NULL, holds four filters unpacked: each is unpacked once, not once an output. */
static inline void mw_filters_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                                 const mw_conv2d_runtime_s8_params *params, int8_t *rows) {
  const mw_filters *p = &params->window;
  for (int32_t group = 0; group < p->out_c; group += p->group, in += p->depth) {
    for (int32_t o = group, left = p->group; left > 0;) {
      int32_t count = left >= 4 && (rows || !params->nibbles) ? 4 : 1;
      mw_filter_block_s8(out + o, in, weights, o, count, rows, params);
      o += count, left -= count;
    }
  }
}

/* One tap of depthwise filters, whose weights for it lie side by side from number `at` on. */
MW_INLINE void mw_depthwise_tap_s8(int32_t *acc, const int8_t *cell, const int8_t *weights,
                                   int32_t at, int32_t nibbles,
                                   const mw_conv2d_runtime_s8_params *params) {
  int32_t zero = params->in_zero_point, weight_zero = params->weight_zero_point;
  int32_t group = params->window.group, channels = params->window.out_c;
  if (!nibbles) weights += at, at = 0;
#define MW_WEIGHT(o) (nibbles ? mw_nibble(weights, at + (o)) : weights[o] - weight_zero)
  if (group == 1) {
    MW_ROLLED
    for (int32_t o = 0; o < channels; o++) acc[o] += (cell[o] - zero) * MW_WEIGHT(o);
    return;
  }
  for (int32_t o = 0; o < channels; cell++) {
    int32_t x = *cell - zero;
    MW_ROLLED
    for (int32_t last = o + group; o < last; o++) acc[o] += x * MW_WEIGHT(o);
  }
#undef MW_WEIGHT
}

/* All sums of one output of depthwise filters. */
MW_NOINLINE void mw_depthwise_sums_s8(int32_t *acc, const int8_t *image, const int8_t *weights,
                                      const mw_pixel *pixel,
                                      const mw_conv2d_runtime_s8_params *params) {
  const mw_filters *p = &params->window;
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const int8_t *cell = image + mw_pixel_cell(pixel, i, p);
    int32_t at = mw_pixel_tap(pixel, i, p) * p->out_c;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      if (params->nibbles)
        mw_depthwise_tap_s8(acc, cell, weights, at, 1, params);
      else
        mw_depthwise_tap_s8(acc, cell, weights, at, 0, params);
      if (j > 1) cell += p->dilation_w * p->in_c, at += p->out_c;
    }
  }
}

/* Depthwise filters; `acc` holds a sum for each output channel. */
static inline void mw_depthwise_filters_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                                           const mw_conv2d_runtime_s8_params *params,
                                           int32_t *acc) {
  const mw_filters *p = &params->window;
  mw_pixel pixel = mw_pixel_first(p);
  for (int32_t left = mw_pixels(p);; mw_pixel_next(&pixel, p), out += p->out_c) {
    for (int32_t o = 0; o < p->out_c; o++) acc[o] = params->channels[3 * o];
    mw_depthwise_sums_s8(acc, in + pixel.image, weights, &pixel, params);
    for (int32_t o = 0; o < p->out_c; o++) out[o] = mw_stored_s8(acc[o], o, params);
    if (--left == 0) return;
  }
}

/* Either; `workspace` is for four unpacked filters, or for the sums of depthwise ones. */
static inline void mw_any_filters_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                                     const mw_conv2d_runtime_s8_params *params, void *workspace) {
  if (mw_side_by_side(&params->window)) {
    mw_depthwise_filters_s8(out, in, weights, params, workspace);
  } else {
    mw_filters_s8(out, in, weights, params, workspace);
  }
}

#endif
