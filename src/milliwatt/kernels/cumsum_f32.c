/* cumsum along one axis, f32.
 *
 * out[o,k,i] = sum of in[o,j,i] over j <= k, over j < k where exclusive; j >= k where reverse.
 *
 * Layouts: [outer,size,inner]. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: float32 sums one after the other. Source: TensorFlow Lite, CUMSUM.
 */
#include "mw.h"

void mw_cumsum_f32(float *out, const float *in, const mw_cumsum_f32_params *params,
                   void *workspace) {
  int32_t step = params->reverse ? -params->inner : params->inner;
  int32_t block = params->size * params->inner, first = params->reverse ? block + step : 0;
  (void)workspace;
  for (int32_t o = 0; o < params->outer; o++, in += block, out += block) {
    for (int32_t i = 0; i < params->inner; i++) {
      float sum = 0.0f;
      for (int32_t k = 0, at = first + i; k < params->size; k++, at += step) {
        float before = sum;
        sum += in[at];
        out[at] = params->exclusive ? before : sum;
      }
    }
  }
}
