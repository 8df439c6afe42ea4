/* take along every axis by tables, any element type: mirror_pad and resize_nearest.
 *
 * out[i, j, ...] = in[table_0[i], table_1[j], ...]
 *
 * Layouts: row-major; trailing axes that are kept whole are one run.
 * Ranges: 8 axes (checked when packing). Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite, MIRROR_PAD and RESIZE_NEAREST_NEIGHBOR.
 */
#include "mw.h"
#include "mw_walk.h"

void mw_take(void *out, const void *in, const mw_take_params *params, void *workspace) {
  int32_t index[MW_MAX_RANK] = {0};
  int32_t row = params->row, run = params->run_bytes, rank = params->rank;
  uint8_t *to = out;
  (void)workspace;
  for (int32_t rows = params->rows; rows > 0; rows--) {
    const uint8_t *from = in;
    const int32_t *table = params->offsets;
    for (int32_t i = 0; i < rank - 1; i++) {
      from += table[index[i]];
      table += params->sizes[i];
    }
    for (int32_t i = 0; i < row; i++, to += run) mw_copy_bytes(to, from + table[i], run);
    for (int32_t i = rank - 2; i >= 0; i--) {
      if (++index[i] < params->sizes[i]) break;
      index[i] = 0;
    }
  }
}
