/* square, f32.
 *
 * out[i] = in[i]^2
 *
 * Layouts: any, element by element. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: one float32 operation. Source: TensorFlow Lite, SQUARE.
 */
#include "mw.h"
#include "mw_each.h"

void mw_square_f32(float *out, const float *in, const mw_unary_f32_params *params,
                   void *workspace) {
  (void)workspace;
  MW_EACH(*in * *in);
}
