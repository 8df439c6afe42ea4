/* floor_mod with broadcasting, s32.
 *
 * out = a - floor(a / b) * b
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; by 0 it is 0. Workspace: none. In place: out may be an operand of out's own shape.
 * Source: TensorFlow Lite, FLOOR_MOD.
 */
#include "mw.h"
#include "mw_pairs.h"

static int32_t mw_floor_mod_one_s32(int32_t x, int32_t y) {
  int32_t rest = mw_remainder_s32(x, y);
  return rest != 0 && (rest < 0) != (y < 0) ? rest + y : rest;
}

void mw_floor_mod_s32(int32_t *out, const int32_t *a, const int32_t *b,
                      const mw_pairs_params *params, void *workspace) {
  (void)workspace;
  MW_PAIRS(int32_t, int32_t, mw_floor_mod_one_s32(*x, *y));
}
