/* conv2d followed by add, f32, without a buffer for the hidden value.
 *
 * out = clamp(conv2d(in) + skip), conv2d with its own clamp.
 *
 * Layouts, ranges and rounding: those of conv2d_f32; skip [N,H',W',O]. Workspace: none.
 * In place: out may be the same buffer as skip, never in. Source: TensorFlow Lite, CONV_2D and ADD.
 */
#include "mw_conv_f32.h"

void mw_conv2d_add_f32(float *out, const float *in, const float *skip,
                       const mw_conv2d_add_f32_params *params, void *workspace) {
  (void)workspace;
  mw_conv_f32(out, in, skip, &params->conv, 1, params->clamp_min, params->clamp_max);
}
