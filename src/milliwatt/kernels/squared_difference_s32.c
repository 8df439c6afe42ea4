/* squared_difference with broadcasting, s32.
 *
 * out = (a - b)^2 modulo 2^32
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; what leaves 32 bits wraps. Workspace: none. In place: out may be an operand of
 * out's own shape. Source: TensorFlow Lite, SQUARED_DIFFERENCE.
 */
#include "mw.h"
#include "mw_pairs.h"

static int32_t mw_squared_s32(int32_t x, int32_t y) {
  uint32_t difference = (uint32_t)x - (uint32_t)y;
  return (int32_t)(difference * difference);
}

void mw_squared_difference_s32(int32_t *out, const int32_t *a, const int32_t *b,
                               const mw_pairs_params *params, void *workspace) {
  (void)workspace;
  MW_PAIRS(int32_t, int32_t, mw_squared_s32(*x, *y));
}
