/* clamp without a change of quantization, s16.
 *
 * out[i] = min(max(in[i], clamp_min), clamp_max)
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: none. Source: TensorFlow Lite reference kernels, RELU and RELU6.
 */
#include "mw.h"

void mw_clamp_s16(int16_t *out, const int16_t *in, const mw_clamp_s8_params *params,
                  void *workspace) {
  int32_t low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) {
    *out++ = (int16_t)mw_bound_s32(*in++, low, high);
  }
}
