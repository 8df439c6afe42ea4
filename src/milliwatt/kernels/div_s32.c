/* div with broadcasting, s32.
 *
 * out = clamp(a / b), towards 0
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; by 0 it is 0, -2^31 / -1 is -2^31. Workspace: none. In place: out may be an operand
 * of out's own shape. Rounding: towards 0. Source: TensorFlow Lite, DIV.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_div_s32(int32_t *out, const int32_t *a, const int32_t *b,
                const mw_elementwise_s32_params *params, void *workspace) {
  int32_t low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  MW_PAIRS(int32_t, int32_t, mw_bound_s32(mw_quotient_s32(*x, *y), low, high));
}
