/* arg_max and arg_min along one axis, f32 to s32.
 *
 * out[o,i] = the first k where in[o,k,i] is the largest, or with sign = -1 the smallest.
 *
 * Layouts: in [outer,size,inner], out [outer,inner].
 * Ranges: all; NaN is never above anything, nor anything above it.
 * Workspace: none. The output may not overlap the input. Rounding: none.
 * Source: TensorFlow Lite, ARG_MAX and ARG_MIN.
 */
#include "mw_reduce.h"

void mw_arg_extremum_f32(int32_t *out, const float *in, const mw_arg_extremum_f32_params *params,
                         void *workspace) {
  float sign = params->sign;
  (void)workspace;
  MW_ARG_EXTREMUM(float, float, *x * sign)
}
