/* energy: |x|^2 of the frequencies of a spectrum, s16 to u32.
 *
 * out[i] = in[2 i]^2 + in[2 i + 1]^2 for start <= i < end, 0 elsewhere
 *
 * Layouts: in [count] of {re, im}, out [count]. Ranges: all. Workspace: none. Out may not overlap
 * in. Rounding: none. Source: TensorFlow Lite Micro, signal/src/energy (which leaves the others).
 */
#include "mw.h"

void mw_energy_s16(uint32_t *out, const int16_t *in, const mw_energy_params *params,
                   void *workspace) {
  (void)workspace;
  for (int32_t i = 0; i < params->count; i++, in += 2) {
    int32_t re = in[0], im = in[1];
    out[i] = i < params->start || i >= params->end ? 0 : (uint32_t)(re * re) + (uint32_t)(im * im);
  }
}
