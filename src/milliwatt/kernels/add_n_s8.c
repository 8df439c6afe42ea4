/* add_n, s8.
 *
 * out[i] = saturate(out_zero_point + rescale(sum_k (in[k][i] - in_zero_point) * 2^19))
 *
 * Layouts: every operand of one shape, scale and zero point. Ranges: |sum| * 2^shift < 2^31 -
 * 1024, shift >= 0 (checked when packing). Workspace: none. In place: out may be an operand.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite Micro, ADD_N.
 */
#include "mw.h"
#include "mw_fixed.h"

void mw_add_n_s8(int8_t *out, const void *const in[], const mw_add_n_s8_params *params,
                 void *workspace) {
  int32_t multiplier = params->multiplier, shift = params->shift;
  int32_t zeros = params->count * params->in_zero_point, zero = params->out_zero_point;
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) {
    int32_t sum = -zeros;
    for (int32_t k = 0; k < params->count; k++) sum += ((const int8_t *)in[k])[i];
    int32_t value = mw_rescale(sum * (1 << 19), multiplier, shift) + zero;
    out[i] = (int8_t)mw_bound_s32(value, INT8_MIN, INT8_MAX);
  }
}
