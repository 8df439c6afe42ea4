/* svdf_state: the state of an SVDF a step later, s8 into a state of s8.
 *
 * out[b,f,m] = state[b,f,m + 1], out[b,f,steps - 1] = state_zero_point +
 * saturate(rescale(sum_i (in[b,i] - in_zero_point) * weights[f,i])), cut to s8
 *
 * Layouts: in [batches,inputs], weights [filters,inputs], state and out [batches,filters,steps].
 * Ranges: all; sums wrap to 32 bits. Workspace: none. In place: out may be state.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite Micro reference kernels, SVDF.
 */
#include "mw_svdf.h"

void mw_svdf_state_s8(int8_t *out, const int8_t *in, const int8_t *weights, const int8_t *state,
                      const mw_svdf_state_params *params, void *workspace) {
  int32_t inputs = params->inputs, last = params->steps - 1;
  (void)workspace;
  for (int32_t b = 0; b < params->batches; b++, in += inputs) {
    const int8_t *row = weights;
    for (int32_t f = 0; f < params->filters; f++, row += inputs) {
      int32_t newest = mw_svdf_newest(in, row, params, -128, 127);
      state++;
      for (int32_t m = 0; m < last; m++) *out++ = *state++;
      *out++ = (int8_t)(newest + params->state_zero_point);
    }
  }
}
