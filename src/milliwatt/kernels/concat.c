/* concat along one axis, any element type.
 *
 * out[r] = in_0[r] in_1[r] ... where a row r is everything from the axis on.
 *
 * Layouts: row-major. Ranges: 1 operand or more. Workspace: none. Out may not overlap an operand.
 * Rounding: none, all operands share one quantization. Source: TensorFlow Lite, CONCATENATION.
 */
#include "mw.h"

void mw_concat(void *out, const void *const in[], const mw_concat_params *params, void *workspace) {
  uint8_t *to = out;
  (void)workspace;
  for (int32_t row = 0; row < params->rows; row++) {
    for (int32_t i = 0; i < params->count; i++) {
      int32_t bytes = params->run_bytes[i];
      mw_copy_bytes(to, (const uint8_t *)in[i] + row * bytes, bytes);
      to += bytes;
    }
  }
}
