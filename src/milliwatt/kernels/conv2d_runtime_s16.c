/* conv2d, depthwise_conv2d and fully_connected with s16 activations and s8 weights computed at run
 * time.
 *
 * out = conv2d_s16 of `in` with the weights of the second operand.
 *
 * Layouts, rounding: those of conv2d_s16. Ranges: the same with |w| = 128 (checked when packing).
 * Workspace: of depthwise_conv2d O sums of 32 bits, none else. The output may not overlap an input.
 * Source: TensorFlow Lite, 16x8 quantization.
 */
#include "mw_filters_s16.h"

void mw_conv2d_runtime_s16(int16_t *out, const int16_t *in, const int8_t *weights,
                           const mw_conv2d_runtime_s16_params *params, void *workspace) {
  mw_filters_s16(out, in, weights, params, workspace);
}
