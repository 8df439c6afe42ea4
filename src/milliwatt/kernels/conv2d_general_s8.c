/* Any convolution with constant weights, s8: what no faster kernel takes.
 *
 * out[n,y,x,o] = clamp(out_zero_point + rescale(bias[o] + sum over taps t inside the image and
 * channels c of (in - in_zero_point) * (w[o,t,c] - weight_zero_point)))
 * Serves conv2d with groups, weights of 4 bits and weights with a zero point, depthwise_conv2d and
 * fully_connected (a window of 1 x 1) with such weights, and transpose_conv2d, which is a
 * convolution with the kernel turned round over an input with zeros between its cells.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O]; weights in the model's order, walked as mw_filters says,
 * of 4 bits two in a byte.
 * Ranges: (|bias| + max|in - in_zero_point| * sum|w|) * 2^shift < 2^31 - 1024, shift >= 0 (checked
 * when packing). Workspace: of depthwise_conv2d O sums of 32 bits; else, where weights have 4 bits
 * and a filter has more than one output, the weights of four filters, a byte each; none else. The
 * output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite 8-bit specification,
 * CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV.
 */
#include "mw_filters_s8.h"

void mw_conv2d_general_s8(int8_t *out, const int8_t *in, const mw_conv2d_general_s8_params *params,
                          void *workspace) {
  mw_any_filters_s8(out, in, params->weights, &params->filters, workspace);
}
