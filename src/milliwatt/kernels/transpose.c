/* transpose, any element type.
 *
 * out[i_0, ..., i_r] = in[index with axis perm[k] = i_k]
 *
 * Layouts: row-major; axes that stay neighbours are merged when packing, and elements that stay
 * neighbours are one run. Ranges: 8 axes after merging (checked when packing).
 * Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite, TRANSPOSE.
 */
#include "mw.h"
#include "mw_runs.h"

void mw_transpose(void *out, const void *in, const mw_transpose_params *params, void *workspace) {
  (void)workspace;
  mw_copy_runs(out, in, params->runs, params->run_bytes, params->axes, params->rank);
}
