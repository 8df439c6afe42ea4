/* depthwise_conv2d with any number M of outputs per input channel, f32.
 *
 * out[n,y,x,c*M+m] = clamp(bias[c*M+m] + sum_t in[n,tap t,c] * w[t,c*M+m]), taps outside are 0.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C*M], weights [KH,KW,C*M]. Ranges: all.
 * Workspace: none. The output may not overlap the input. Rounding: float32 sums in memory order.
 * Source: TensorFlow Lite, DEPTHWISE_CONV_2D.
 */
#include "mw.h"

/* One output: `weights` at its channel of tap 0, `image` at its input channel. */
static float mw_depthwise_one_f32(const float *image, const float *weights, float sum, int32_t y,
                                  int32_t x, const mw_conv2d_f32_params *p) {
  int32_t iy = y * p->stride_h - p->pad_top, x0 = x * p->stride_w - p->pad_left;
  for (int32_t ky = 0; ky < p->kernel_h; ky++, iy += p->dilation_h) {
    int32_t ix = x0;
    for (int32_t kx = 0; kx < p->kernel_w; kx++, ix += p->dilation_w) {
      if (iy >= 0 && iy < p->in_h && ix >= 0 && ix < p->in_w) {
        sum += image[(iy * p->in_w + ix) * p->in_c] * weights[(ky * p->kernel_w + kx) * p->out_c];
      }
    }
  }
  return sum;
}

void mw_depthwise_conv2d_f32(float *out, const float *in, const mw_conv2d_f32_params *params,
                             void *workspace) {
  int32_t image = params->in_h * params->in_w * params->in_c;
  int32_t multiplier = params->out_c / params->in_c;
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += image) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++) {
      int32_t y = pixel / params->out_w, x = pixel % params->out_w;
      for (int32_t o = 0; o < params->out_c; o++) {
        float sum = mw_depthwise_one_f32(in + o / multiplier, params->weights + o, params->bias[o],
                                         y, x, params);
        *out++ = mw_bound_f32(sum, params->clamp_min, params->clamp_max);
      }
    }
  }
}
