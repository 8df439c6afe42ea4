/* mul with broadcasting, s16.
 *
 * out = clamp(rescale(a * b))
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: |product| * 2^shift < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 16-bit specification, MUL, where all zero points are 0.
 */
#include "mw.h"
#include "mw_fixed.h"
#include "mw_walk.h"

void mw_mul_s16(int16_t *out, const int16_t *a, const int16_t *b, const mw_mul_s8_params *params,
                void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t a_step = params->a_step, b_step = params->b_step;
  int32_t multiplier = params->multiplier, shift = params->shift;
  int32_t low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    const int16_t *x = a + at.a, *y = b + at.b;
    for (int32_t left = params->row; left > 0; left--, x += a_step, y += b_step) {
      int32_t product = *x * *y;
      *out++ = (int16_t)mw_bound_s32(mw_rescale(product, multiplier, shift), low, high);
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
