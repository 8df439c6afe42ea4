/* cumsum along one axis, s8.
 *
 * out[o,k,i] = saturate(out_zero_point + rescale(2^19 * (sum - in_zero_point))), sum of
 * in[o,j,i] - in_zero_point over j <= k, over j < k where exclusive; j >= k where reverse.
 *
 * Layouts: [outer,size,inner]. Ranges: all; 2^19 times the sum wraps to 32 bits, as in the source,
 * whose sum also starts at -in_zero_point instead of 0.
 * Workspace: none. In place: out may be in.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite Micro, CUMSUM.
 */
#include "mw.h"
#include "mw_fixed.h"

void mw_cumsum_s8(int8_t *out, const int8_t *in, const mw_cumsum_s8_params *params,
                  void *workspace) {
  int32_t step = params->reverse ? -params->inner : params->inner;
  int32_t block = params->size * params->inner, first = params->reverse ? block + step : 0;
  int32_t zero = params->in_zero_point;
  (void)workspace;
  for (int32_t o = 0; o < params->outer; o++, in += block, out += block) {
    for (int32_t i = 0; i < params->inner; i++) {
      uint32_t sum = 0u - (uint32_t)zero;
      for (int32_t k = 0, at = first + i; k < params->size; k++, at += step) {
        uint32_t before = sum;
        sum += (uint32_t)(in[at] - zero);
        int32_t raised = (int32_t)((params->exclusive ? before : sum) << 19);
        int32_t value = mw_rescale(raised, params->multiplier, params->shift);
        value += params->out_zero_point;
        out[at] = (int8_t)mw_bound_s32(value, params->clamp_min, params->clamp_max);
      }
    }
  }
}
