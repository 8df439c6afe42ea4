/* spectral_subtraction: the signal less a running estimate of its noise, u32.
 *
 * noise'[c] = (up * s + noise[c] * o) >> b with up = in[c] * 2^smoothing_bits
 * out = {max((up - min(noise', up)) >> smoothing_bits, (in[c] * min_remaining) >> b), noise'}
 *
 * Layouts: in and noise [size]; out is a bundle of two u32 [size]; s and o by channel parity.
 * Ranges: everything but the products modulo 2^32, those modulo 2^64. Workspace: none. Out may not
 * overlap in or noise. Rounding: down.
 * Source: TensorFlow Lite Micro, signal/src/filter_bank_spectral_subtraction.
 */
#include "mw.h"

void mw_spectral_subtraction_u32(uint8_t *out, const uint32_t *in, const uint32_t *noise,
                                 const mw_spectral_subtraction_params *params, void *workspace) {
  int32_t size = params->size, padded = (size + 1) & ~1, bits = params->subtraction_bits;
  uint32_t *left = (uint32_t *)(void *)out, *after = left + padded;
  (void)workspace;
  for (int32_t i = 0; i < size; i++) {
    uint32_t up = in[i] << params->smoothing_bits;
    uint32_t gain = (uint32_t)(i & 1 ? params->odd_smoothing : params->smoothing);
    uint32_t keep =
        (uint32_t)(i & 1 ? params->odd_one_minus_smoothing : params->one_minus_smoothing);
    uint64_t sum = (uint64_t)up * gain + (uint64_t)noise[i] * keep;
    uint32_t estimate = (uint32_t)(sum >> bits), below = estimate < up ? estimate : up;
    uint32_t least = (uint32_t)(((uint64_t)in[i] * (uint32_t)params->min_remaining) >> bits);
    uint32_t rest = (up - below) >> params->smoothing_bits;
    left[i] = rest > least ? rest : least;
    after[i] = params->clamping ? below : estimate;
  }
  if (padded > size) left[size] = after[size] = 0;
}
