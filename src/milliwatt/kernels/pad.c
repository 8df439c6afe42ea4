/* pad with a constant, any element type.
 *
 * out[i] = in[i - before] inside, the padding value outside.
 *
 * Layouts: row-major; axes without padding are merged when packing. Ranges: 8 axes after merging
 * (checked when packing). Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite, PAD and PADV2.
 */
#include "mw.h"
#include "mw_runs.h"

void mw_pad(void *out, const void *in, const mw_pad_params *params, void *workspace) {
  uint8_t *bytes = out;
  (void)workspace;
  if (params->value_bytes == 1) {
    memset(bytes, params->value[0], (size_t)params->out_bytes);
  } else {
    for (int32_t at = 0; at < params->out_bytes; at += params->value_bytes) {
      mw_copy_bytes(bytes + at, params->value, params->value_bytes);
    }
  }
  mw_copy_runs(bytes + params->out_offset, in, params->runs, params->run_bytes, params->axes,
               params->rank);
}
