/* exponential, f32.
 *
 * out[i] = e^in[i]
 *
 * Layouts: any, element by element. Ranges: all; infinite above 88.72, 0 below -104, NaN stays
 * NaN. Workspace: none. In place: out may be in. Rounding: within 3e-7 relative of the true value,
 * see mw_math.h. Source: TensorFlow Lite, EXP.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_exponential_f32(float *out, const float *in, const mw_unary_f32_params *params,
                        void *workspace) {
  (void)workspace;
  MW_EACH(mw_exp_any_f32(*in));
}
