/* The body of conv2d_f32 and conv2d_add_f32: direct, over the taps inside the image. */
#ifndef MW_CONV_F32_H
#define MW_CONV_F32_H

#include "mw.h"

static inline float mw_conv_one_f32(const float *image, const float *weights, float sum, int32_t y,
                                    int32_t x, const mw_conv2d_f32_params *p) {
  int32_t iy = y * p->stride_h - p->pad_top, x0 = x * p->stride_w - p->pad_left;
  for (int32_t ky = 0; ky < p->kernel_h; ky++, iy += p->dilation_h) {
    int32_t ix = x0;
    for (int32_t kx = 0; kx < p->kernel_w; kx++, ix += p->dilation_w, weights += p->in_c) {
      if (iy < 0 || iy >= p->in_h || ix < 0 || ix >= p->in_w) continue;
      const float *cell = image + (iy * p->in_w + ix) * p->in_c;
      for (int32_t c = 0; c < p->in_c; c++) sum += cell[c] * weights[c];
    }
  }
  return sum;
}

/* `skip` and the bounds of the sum are used where add is 1. */
static inline void mw_conv_f32(float *out, const float *in, const float *skip,
                               const mw_conv2d_f32_params *p, int32_t add, float low, float high) {
  int32_t n = p->kernel_h * p->kernel_w * p->in_c;
  for (int32_t batch = 0; batch < p->batches; batch++, in += p->in_h * p->in_w * p->in_c) {
    for (int32_t pixel = 0; pixel < p->out_h * p->out_w; pixel++) {
      int32_t y = pixel / p->out_w, x = pixel % p->out_w;
      for (int32_t o = 0; o < p->out_c; o++) {
        float sum = mw_conv_one_f32(in, p->weights + o * n, p->bias[o], y, x, p);
        sum = mw_bound_f32(sum, p->clamp_min, p->clamp_max);
        if (add) sum = mw_bound_f32(sum + *skip++, low, high);
        *out++ = sum;
      }
    }
  }
}

#endif
