/* resize_bilinear, s16.
 *
 * out[y, x] = round(sum of the four cells of in around place (y, x) times their weights), where
 * place(i) = first + i * step and weights have 10 bits behind the point
 *
 * Layouts: in [batches, in_h, in_w, channels], out [batches, out_h, out_w, channels].
 * Ranges: heights and widths up to 2^20 (the IR's rule): no place leaves 32 bits; the sums take
 * 64. Workspace: none. Out may not overlap in.
 * Rounding: half away from zero. A place past the last cell, where TFLM reads outside, is the
 * last cell. Source: TensorFlow Lite integer reference, RESIZE_BILINEAR.
 */
#include "mw.h"
#include "mw_side.h"

void mw_resize_bilinear_s16(int16_t *out, const int16_t *in,
                            const mw_resize_bilinear_s8_params *params, void *workspace) {
  int32_t channels = params->channels, row = params->in_w * channels;
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++, in += params->in_h * row) {
    for (int32_t i = 0; i < params->out_h; i++) {
      mw_side y = mw_side_at(params->first_y + i * params->step_y, params->in_h);
      const int16_t *upper = in + y.low * row, *lower = in + y.high * row;
      for (int32_t j = 0; j < params->out_w; j++) {
        mw_side x = mw_side_at(params->first_x + j * params->step_x, params->in_w);
        int32_t left = x.low * channels, right = x.high * channels;
        int32_t w11 = y.weight * x.weight, w10 = (y.weight << 10) - w11;
        int32_t w01 = (x.weight << 10) - w11, w00 = (1 << 20) - (y.weight << 10) - w01;
        for (int32_t c = 0; c < channels; c++) {
          int64_t sum = (int64_t)upper[left + c] * w00 + (int64_t)lower[left + c] * w10 +
                        (int64_t)upper[right + c] * w01 + (int64_t)lower[right + c] * w11;
          *out++ = (int16_t)((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
        }
      }
    }
  }
}
