/* mul with broadcasting, s32: arithmetic of indices.
 *
 * out = clamp((a * b) mod 2^32)
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: all. Workspace: none. In place: out may be an operand of out's own shape.
 * Rounding: none; what leaves 32 bits wraps. Source: TensorFlow Lite, MUL for int32.
 */
#include "mw.h"
#include "mw_walk.h"

void mw_mul_s32(int32_t *out, const int32_t *a, const int32_t *b,
                const mw_elementwise_s32_params *params, void *workspace) {
  mw_walk at = {0, 0, {0}};
  int32_t a_step = params->a_step, b_step = params->b_step;
  int32_t low = params->clamp_min, high = params->clamp_max;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    const int32_t *x = a + at.a, *y = b + at.b;
    for (int32_t left = params->row; left > 0; left--, x += a_step, y += b_step) {
      *out++ = mw_bound_s32((int32_t)((uint32_t)*x * (uint32_t)*y), low, high);
    }
    mw_walk_next(&at, params->axes, params->rank);
  }
}
