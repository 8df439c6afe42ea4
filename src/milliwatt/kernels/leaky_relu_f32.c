/* leaky_relu, f32.
 *
 * out[i] = in[i] where in[i] > 0, else alpha * in[i]
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: one float32 operation. Source: TensorFlow Lite, LEAKY_RELU.
 */
#include "mw.h"
#include "mw_each.h"

void mw_leaky_relu_f32(float *out, const float *in, const mw_leaky_relu_f32_params *params,
                       void *workspace) {
  float alpha = params->alpha;
  (void)workspace;
  MW_EACH(*in > 0.0f ? *in : *in * alpha);
}
