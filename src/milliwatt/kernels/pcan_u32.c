/* pcan: per-channel amplitude normalization, u32.
 *
 * out[c] = shrink((in[c] * gain(noise[c])) >> snr_shift), shrink(x) = x^2 / 4 below 2, else x - 1
 *
 * gain is a table for 0, 1 and 2, then a parabola in every octave: gains[4 o - 6 ..] of {value,
 * slope, curvature} for noises of o bits. x has 12 bits behind the point, the result 6.
 *
 * Layouts: in, noise and out [size], gains [125]. Ranges: all; a product keeps its last 32 bits
 * after the shift. Workspace: none. In place: out may be in. Rounding: down.
 * Source: TensorFlow Lite Micro, signal/src/pcan_argc_fixed; Wang et al., ICASSP 2017.
 */
#include "mw.h"
#include "mw_bits.h"

static uint32_t mw_pcan_gain(uint32_t noise, const int16_t *gains) {
  if (noise <= 2) return (uint32_t)gains[noise];
  int32_t bits = mw_bit_length_u32(noise);
  const int16_t *octave = gains + 4 * bits - 6;
  uint32_t moved = bits < 11 ? noise << (11 - bits) : noise >> (bits - 11);
  int32_t place = (int32_t)(moved & 0x3FF);
  int32_t curve = ((octave[2] * place) >> 5) + octave[1] * 32;
  return (uint32_t)(int16_t)(((curve * place + (1 << 14)) >> 15) + octave[0]);
}

void mw_pcan_u32(uint32_t *out, const uint32_t *in, const uint32_t *noise, const int16_t *gains,
                 const mw_pcan_params *params, void *workspace) {
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) {
    uint32_t gain = mw_pcan_gain(noise[i], gains);
    uint32_t snr = (uint32_t)(((uint64_t)in[i] * gain) >> params->snr_shift);
    out[i] = snr < 2 << 12 ? (snr * snr) >> 20 : (snr >> 6) - (1 << 6);
  }
}
