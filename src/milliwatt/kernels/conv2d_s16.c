/* Any convolution with s16 activations and constant s8 weights ("16x8").
 *
 * out[n,y,x,o] = clamp(rescale(bias[o] + sum over taps t inside the image and channels c of
 * in * w[o,t,c])); zero points are 0.
 * Serves conv2d (with groups), depthwise_conv2d, fully_connected (a window of 1 x 1) and
 * transpose_conv2d, which is a convolution with the kernel turned round over an input with zeros
 * between its cells.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O]; weights in the model's order, walked as mw_filters says.
 * Ranges: with a bias of 64 bits, |bias| + 2^15 * sum|w| < 2^47 and shift < 8 (checked when
 * packing); with one of 32 bits all, the sums wrap as in TFLM. Workspace: of depthwise_conv2d O
 * sums of 32 bits, none else. The output may not overlap the input.
 * Rounding: with a bias of 64 bits one, halves up, the multiplier rounded to 15 bits; with one of
 * 32 bits TFLM's two, see mw_fixed.h. Source: TensorFlow Lite, CONV_2D, DEPTHWISE_CONV_2D,
 * FULLY_CONNECTED and TRANSPOSE_CONV with 16x8 quantization.
 */
#include "mw_filters_s16.h"

void mw_conv2d_s16(int16_t *out, const int16_t *in, const mw_conv2d_s16_params *params,
                   void *workspace) {
  mw_filters_s16(out, in, params->weights, &params->filters, workspace);
}
