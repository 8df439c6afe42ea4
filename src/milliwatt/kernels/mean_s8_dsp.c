/* mean over neighbouring axes that are not the last, s8, for the DSP extension.
 *
 * out[a,c] = clamp(round(scale * (sum_r in[a,r,c] + bias)) + zero point), the rounding in one or
 * two steps (mw_dsp.h); bias holds -count * in_zero_point, scale 1 / count.
 *
 * Layouts: in [outer,cells,channels], out [outer,channels], channels >= 4.
 * Ranges: |sum + bias| < 2^30 (checked when packing).
 * Workspace: none. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see compiler/rows/onestep.py.
 * Source: TensorFlow Lite reference, MEAN.
 */
#include "mw_pool_dsp.h"

void mw_mean_s8_dsp(int8_t *out, const int8_t *in, const mw_mean_s8_dsp_params *params,
                    void *workspace) {
  const mw_mean_s8_dsp_params p = *params;
  (void)workspace;
  for (int32_t a = 0; a < p.outer; a++, in += p.cells * p.channels, out += p.channels) {
    MW_EACH_FOUR(c, p.channels) {
      int32_t sums[4] = {p.bias, p.bias, p.bias, p.bias};
      mw_sums4_add(sums, in + c, p.cells, p.channels);
      for (int32_t i = 0; i < 4; i++) {
        int32_t value = p.steps == 1 ? mw_one_step(sums[i], p.factor, p.offset)
                                     : mw_two_step(sums[i], p.factor, p.offset, p.right);
        out[c + i] = (int8_t)value;
      }
    }
  }
}
