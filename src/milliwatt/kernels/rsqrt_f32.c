/* rsqrt, f32.
 *
 * out[i] = 1 / sqrt(in[i])
 *
 * Layouts: any, element by element. Ranges: all; infinite of 0, NaN below 0. Workspace: none. In
 * place: out may be in. Rounding: the root and the quotient in float32. Source: TensorFlow Lite,
 * RSQRT.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

void mw_rsqrt_f32(float *out, const float *in, const mw_unary_f32_params *params, void *workspace) {
  (void)workspace;
  MW_EACH(1.0f / mw_sqrt_one_f32(*in));
}
