/* fully_connected, f32.
 *
 * out[r,o] = clamp(bias[o] + sum_k in[r,k] * w[o,k])
 *
 * Layouts: in [rows,in_c], out [rows,out_c], weights [out_c,in_c]. Ranges: all.
 * Workspace: none. The output may not overlap the input. Rounding: float32 sums in memory order.
 * Source: TensorFlow Lite, FULLY_CONNECTED.
 */
#include "mw.h"

void mw_fully_connected_f32(float *out, const float *in,
                            const mw_fully_connected_f32_params *params, void *workspace) {
  int32_t n = params->in_c;
  (void)workspace;
  for (int32_t row = 0; row < params->rows; row++, in += n) {
    const float *weights = params->weights;
    for (int32_t o = 0; o < params->out_c; o++, weights += n) {
      float sum = params->bias[o];
      for (int32_t k = 0; k < n; k++) sum += in[k] * weights[k];
      *out++ = mw_bound_f32(sum, params->clamp_min, params->clamp_max);
    }
  }
}
