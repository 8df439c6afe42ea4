/* dequantize, u8 to f32.
 *
 * out[i] = scale * (in[i] - zero_point)
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. Rounding: float32.
 * Source: TensorFlow Lite, DEQUANTIZE.
 */
#include "mw.h"

void mw_dequantize_u8_f32(float *out, const uint8_t *in, const mw_quantize_params *params,
                          void *workspace) {
  float scale = params->scale;
  int32_t zero_point = params->zero_point;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) *out++ = scale * (float)(*in++ - zero_point);
}
