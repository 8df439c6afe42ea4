/* cos, f32.
 *
 * out[i] = cos in[i]
 *
 * Layouts: any, element by element. Ranges: all; NaN of infinities. Workspace: none. In place: out
 * may be in. Rounding: within 3e-7 relative of the true value, see mw_trig.h. Source: TensorFlow
 * Lite, COS.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_trig.h"

void mw_cos_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(mw_sin_one_f32(*in, 1));
}
