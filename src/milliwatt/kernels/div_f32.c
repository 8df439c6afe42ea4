/* div with broadcasting, f32.
 *
 * out = clamp(a / b)
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all; by 0 as IEEE 754 has it, the infinity cut to clamp_max. Workspace: none. In place:
 * out may be an operand of out's own shape. Rounding: one float32 operation. Source: TensorFlow
 * Lite, DIV.
 */
#include "mw.h"
#include "mw_pairs.h"

void mw_div_f32(float *out, const float *a, const float *b, const mw_elementwise_f32_params *params,
                void *workspace) {
  float low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  MW_PAIRS(float, float, mw_bound_f32(*x / *y, low, high));
}
