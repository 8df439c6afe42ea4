/* svdf: the result of an SVDF from its state, s8 into s8.
 *
 * out[b,u] = out_zero_point + rescale(bias[u] +
 *            sum_t (state[b,u,t] - state_zero_point) * weights[u,t]), t over rank * steps taps
 *
 * Layouts: state [batches,units,taps], weights [units,taps], out [batches,units].
 * Ranges: all; sums wrap to 32 bits. Workspace: none. Out may not overlap an operand.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite Micro reference kernels, SVDF.
 */
#include "mw_svdf.h"

void mw_svdf_s8(int8_t *out, const int8_t *state, const int8_t *weights, const int32_t *bias,
                const mw_svdf_params *params, void *workspace) {
  int32_t zero = params->state_zero_point;
  (void)workspace;
  for (int32_t b = 0; b < params->batches; b++) {
    const int8_t *tap = weights;
    for (int32_t u = 0; u < params->units; u++) {
      uint32_t sum = (uint32_t)bias[u];
      for (int32_t t = 0; t < params->taps; t++) sum += (uint32_t)((*state++ - zero) * *tap++);
      *out++ = mw_svdf_result(sum, params);
    }
  }
}
