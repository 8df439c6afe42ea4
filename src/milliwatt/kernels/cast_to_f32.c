/* cast to f32.
 *
 * out[i] = in[i]
 *
 * Layouts: any, element by element; `from` is a kind of mw_cast.h. Ranges: all. Rounding: to
 * nearest, from 2^24 on. Workspace: none. Source: TensorFlow Lite, CAST.
 */
#include "mw.h"
#include "mw_cast.h"

void mw_cast_to_f32(float *out, const void *in, const mw_cast_params *params, void *workspace) {
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) {
    int64_t wide = mw_cast_load(in, i, params->from);
    int32_t value = (int32_t)wide;
    /* Numbers of 32 bits do without a library's conversion of 64. */
    out[i] = value == wide ? (float)value : (float)wide;
  }
}
