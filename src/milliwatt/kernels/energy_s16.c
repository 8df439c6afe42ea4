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
  int32_t start = params->start, end = params->end;
  (void)workspace;
  for (int32_t i = 0; i < start; i++) out[i] = 0;
  for (int32_t i = start; i < end; i++) {
    int32_t re = in[2 * i], im = in[2 * i + 1];
    out[i] = (uint32_t)(re * re) + (uint32_t)(im * im);
  }
  for (int32_t i = end; i < params->count; i++) out[i] = 0;
}
