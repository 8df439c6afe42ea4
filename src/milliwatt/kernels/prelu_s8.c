/* prelu with broadcasting, s8.
 *
 * out = saturate(out_zero_point + rescale(x)), x = a - a_zero_point, where x >= 0, else of x *
 * (alpha - alpha_zero_point), each with a scale of its own; alpha is operand b
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: the value rescaled times 2^shift < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: none. In place: out may be an operand of out's own shape. Rounding: TFLM's two
 * roundings, see mw_fixed.h. Source: TensorFlow Lite, PRELU.
 */
#include "mw.h"
#include "mw_pairs.h"
#include "mw_prelu.h"

void mw_prelu_s8(int8_t *out, const int8_t *a, const int8_t *b, const mw_prelu_params *params,
                 void *workspace) {
  mw_prelu_params p = *params; /* a copy, which stores to out cannot change */
  (void)workspace;
  MW_PAIRS(int8_t, int8_t, (int8_t)mw_bound_s32(mw_prelu_one(*x, *y, &p), INT8_MIN, INT8_MAX));
}
