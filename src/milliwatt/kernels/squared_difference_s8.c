/* squared_difference with broadcasting, s8.
 *
 * out = saturate(out_zero_point + rescale((A - B)^2)), A = rescale((a - a_zero_point) * 2^left), B
 * alike, left = 7
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: (|A| + |B|)^2 * 2^shift < 2^31 - 1024, shift >= 0 (checked when packing). Workspace:
 * none. In place: out may be an operand of out's own shape. Rounding: TFLM's two roundings in each
 * rescale, see mw_fixed.h. Source: TensorFlow Lite, SQUARED_DIFFERENCE.
 */
#include "mw.h"
#include "mw_pairs.h"
#include "mw_squared.h"

void mw_squared_difference_s8(int8_t *out, const int8_t *a, const int8_t *b,
                              const mw_squared_difference_params *params, void *workspace) {
  mw_squared_difference_params p = *params; /* a copy, which stores to out cannot change */
  (void)workspace;
  MW_PAIRS(int8_t, int8_t,
           (int8_t)mw_bound_s32(mw_squared_difference_one(*x, *y, &p), INT8_MIN, INT8_MAX));
}
