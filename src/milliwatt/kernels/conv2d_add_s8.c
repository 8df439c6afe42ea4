/* conv2d followed by add, s8, without a buffer for the hidden value.
 *
 * hidden = conv2d(in), clamped and quantized as if it were stored; out = hidden + skip as in
 * add_s8.
 *
 * Layouts, ranges and rounding: those of conv2d_s8 and add_s8; skip [N,H',W',O].
 * Workspace: that of conv2d_s8 and 2 * O bytes more.
 * In place: out may be the same buffer as skip, never in.
 * Source: TensorFlow Lite 8-bit specification, CONV_2D and ADD.
 */
#include "mw_conv_s8.h"

void mw_conv2d_add_s8(int8_t *out, const int8_t *in, const int8_t *skip,
                      const mw_conv2d_add_s8_params *params, void *workspace) {
  mw_conv_s8(out, in, skip, &params->conv, &params->sum, workspace);
}
