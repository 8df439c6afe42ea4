/* floor_div with broadcasting, f32.
 *
 * out = floor(a / b)
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; by 0 as IEEE 754 has it. Workspace: none. In place: out may be an operand of out's
 * own shape. Rounding: exact up to 2^22, else within 2e-7 relative. Source: TensorFlow Lite,
 * FLOOR_DIV.
 */
#include "mw.h"
#include "mw_math.h"
#include "mw_pairs.h"

/* The remainder is exact, so that what is left is a whole multiple of y but for its rounding. */
static float mw_floor_div_one_f32(float x, float y) {
  float rest = mw_fmod_f32(x, y), plain = x / y;
  if (rest != rest || y == 0.0f || plain - plain != 0.0f) return plain;
  float whole = mw_floor_one_f32((x - rest) / y + 0.5f);
  return rest != 0.0f && (rest < 0.0f) != (y < 0.0f) ? whole - 1.0f : whole;
}

void mw_floor_div_f32(float *out, const float *a, const float *b, const mw_pairs_params *params,
                      void *workspace) {
  (void)workspace;
  MW_PAIRS(float, float, mw_floor_div_one_f32(*x, *y));
}
