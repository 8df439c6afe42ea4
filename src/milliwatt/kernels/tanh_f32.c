/* tanh, f32.
 *
 * out[i] = tanh(in[i])
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: within 1e-6 relative of the true value, see mw_math.h. Source: TensorFlow Lite,
 * TANH.
 */
#include "mw.h"
#include "mw_math.h"

void mw_tanh_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) *out++ = mw_tanh_one_f32(*in++);
}
