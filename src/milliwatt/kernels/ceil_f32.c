/* ceil, f32.
 *
 * out[i] = the smallest whole number that is not below in[i]
 *
 * Layouts: any, element by element. Ranges: all; infinities and NaN stay. Workspace: none. In
 * place: out may be in. Rounding: none. Source: TensorFlow Lite, CEIL.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_ceil_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(-mw_floor_one_f32(-*in));
}
