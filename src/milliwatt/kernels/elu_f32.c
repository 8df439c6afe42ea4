/* elu, f32.
 *
 * out[i] = in[i] where in[i] >= 0, else e^in[i] - 1
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: within 3e-7 relative of the true value, see mw_math.h. Source: TensorFlow Lite,
 * ELU.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_elu_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(*in < 0.0f ? mw_expm1_f32(*in) : *in);
}
