/* add_n, f32.
 *
 * out[i] = in[0][i] + in[1][i] + ...
 *
 * Layouts: every operand of one shape. Ranges: all. Workspace: none. In place: out may be an
 * operand. Rounding: one float32 sum after the other, from the first operand on. Source:
 * TensorFlow Lite, ADD_N.
 */
#include "mw.h"

void mw_add_n_f32(float *out, const void *const in[], const mw_add_n_f32_params *params,
                  void *workspace) {
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) {
    float sum = ((const float *)in[0])[i];
    for (int32_t k = 1; k < params->count; k++) sum += ((const float *)in[k])[i];
    out[i] = sum;
  }
}
