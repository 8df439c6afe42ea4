/* quantize, f32 to s8.
 *
 * out[i] = saturate(round(in[i] / scale) + zero_point)
 *
 * Layouts: any, element by element. Ranges: all; infinities saturate, NaN gives the zero point.
 * Workspace: none. Rounding: halves away from zero, the quotient in float32.
 * In place: out may be the first bytes of in.
 * Source: TensorFlow Lite, QUANTIZE.
 */
#include "mw_quantize.h"

void mw_quantize_f32_s8(int8_t *out, const float *in, const mw_quantize_params *params,
                        void *workspace) {
  float scale = params->scale;
  int32_t zero_point = params->zero_point;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) {
    *out++ = (int8_t)mw_quantize_one(*in++, scale, zero_point, INT8_MIN, INT8_MAX);
  }
}
