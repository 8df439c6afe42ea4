/* sum over any axes, f32.
 *
 * out[i] = sum_j in[i,j].
 *
 * Layouts: row-major, any rank; kept axes in order give out. Ranges: all.
 * Workspace: none. The output may not overlap the input.
 * Rounding: float32 sums in memory order. Source: TensorFlow Lite, SUM.
 */
#include "mw_reduce.h"

void mw_sum_f32(float *out, const float *in, const mw_sum_f32_params *params, void *workspace) {
  (void)workspace;
  MW_REDUCE(float, float, 0.0f, value += *x, value)
}
