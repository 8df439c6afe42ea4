/* logical_and, logical_or, and equal and not_equal of bool, with broadcasting.
 *
 * out = bit 2 a + b of `accept`, a and b 0 or 1
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; anything but 0 counts as 1. Workspace: none. In place: out may be an operand of
 * out's own shape. Source: TensorFlow Lite, LOGICAL_AND, LOGICAL_OR, EQUAL, NOT_EQUAL.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_logical(uint8_t *out, const uint8_t *a, const uint8_t *b, const mw_order_params *params,
                void *workspace) {
  uint32_t accept = (uint32_t)params->accept;
  (void)workspace;
  MW_PAIRS(uint8_t, uint8_t, (uint8_t)(accept >> ((*x != 0) * 2 + (*y != 0)) & 1));
}
