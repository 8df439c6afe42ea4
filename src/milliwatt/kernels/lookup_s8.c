/* lookup: any 8-bit function of one 8-bit value.
 *
 * out[i] = table[in[i] + 128], in[i] read as signed
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: whatever the table holds (logistic, tanh, clamp and requantize are made of it).
 * Source: TensorFlow Lite 8-bit specification, LOGISTIC and TANH.
 */
#include "mw.h"

void mw_lookup_s8(void *out, const void *in, const mw_lookup_s8_params *params, void *workspace) {
  int8_t *to = out;
  const int8_t *from = in, *middle = params->table + 128;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) *to++ = middle[*from++];
}
