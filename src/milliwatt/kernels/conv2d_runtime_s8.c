/* conv2d, depthwise_conv2d and fully_connected with weights that are computed at run time, s8.
 *
 * out = conv2d_general_s8 of `in` with the weights of the second operand, one byte each.
 *
 * Layouts: those of conv2d_general_s8. Ranges: the same with |w| as large as its type allows
 * (checked when packing). Workspace: of depthwise_conv2d O sums of 32 bits, none else. The output
 * may not overlap an input.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite 8-bit specification.
 */
#include "mw_filters_s8.h"

void mw_conv2d_runtime_s8(int8_t *out, const int8_t *in, const int8_t *weights,
                          const mw_conv2d_runtime_s8_params *params, void *workspace) {
  mw_any_filters_s8(out, in, weights, params, workspace);
}
