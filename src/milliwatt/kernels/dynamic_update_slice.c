/* dynamic_update_slice, any element type.
 *
 * out = in, but out[start + i] = update[i]
 *
 * Layouts: in, out and update of one rank, row-major; start [rank] s32 or s64. Ranges: a start that
 * would lead outside is moved to the nearest one that does not; 8 axes of the update after merging
 * neighbours (checked when packing). Workspace: none. In place: out may be in; it may not overlap
 * update or start. Rounding: none. Source: TensorFlow Lite, DYNAMIC_UPDATE_SLICE.
 */
#include "mw.h"
#include "mw_index.h"
#include "mw_runs.h"

void mw_dynamic_update_slice(void *out, const void *in, const void *update, const void *start,
                             const mw_dynamic_update_slice_params *params, void *workspace) {
  int32_t offset = 0;
  (void)workspace;
  if (out != in) memcpy(out, in, (size_t)params->out_bytes);
  for (int32_t i = 0; i < params->start_rank; i++) {
    const int32_t *limit = params->limits + 2 * i;
    offset += mw_index(start, params->index_bytes, i, limit[0]) * limit[1];
  }
  mw_copy_runs((uint8_t *)out + offset, update, params->runs, params->run_bytes, params->axes,
               params->rank);
}
