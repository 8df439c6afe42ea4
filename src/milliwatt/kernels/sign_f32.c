/* sign, f32.
 *
 * out[i] = 1 where in[i] > 0, -1 where in[i] < 0, else 0
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: none. Source: TensorFlow Lite, SIGN.
 */
#include "mw.h"
#include "mw_each.h"

void mw_sign_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(*in > 0.0f ? 1.0f : (*in < 0.0f ? -1.0f : *in));
}
