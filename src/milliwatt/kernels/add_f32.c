/* add with broadcasting, f32.
 *
 * out = clamp(a + b)
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all. Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: one float32 operation. Source: TensorFlow Lite, ADD.
 */
#include "mw.h"
#include "mw_walk.h"

void mw_add_f32(float *out, const float *a, const float *b, const mw_elementwise_f32_params *params,
                void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t a_step = params->a_step, b_step = params->b_step;
  float low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    const float *x = a + at.a, *y = b + at.b;
    for (int32_t left = params->row; left > 0; left--, x += a_step, y += b_step) {
      *out++ = mw_bound_f32(*x + *y, low, high);
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
