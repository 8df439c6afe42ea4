/* floor_div with broadcasting, s32.
 *
 * out = floor(a / b)
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; by 0 it is 0, -2^31 / -1 is -2^31. Workspace: none. In place: out may be an operand
 * of out's own shape. Rounding: down. Source: TensorFlow Lite, FLOOR_DIV.
 */
#include "mw.h"
#include "mw_pairs.h"

static int32_t mw_floor_div_one_s32(int32_t x, int32_t y) {
  int32_t whole = mw_quotient_s32(x, y), rest = mw_remainder_s32(x, y);
  return whole - (rest != 0 && (rest < 0) != (y < 0));
}

void mw_floor_div_s32(int32_t *out, const int32_t *a, const int32_t *b,
                      const mw_pairs_params *params, void *workspace) {
  (void)workspace;
  MW_PAIRS(int32_t, int32_t, mw_floor_div_one_s32(*x, *y));
}
