/* conv2d, f32.
 *
 * out[n,y,x,o] = clamp(bias[o] + sum_k in[n,window(y,x),k] * w[o,k]), cells outside the input are
 * 0.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O], weights [O,KH,KW,C]. Ranges: all.
 * Workspace: none. The output may not overlap the input. Rounding: float32 sums in memory order.
 * Source: TensorFlow Lite, CONV_2D.
 */
#include "mw_conv_f32.h"

void mw_conv2d_f32(float *out, const float *in, const mw_conv2d_f32_params *params,
                   void *workspace) {
  (void)workspace;
  mw_conv_f32(out, in, NULL, params, 0, 0.0f, 0.0f);
}
