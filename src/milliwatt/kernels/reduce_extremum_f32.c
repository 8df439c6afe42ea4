/* reduce_max and reduce_min over any axes, f32.
 *
 * out[i] = max_j in[i,j], or with sign = -1 the least.
 *
 * Layouts: row-major, any rank; kept axes in order give out.
 * Ranges: all; NaN is passed over, and nothing is below the least finite float32, as in the source.
 * Workspace: none. The output may not overlap the input. Rounding: none.
 * Source: TensorFlow Lite, REDUCE_MAX and REDUCE_MIN.
 */
#include "mw_reduce.h"

#define MW_LEAST_F32 (-3.402823466e+38f)

void mw_reduce_extremum_f32(float *out, const float *in,
                            const mw_reduce_extremum_f32_params *params, void *workspace) {
  float sign = params->sign;
  (void)workspace;
  MW_REDUCE(float, float, MW_LEAST_F32, value = *x * sign > value ? *x * sign : value, value * sign)
}
