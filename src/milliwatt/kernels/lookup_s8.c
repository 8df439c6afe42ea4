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
  int32_t left = params->size;
  MW_ROLLED
  for (; left >= 8; left -= 8, from += 8, to += 8) { /* adjacent loads and stores pipeline */
    int32_t a = from[0], b = from[1], c = from[2], d = from[3];
    int32_t e = from[4], f = from[5], g = from[6], h = from[7];
    int8_t i = middle[a], j = middle[b], k = middle[c], l = middle[d];
    int8_t m = middle[e], n = middle[f], o = middle[g], p = middle[h];
    to[0] = i, to[1] = j, to[2] = k, to[3] = l;
    to[4] = m, to[5] = n, to[6] = o, to[7] = p;
  }
  MW_ROLLED
  for (; left > 0; left--) *to++ = middle[*from++];
}
