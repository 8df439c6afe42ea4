/* mean over any axes, f32.
 *
 * out[i] = sum_j in[i,j] / count.
 *
 * Layouts: row-major, any rank; kept axes in order give out. Ranges: all.
 * Workspace: none. The output may not overlap the input.
 * Rounding: float32 sums in memory order. Source: TensorFlow Lite, MEAN.
 */
#include "mw.h"
#include "mw_walk.h"

void mw_mean_f32(float *out, const float *in, const mw_mean_f32_params *params, void *workspace) {
  mw_walk kept = {0, 0, {0}};
  (void)workspace;
  for (int32_t i = 0; i < params->outputs; i++) {
    mw_walk cell = {kept.a, 0, {0}};
    float sum = 0.0f;
    for (int32_t j = 0; j < params->rows; j++) {
      const float *x = in + cell.a;
      for (int32_t left = params->row; left > 0; left--, x += params->step) sum += *x;
      mw_walk_next(&cell, params->in_axes, params->in_rank);
    }
    *out++ = sum / (float)(params->rows * params->row);
    mw_walk_next(&kept, params->out_axes, params->out_rank);
  }
}
