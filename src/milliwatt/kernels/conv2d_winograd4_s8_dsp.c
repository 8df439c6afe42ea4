/* conv2d, s8, kernel 3 x 3, stride 1, by Winograd's F(4 x 4, 3 x 3), for the DSP extension.
 *
 * out[n,y,x,o] = clamp(saturate8(requantized(bias[o] + sum_k in[n,window(y,x),k] * w[o,k]))), as
 * conv2d_s8; cells outside the input read in_zero_point, and bias holds -in_zero_point * sum(w).
 * The sums are exact: 2.25 products a result and input channel give what 9 give elsewhere.
 *
 * Layouts: in [N,H,W,C], C a multiple of 4, out [N,H',W',O], O even; weights transformed and packed
 * as mw_winograd_dsp.h says.
 * Ranges: 128 * sum|w| < 2^31 / 64 (checked when packing).
 * Workspace: (6 * 6) * (8 * C + 32 * group) bytes. The output may not overlap the input.
 * Rounding: TFLM's two, in one or two steps, proven equal when packing (compiler/rows/onestep.py).
 * Source: TensorFlow Lite 8-bit specification, CONV_2D; Lavin and Gray, CVPR 2016.
 */
#include "mw_winograd_dsp.h"

void mw_conv2d_winograd4_s8_dsp(int8_t *out, const int8_t *in,
                                const mw_conv2d_winograd_s8_dsp_params *params, void *workspace) {
  static const mw_winograd_kind kind = {4, mw_winograd4_input_dsp, mw_winograd4_output_dsp};
  mw_winograd(out, in, params, &kind, workspace);
}
