/* conv2d, s8.
 *
 * out[n,y,x,o] = clamp(out_zero_point + rescale(bias[o] + sum_k in[n,window(y,x),k] * w[o,k]))
 * with the window's cell (ky, kx) at row y * stride_h + ky * dilation_h - pad_top and column alike;
 * cells outside the input read in_zero_point, and bias holds -in_zero_point * sum(w).
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O], weights packed as mw_dot.h says, B = 2,
 * K = KH * KW * C.
 * Ranges: (|bias| + 128 * sum|w|) * 2^shift < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: 2 * K bytes; none when direct. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite 8-bit specification,
 * CONV_2D.
 */
#include "mw_conv_s8.h"

void mw_conv2d_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                  void *workspace) {
  mw_conv_s8(out, in, NULL, params, NULL, workspace);
}
