/* squared_difference with broadcasting, f32.
 *
 * out = (a - b)^2
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all. Workspace: none. In place: out may be an operand of out's own shape. Rounding: two
 * float32 operations. Source: TensorFlow Lite, SQUARED_DIFFERENCE.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_squared_difference_f32(float *out, const float *a, const float *b,
                               const mw_pairs_params *params, void *workspace) {
  (void)workspace;
  MW_PAIRS(float, float, (*x - *y) * (*x - *y));
}
