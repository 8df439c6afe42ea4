/* svdf_state: the state of an SVDF a step later, f32.
 *
 * out[b,f,m] = state[b,f,m + 1], out[b,f,steps - 1] = sum_i in[b,i] * weights[f,i]
 *
 * Layouts: in [batches,inputs], weights [filters,inputs], state and out [batches,filters,steps].
 * Ranges: all. Workspace: none. In place: out may be state. Rounding: float32's.
 * Source: TensorFlow Lite Micro reference kernels, SVDF.
 */
#include "mw.h"

void mw_svdf_state_f32(float *out, const float *in, const float *weights, const float *state,
                       const mw_svdf_state_f32_params *params, void *workspace) {
  int32_t inputs = params->inputs, last = params->steps - 1;
  (void)workspace;
  for (int32_t b = 0; b < params->batches; b++, in += inputs) {
    const float *row = weights;
    for (int32_t f = 0; f < params->filters; f++, row += inputs) {
      float sum = 0;
      for (int32_t i = 0; i < inputs; i++) sum += in[i] * row[i];
      state++;
      for (int32_t m = 0; m < last; m++) *out++ = *state++;
      *out++ = sum;
    }
  }
}
