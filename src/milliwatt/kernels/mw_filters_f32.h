/* The body of conv2d_general_f32 and conv2d_runtime_f32, and of conv2d_f16 with its filters
 * unpacked: filter by filter, output by output. */
#ifndef MW_FILTERS_F32_H
#define MW_FILTERS_F32_H

#include "mw_filters.h"

/* A window's sum of products; tap t has its weights from number t * step on. */
static inline float mw_filter_sum_f32(const float *image, const float *weights, int32_t step,
                                      float sum, const mw_pixel *pixel, const mw_filters *p) {
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const float *cell = image + mw_pixel_cell(pixel, i, p);
    const float *w = weights + mw_pixel_tap(pixel, i, p) * step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      for (int32_t c = 0; c < p->depth; c++) sum += cell[c] * w[c];
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * step;
    }
  }
  return sum;
}

/* All outputs of filter o, `out` the first of them. */
static inline void mw_filter_f32(float *out, const float *in, const float *weights, int32_t step,
                                 int32_t o, const mw_conv2d_runtime_f32_params *params) {
  const mw_filters *p = &params->window;
  mw_pixel pixel = mw_pixel_first(p);
  in += o / p->group * p->depth;
  for (int32_t left = mw_pixels(p);;) {
    float sum =
        mw_filter_sum_f32(in + pixel.image, weights, step, params->bias[o], &pixel, p);
    *out = mw_bound_f32(sum, params->clamp_min, params->clamp_max);
    if (--left == 0) break;
    out += p->out_c;
    mw_pixel_next(&pixel, p);
  }
}

static inline void mw_filters_f32(float *out, const float *in, const float *weights,
                                  const mw_conv2d_runtime_f32_params *params) {
  const mw_filters *p = &params->window;
  for (int32_t o = 0; o < p->out_c; o++) {
    mw_filter_f32(out + o, in, weights + p->first + o * p->filter_step, p->tap_step, o, params);
  }
}

#endif
