/* abs, s16.
 *
 * out[i] = min(rescale(|in[i]|), clamp_max), without the rescale where multiplier is 0
 *
 * Layouts: any, element by element. Ranges: 2^15 * 2^shift < 2^31 - 1024, shift >= 0 (checked when
 * packing); zero points are 0. A clamp_max of 2^15 leaves -2^15 what it is, for numbers without a
 * scale. Workspace: none. In place: out may be in. Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 16x8 specification, ABS.
 */
#include "mw.h"
#include "mw_each.h"
#include "mw_fixed.h"

static int32_t mw_abs_one_s16(int32_t x, int32_t multiplier, int32_t shift) {
  int32_t size = x < 0 ? -x : x;
  return multiplier ? mw_rescale(size, multiplier, shift) : size;
}

void mw_abs_s16(int16_t *out, const int16_t *in, const mw_abs_s16_params *params, void *workspace) {
  int32_t multiplier = params->multiplier, shift = params->shift, most = params->clamp_max;
  (void)workspace;
  MW_EACH((int16_t)mw_min_s32(mw_abs_one_s16(*in, multiplier, shift), most));
}
