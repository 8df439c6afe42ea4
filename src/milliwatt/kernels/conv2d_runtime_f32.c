/* conv2d, depthwise_conv2d and fully_connected with weights that are computed at run time, f32.
 *
 * out = conv2d_general_f32 of `in` with the weights of the second operand.
 *
 * Layouts, rounding: those of conv2d_general_f32. Ranges: all. Workspace: none. The output may not
 * overlap an input. Source: TensorFlow Lite, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED.
 */
#include "mw_filters_f32.h"

void mw_conv2d_runtime_f32(float *out, const float *in, const float *weights,
                           const mw_conv2d_runtime_f32_params *params, void *workspace) {
  (void)workspace;
  mw_filters_f32(out, in, weights, params);
}
