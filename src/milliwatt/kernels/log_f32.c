/* log, f32.
 *
 * out[i] = ln in[i]
 *
 * Layouts: any, element by element. Ranges: all; -infinity of 0, NaN below 0. Workspace: none. In
 * place: out may be in. Rounding: within 3e-7 relative of the true value, see mw_math.h. Source:
 * TensorFlow Lite, LOG.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_log_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(mw_log_one_f32(*in));
}
