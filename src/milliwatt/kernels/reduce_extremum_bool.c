/* reduce_max and reduce_min over any axes, bool: all of them, or any.
 *
 * out[i] = max_j in[i,j], or with flip = -1 the least.
 *
 * Layouts: row-major, any rank; kept axes in order give out. Ranges: all; bytes are 0 or 1.
 * Workspace: none. The output may not overlap the input. Rounding: none.
 * Source: TensorFlow Lite, REDUCE_ALL and REDUCE_ANY.
 */
#include "mw_reduce.h"

void mw_reduce_extremum_bool(uint8_t *out, const uint8_t *in,
                             const mw_reduce_extremum_params *params, void *workspace) {
  (void)workspace;
  MW_REDUCE_EXTREMUM(uint8_t)
}
