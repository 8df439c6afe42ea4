/* mean over any axes, s16.
 *
 * out[i] = saturate(out_zero_point + rescale(sum_j(in[i,j] - in_zero_point))), 1/count in the
 * multiplier.
 *
 * Layouts: row-major, any rank; kept axes in order give out.
 * Ranges: count < 2^15, |sum| * 2^shift < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: none. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite reference, MEAN.
 */
#include "mw.h"
#include "mw_fixed.h"
#include "mw_walk.h"

void mw_mean_s16(int16_t *out, const int16_t *in, const mw_mean_s8_params *params,
                 void *workspace) {
  mw_walk kept = {0, 0, {0}};
  (void)workspace;
  for (int32_t i = 0; i < params->outputs; i++) {
    mw_walk cell = {kept.a, 0, {0}};
    int32_t sum = -params->in_zero_point * params->rows * params->row;
    for (int32_t j = 0; j < params->rows; j++) {
      const int16_t *x = in + cell.a;
      for (int32_t left = params->row; left > 0; left--, x += params->step) sum += *x;
      mw_walk_next(&cell, params->in_axes, params->in_rank);
    }
    int32_t mean = mw_rescale(sum, params->multiplier, params->shift) + params->out_zero_point;
    *out++ = (int16_t)mw_bound_s32(mean, params->clamp_min, params->clamp_max);
    mw_walk_next(&kept, params->out_axes, params->out_rank);
  }
}
