/* dequantize, f16 to f32: half precision as it is stored, widened.
 *
 * out[i] = in[i], exactly
 *
 * Layouts: any, element by element. Ranges: all, with subnormals, infinities and NaN.
 * Workspace: none. Rounding: none. Source: IEEE 754 binary16; TensorFlow Lite, DEQUANTIZE.
 */
#include "mw.h"

/* The bits of the same value in float32. */
static uint32_t mw_widened(uint32_t half) {
  uint32_t sign = (half & 0x8000u) << 16, exponent = half >> 10 & 31u, fraction = half & 1023u;
  if (exponent == 31u) return sign | 0x7F800000u | fraction << 13;
  if (exponent == 0u) {
    if (fraction == 0u) return sign;
    for (exponent = 1u; !(fraction & 1024u); exponent--) fraction <<= 1; /* may pass below 0 */
    fraction &= 1023u;
  }
  return sign | ((exponent + 112u) << 23) | fraction << 13;
}

void mw_dequantize_f16_f32(float *out, const uint16_t *in, const mw_widen_params *params,
                           void *workspace) {
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) {
    uint32_t bits = mw_widened(*in++);
    memcpy(out++, &bits, sizeof bits);
  }
}
