/* gelu, f32.
 *
 * out[i] = in[i] * Phi(in[i]), Phi the normal distribution's integral, or by tanh:
 * out[i] = in[i] / 2 * (1 + tanh(sqrt(2 / pi) * (in[i] + 0.044715 in[i]^3)))
 *
 * Layouts: any, element by element. Ranges: all; NaN stays NaN. Workspace: none. In place: out may
 * be in. Rounding: within 1e-6 relative above 0, 1e-5 below. Source: TensorFlow Lite, GELU;
 * Hendrycks and Gimpel, 2016.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_math.h"

/* x / 2 * (1 + tanh(y)) = x / (1 + exp(-2 y)), which does not cancel below 0. */
static float mw_gelu_tanh_f32(float x) {
  float y = 0.797884561f * (x + 0.044715f * x * x * x);
  return x / (1.0f + mw_exp_any_f32(-2.0f * y));
}

void mw_gelu_f32(float *out, const float *in, const mw_gelu_f32_params *params, void *workspace) {
  int32_t approximate = params->approximate;
  (void)workspace;
  MW_EACH(approximate ? mw_gelu_tanh_f32(*in) : *in * mw_normal_f32(*in));
}
