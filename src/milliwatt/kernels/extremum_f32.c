/* maximum and minimum with broadcasting, f32.
 *
 * out = a where a > b, else b (maximum); a where a < b, else b (minimum): `accept` has the bit that
 * mw_order_* of a and b counts
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all (a NaN gives b, whichever it is). Workspace: none. In place: out may be an operand
 * of out's own shape. Source: TensorFlow Lite, MAXIMUM and MINIMUM.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_extremum_f32(float *out, const float *a, const float *b, const mw_order_params *params,
                     void *workspace) {
  uint32_t accept = (uint32_t)params->accept;
  (void)workspace;
  MW_PAIRS(float, float, accept >> mw_order_f32(*x, *y) & 1 ? *x : *y);
}
