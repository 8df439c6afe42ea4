/* maximum and minimum with broadcasting, s16.
 *
 * out = a where a > b, else b (maximum); a where a < b, else b (minimum): `accept` has the bit that
 * mw_order_* of a and b counts
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all. Workspace: none. In place: out may be an operand of out's own shape. Source:
 * TensorFlow Lite, MAXIMUM and MINIMUM.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_extremum_s16(int16_t *out, const int16_t *a, const int16_t *b,
                     const mw_order_params *params, void *workspace) {
  uint32_t accept = (uint32_t)params->accept;
  (void)workspace;
  MW_PAIRS(int16_t, int16_t, accept >> mw_order_s32(*x, *y) & 1 ? *x : *y);
}
