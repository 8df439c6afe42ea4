/* clamp, f32: the ReLU family.
 *
 * out[i] = min(max(in[i], clamp_min), clamp_max)
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: none. Source: TensorFlow Lite, RELU and RELU6.
 */
#include "mw.h"

void mw_clamp_f32(float *out, const float *in, const mw_clamp_f32_params *params, void *workspace) {
  float low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) *out++ = mw_bound_f32(*in++, low, high);
}
