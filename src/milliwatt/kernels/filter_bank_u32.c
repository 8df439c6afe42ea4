/* filter_bank: energies to overlapping triangular bands, u32 to u64.
 *
 * out[c] = sum_f in[f] * weight[f] over band c + 1 + sum_f in[f] * unweight[f] over band c
 *
 * Layouts: in [frequencies], out [channels], weights packed {weight, unweight} band by band.
 * Ranges: weights 0 to 32767 (checked when packing), bands inside the input (checked too); sums
 * modulo 2^64. Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite Micro, signal/src/filter_bank.
 */
#include "mw.h"

void mw_filter_bank_u32(uint64_t *out, const uint32_t *in, const mw_filter_bank_params *params,
                        void *workspace) {
  const int32_t *band = params->bands;
  const int16_t *weights = params->weights;
  uint64_t rest = 0; /* what the band before leaves over */
  (void)workspace;
  for (int32_t c = 0; c <= params->channels; c++, band += 2) {
    const uint32_t *from = in + band[0];
    uint64_t sum = rest;
    rest = 0;
    for (int32_t left = band[1]; left > 0; left--, weights += 2) {
      uint32_t energy = *from++, weight = (uint32_t)weights[0], unweight = (uint32_t)weights[1];
      sum += (uint64_t)energy * weight;
      rest += (uint64_t)energy * unweight;
    }
    if (c > 0) out[c - 1] = sum;
  }
}
