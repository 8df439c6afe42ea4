/* svdf: the result of an SVDF from its state, f32.
 *
 * out[b,u] = clamp(bias[u] + sum_t state[b,u,t] * weights[u,t]), t over rank * steps taps
 *
 * Layouts: state [batches,units,taps], weights [units,taps], out [batches,units]. Ranges: all.
 * Workspace: none. Out may not overlap an operand. Rounding: float32's.
 * Source: TensorFlow Lite Micro reference kernels, SVDF.
 */
#include "mw.h"

void mw_svdf_f32(float *out, const float *state, const float *weights, const float *bias,
                 const mw_svdf_f32_params *params, void *workspace) {
  (void)workspace;
  for (int32_t b = 0; b < params->batches; b++) {
    const float *tap = weights;
    for (int32_t u = 0; u < params->units; u++) {
      float sum = bias[u];
      for (int32_t t = 0; t < params->taps; t++) sum += *state++ * *tap++;
      *out++ = mw_bound_f32(sum, params->clamp_min, params->clamp_max);
    }
  }
}
