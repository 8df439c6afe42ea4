/* logistic, f32.
 *
 * out[i] = 1 / (1 + exp(-in[i]))
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: within 1e-6 relative of the true value, see mw_math.h; results below 1e-37 are
 * not. Source: TensorFlow Lite, LOGISTIC.
 */
#include "mw.h"
#include "mw_math.h"

void mw_logistic_f32(float *out, const float *in, const mw_unary_f32_params *params,
                     void *workspace) {
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) *out++ = mw_logistic_one_f32(*in++);
}
