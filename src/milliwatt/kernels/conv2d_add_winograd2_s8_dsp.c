/* conv2d by Winograd's F(2 x 2, 3 x 3) followed by add, s8, for the DSP extension, without a buffer
 * for the whole hidden value.
 *
 * hidden = conv2d(in), clamped and quantized as if it were stored; out = hidden + skip as in
 * add_s8_dsp. A band of output rows at a time, whole tiles, goes through both.
 *
 * Layouts: those of conv2d_winograd2_s8_dsp; skip [N,H',W',O]. Ranges and rounding: those of
 * conv2d_winograd2_s8_dsp and add_s8_dsp.
 * Workspace: the hidden values of a band, to a multiple of 4 bytes, then that of
 * conv2d_winograd2_s8_dsp. In place: out may be the same buffer as skip, never in.
 * Source: TensorFlow Lite 8-bit specification, CONV_2D and ADD; Lavin and Gray, CVPR 2016.
 */
#include "mw_winograd_dsp.h"

void mw_conv2d_add_winograd2_s8_dsp(int8_t *out, const int8_t *in, const int8_t *skip,
                                    const mw_conv2d_add_winograd_s8_dsp_params *params,
                                    void *workspace) {
  mw_winograd_add(out, in, skip, params, mw_conv2d_winograd2_s8_dsp, workspace);
}
