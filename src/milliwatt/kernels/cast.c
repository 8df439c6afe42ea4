/* cast between whole numbers and bool, or to the same type.
 *
 * out[i] = the low bits of in[i]; of bool whether in[i] is not 0
 *
 * Layouts: any, element by element; `from` and `to` are kinds of mw_cast.h, `bytes` counts one
 * element where they are equal, else it is 0. Ranges: all. Workspace: none. Source: TensorFlow
 * Lite, CAST.
 */
#include "mw.h"
#include "mw_cast.h"

void mw_cast(void *out, const void *in, const mw_cast_params *params, void *workspace) {
  (void)workspace;
  if (params->bytes) {
    memcpy(out, in, (size_t)params->size * (size_t)params->bytes);
    return;
  }
  for (int32_t i = 0; i < params->size; i++) {
    mw_cast_store(out, i, params->to, mw_cast_load(in, i, params->from));
  }
}
