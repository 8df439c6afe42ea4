/* arg_max and arg_min along one axis, s8 to s32.
 *
 * out[o,i] = the first k where in[o,k,i] is the largest, or with flip = -1 the smallest.
 *
 * Layouts: in [outer,size,inner], out [outer,inner]. Ranges: all.
 * Workspace: none. The output may not overlap the input. Rounding: none.
 * Source: TensorFlow Lite, ARG_MAX and ARG_MIN.
 */
#include "mw_reduce.h"

void mw_arg_extremum_s8(int32_t *out, const int8_t *in, const mw_arg_extremum_params *params,
                        void *workspace) {
  int32_t flip = params->flip;
  (void)workspace;
  MW_ARG_EXTREMUM(int8_t, int32_t, *x ^ flip)
}
