/* sqrt, f32.
 *
 * out[i] = sqrt(in[i])
 *
 * Layouts: any, element by element. Ranges: all; NaN below 0. Workspace: none. In place: out may
 * be in. Rounding: to nearest, exact, see mw_math.h. Source: TensorFlow Lite, SQRT.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_sqrt_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(mw_sqrt_one_f32(*in));
}
