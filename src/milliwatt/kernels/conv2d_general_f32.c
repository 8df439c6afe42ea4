/* Any convolution with constant weights, f32: what no faster kernel takes.
 *
 * out[n,y,x,o] = clamp(bias[o] + sum over taps t inside the image and channels c of in * w[o,t,c])
 * Serves conv2d with groups and transpose_conv2d, which is a convolution with the kernel turned
 * round over an input with zeros between its cells.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O]; weights in the model's order, walked as mw_filters says.
 * Ranges: all. Workspace: none. The output may not overlap the input.
 * Rounding: float32 sums in memory order. Source: TensorFlow Lite, CONV_2D and TRANSPOSE_CONV.
 */
#include "mw_filters_f32.h"

void mw_conv2d_general_f32(float *out, const float *in, const mw_conv2d_general_f32_params *params,
                           void *workspace) {
  (void)workspace;
  mw_filters_f32(out, in, params->weights, &params->filters);
}
