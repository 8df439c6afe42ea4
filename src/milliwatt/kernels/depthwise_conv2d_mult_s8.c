/* depthwise_conv2d with M outputs per input channel, s8.
 *
 * out[n,y,x,c*M+m] = clamp(out_zero_point + rescale(bias[c*M+m] + sum_t in[n,tap t,c] *
 * w[t,c*M+m])) taps as in conv2d_s8; -in_zero_point * sum(w) is folded into bias.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C*M], weights [KH,KW,C*M] as in the model.
 * Ranges, workspace and rounding: those of depthwise_conv2d_s8. The output may not overlap the
 * input. Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_fixed.h"
#include "mw_taps_s8.h"

void mw_depthwise_conv2d_mult_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                                 void *workspace) {
  mw_taps taps = mw_taps_init(params, workspace);
  int32_t channels = params->out_c, multiplier = channels / params->in_c;
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * params->in_w * params->in_c) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++) {
      int32_t y = pixel / params->out_w, x = pixel % params->out_w;
      uintptr_t base;
      const uintptr_t *table = mw_taps_at(&taps, in, y, x, params, &base);
      for (int32_t o = 0; o < channels; o++) {
        const int32_t *channel = params->channels + 3 * o;
        const int8_t *w = params->weights + o;
        uintptr_t first = base + (uintptr_t)(o / multiplier);
        int32_t acc = channel[0];
        MW_ROLLED
        for (int32_t t = 0; t < taps.count; t++, w += channels) {
          acc += *(const int8_t *)(first + table[t]) * *w;
        }
        *out++ = mw_requantize_s8(acc, channel + 1, params->out_zero_point, params->clamp_min,
                                  params->clamp_max);
      }
    }
  }
}
