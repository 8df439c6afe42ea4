/* round, f32.
 *
 * out[i] = the whole number nearest to in[i], the even one of two
 *
 * Layouts: any, element by element. Ranges: all; infinities and NaN stay. Workspace: none. In
 * place: out may be in. Rounding: halves to even. Source: TensorFlow Lite, ROUND.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_round_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(mw_round_one_f32(*in));
}
