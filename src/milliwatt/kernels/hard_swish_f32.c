/* hard_swish, f32.
 *
 * out[i] = in[i] * min(max(in[i] + 3, 0), 6) / 6
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: three float32 operations. Source: TensorFlow Lite, HARD_SWISH.
 */
#include "mw.h"
#include "mw_each.h"

void mw_hard_swish_f32(float *out, const float *in, const mw_unary_f32_params *params,
                       void *workspace) {
  (void)workspace;
  MW_EACH(*in * mw_bound_f32(*in + 3.0f, 0.0f, 6.0f) / 6.0f);
}
