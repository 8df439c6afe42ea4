/* resize_bilinear, f32.
 *
 * out[y, x] = sum of the four cells of in around place (rows[y], columns[x]) times their weights
 *
 * Layouts: in [batches, in_h, in_w, channels], out [batches, out_h, out_w, channels].
 * Ranges: all. Workspace: none. Out may not overlap in. Rounding: float32; the places are tables,
 * so that no compiler's way of rounding moves a cell. Source: TensorFlow Lite, RESIZE_BILINEAR.
 */
#include "mw.h"

typedef struct {
  int32_t low, high;
  float weight; /* of the cell `high`; 1 minus it of `low` */
} mw_side_f32;

static mw_side_f32 mw_side_at_f32(float place, int32_t size) {
  mw_side_f32 side = {0, 0, 0.0f};
  if (place > 0.0f) {
    side.low = mw_min_s32((int32_t)place, size - 1);
    side.high = mw_min_s32(side.low + (place > (float)side.low), size - 1);
    if (side.low != side.high) side.weight = place - (float)side.low;
  }
  return side;
}

void mw_resize_bilinear_f32(float *out, const float *in,
                            const mw_resize_bilinear_f32_params *params, void *workspace) {
  int32_t channels = params->channels, row = params->in_w * channels;
  (void)workspace;
  for (int32_t batch = 0; batch < params->batches; batch++, in += params->in_h * row) {
    for (int32_t i = 0; i < params->out_h; i++) {
      mw_side_f32 y = mw_side_at_f32(params->rows[i], params->in_h);
      const float *upper = in + y.low * row, *lower = in + y.high * row;
      for (int32_t j = 0; j < params->out_w; j++) {
        mw_side_f32 x = mw_side_at_f32(params->columns[j], params->in_w);
        int32_t left = x.low * channels, right = x.high * channels;
        float w00 = (1.0f - y.weight) * (1.0f - x.weight), w10 = y.weight * (1.0f - x.weight);
        float w01 = (1.0f - y.weight) * x.weight, w11 = y.weight * x.weight;
        for (int32_t c = 0; c < channels; c++) {
          *out++ = upper[left + c] * w00 + lower[left + c] * w10 + upper[right + c] * w01 +
                   lower[right + c] * w11;
        }
      }
    }
  }
}
