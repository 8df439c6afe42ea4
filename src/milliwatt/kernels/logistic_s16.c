/* logistic, s16; the result has scale 1/32768 and zero point 0.
 *
 * out[i] = 1 / (1 + exp(-in[i])) in Q0.15
 *
 * Layouts: any, element by element. Ranges: multiplier below 2^15 (checked by the IR), all inputs.
 * Workspace: none. In place: out may be in. Rounding: that of TFLM's table, see mw_sigmoid_s16.h.
 * Source: TensorFlow Lite Micro reference kernels, LOGISTIC for int16.
 */
#include "mw.h"
#include "mw_sigmoid_s16.h"

void mw_logistic_s16(int16_t *out, const int16_t *in, const mw_unary_s16_params *params,
                     void *workspace) {
  int32_t multiplier = params->multiplier, shift = params->shift;
  (void)workspace;
  for (int32_t left = params->size; left > 0; left--) {
    *out++ = mw_logistic_one_s16(*in++, multiplier, shift);
  }
}
