/* lookup: any s8 function of one s8 value.
 *
 * out[i] = table[in[i] + 128]
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: whatever the table holds (logistic, tanh, clamp and requantize are made of it).
 * Source: TensorFlow Lite 8-bit specification, LOGISTIC and TANH.
 */
#include "mw.h"

void mw_lookup_s8(int8_t *out, const int8_t *in, const mw_lookup_s8_params *params,
                  void *workspace) {
  const int8_t *middle = params->table + 128;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) *out++ = middle[*in++];
}
