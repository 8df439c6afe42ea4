/* requantize, s16 to s8: a change of scale, zero point or element type.
 *
 * out[i] = clamp(rescale(in[i] - in_zero_point) + out_zero_point)
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite, QUANTIZE (requantize).
 */
#include "mw_quantize.h"

void mw_requantize_s16_s8(int8_t *out, const int16_t *in, const mw_requantize_params *params,
                          void *workspace) {
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) {
    *out++ = (int8_t)mw_requantize_one(*in++, params);
  }
}
