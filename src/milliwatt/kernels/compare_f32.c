/* comparisons with broadcasting, f32.
 *
 * out = 1 where a and b stand in the order asked for, else 0: `accept` has the bits of the orders,
 * counted as mw_order_* does
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; NaN is in no order but not_equal. Workspace: none. Source: TensorFlow Lite, EQUAL,
 * NOT_EQUAL, LESS, LESS_EQUAL, GREATER and GREATER_EQUAL.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_compare_f32(uint8_t *out, const float *a, const float *b, const mw_order_params *params,
                    void *workspace) {
  uint32_t accept = (uint32_t)params->accept;
  (void)workspace;
  MW_PAIRS(float, float, (uint8_t)(accept >> mw_order_f32(*x, *y) & 1));
}
