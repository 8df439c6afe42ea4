/* depthwise_conv2d with any number M of outputs per input channel, f32.
 *
 * out[n,y,x,c*M+m] = clamp(bias[c*M+m] + sum_t in[n,tap t,c] * w[t,c*M+m]), taps outside are 0.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C*M], weights [KH,KW,C*M]. Ranges: all.
 * Workspace: none. The output may not overlap the input. Rounding: float32 sums in memory order.
 * Source: TensorFlow Lite, DEPTHWISE_CONV_2D.
 */
#include "mw.h"

/* out += the taps of output (y, x) of an image, for all channels at a time. */
static void mw_depthwise_taps_f32(float *out, const float *image, int32_t y, int32_t x,
                                  const mw_conv2d_f32_params *p) {
  int32_t channels = p->out_c, multiplier = channels / p->in_c;
  int32_t iy = y * p->stride_h - p->pad_top, x0 = x * p->stride_w - p->pad_left;
  const float *weights = p->weights;
  for (int32_t ky = 0; ky < p->kernel_h; ky++, iy += p->dilation_h) {
    int32_t ix = x0;
    for (int32_t kx = 0; kx < p->kernel_w; kx++, ix += p->dilation_w, weights += channels) {
      if (iy < 0 || iy >= p->in_h || ix < 0 || ix >= p->in_w) continue;
      const float *cell = image + (iy * p->in_w + ix) * p->in_c;
      if (multiplier == 1) {
        for (int32_t o = 0; o < channels; o++) out[o] += cell[o] * weights[o];
        continue;
      }
      for (int32_t o = 0; o < channels; cell++) {
        for (int32_t last = o + multiplier; o < last; o++) out[o] += *cell * weights[o];
      }
    }
  }
}

void mw_depthwise_conv2d_f32(float *out, const float *in, const mw_conv2d_f32_params *params,
                             void *workspace) {
  int32_t image = params->in_h * params->in_w * params->in_c, channels = params->out_c;
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += image) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++, out += channels) {
      memcpy(out, params->bias, (size_t)channels * sizeof *out);
      mw_depthwise_taps_f32(out, in, pixel / params->out_w, pixel % params->out_w, params);
      for (int32_t o = 0; o < channels; o++) {
        out[o] = mw_bound_f32(out[o], params->clamp_min, params->clamp_max);
      }
    }
  }
}
