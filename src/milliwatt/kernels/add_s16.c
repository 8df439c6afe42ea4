/* add with broadcasting, s16.
 *
 * out = clamp(out_zero_point + rescale(A + B)), A = rescale((a - a_zero_point) * 2^15), B alike.
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: |A| + |B| times 2^shift of the result < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: TFLM's two roundings in each rescale, see mw_fixed.h.
 * Source: TensorFlow Lite reference kernels, ADD for int16 of any scale.
 */
#include "mw_sum_s8.h"
#include "mw_walk.h"

void mw_add_s16(int16_t *out, const int16_t *a, const int16_t *b, const mw_sum_s8_params *params,
                void *workspace) {
  mw_walk at = {0, 0, {0}};
  mw_sum_s8 sum = params->sum; /* a copy, which stores to out cannot change */
  int32_t a_step = params->a_step, b_step = params->b_step;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    const int16_t *x = a + at.a, *y = b + at.b;
    for (int32_t left = params->row; left > 0; left--, x += a_step, y += b_step) {
      *out++ = (int16_t)mw_sum_one_s16(*x, *y, 1, &sum);
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
