/* strided_slice, any element type; also broadcast_to, whose repeated axes have stride 0.
 *
 * out[i] = in[begin + i * stride] on every axis
 *
 * Layouts: row-major; axes that stay neighbours are merged when packing, and elements that stay
 * neighbours are one run. Ranges: 8 axes after merging (checked when packing).
 * Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite, STRIDED_SLICE and BROADCAST_TO.
 */
#include "mw.h"
#include "mw_runs.h"

void mw_strided_slice(void *out, const void *in, const mw_strided_slice_params *params,
                      void *workspace) {
  (void)workspace;
  mw_copy_runs(out, (const uint8_t *)in + params->in_offset, params->runs, params->run_bytes,
               params->axes, params->rank);
}
