/* floor_mod with broadcasting, f32.
 *
 * out = a - floor(a / b) * b
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; NaN where b is 0 or a infinite. Workspace: none. In place: out may be an operand of
 * out's own shape. Rounding: one float32 sum where the signs of a and b differ, else none. Source:
 * TensorFlow Lite, FLOOR_MOD.
 */
#include "mw.h"
#include "mw_math.h"
#include "mw_pairs.h"

static float mw_floor_mod_one_f32(float x, float y) {
  float rest = mw_fmod_f32(x, y);
  return rest != 0.0f && (rest < 0.0f) != (y < 0.0f) ? rest + y : rest;
}

void mw_floor_mod_f32(float *out, const float *a, const float *b, const mw_pairs_params *params,
                      void *workspace) {
  (void)workspace;
  MW_PAIRS(float, float, mw_floor_mod_one_f32(*x, *y));
}
