/* requantize, s8 to s16: a change of scale, zero point or element type.
 *
 * out[i] = clamp(rescale(in[i] - in_zero_point) + out_zero_point)
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite, QUANTIZE (requantize).
 */
#include "mw_quantize.h"

void mw_requantize_s8_s16(int16_t *out, const int8_t *in, const mw_requantize_params *params,
                          void *workspace) {
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) {
    *out++ = (int16_t)mw_requantize_one(*in++, params);
  }
}
