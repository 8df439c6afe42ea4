/* neg, f32.
 *
 * out[i] = -in[i]
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: none. Source: TensorFlow Lite, NEG.
 */
#include "mw.h"
#include "mw_each.h"

void mw_neg_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(-*in);
}
