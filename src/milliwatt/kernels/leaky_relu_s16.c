/* leaky_relu, s16.
 *
 * out[i] = saturate(rescale(in[i])) where in[i] >= 0, else with alpha in the scale, which is kept
 * positive: its sign is alpha_sign
 *
 * Layouts: any, element by element. Ranges: |in| * 2^shift < 2^31 - 1024, shift >= 0, of both
 * scales (checked when packing); zero points are 0. Workspace: none. In place: out may be in.
 * Rounding: TFLM's two roundings, see mw_fixed.h. Source: TensorFlow Lite 16x8 specification,
 * LEAKY_RELU.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_fixed.h"

void mw_leaky_relu_s16(int16_t *out, const int16_t *in, const mw_leaky_relu_s16_params *params,
                       void *workspace) {
  mw_leaky_relu_s16_params p = *params; /* a copy, which stores to out cannot change */
  (void)workspace;
  MW_EACH((int16_t)mw_bound_s32(
      *in >= 0 ? mw_rescale(*in, p.multiplier, p.shift)
               : p.alpha_sign * mw_rescale(*in, p.alpha_multiplier, p.alpha_shift),
      INT16_MIN, INT16_MAX));
}
