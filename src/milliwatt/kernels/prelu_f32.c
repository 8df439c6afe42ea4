/* prelu with broadcasting, f32.
 *
 * out = a where a >= 0, else a * alpha; alpha is operand b
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; NaN stays NaN. Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: one float32 operation. Source: TensorFlow Lite, PRELU.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_prelu_f32(float *out, const float *a, const float *b, const mw_pairs_params *params,
                  void *workspace) {
  (void)workspace;
  MW_PAIRS(float, float, *x >= 0.0f ? *x : *x * *y);
}
