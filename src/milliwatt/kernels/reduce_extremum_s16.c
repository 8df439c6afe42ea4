/* reduce_max and reduce_min over any axes, s16.
 *
 * out[i] = max_j in[i,j], or with flip = -1 the least.
 *
 * Layouts: row-major, any rank; kept axes in order give out. Ranges: all.
 * Workspace: none. The output may not overlap the input. Rounding: none.
 * Source: TensorFlow Lite, REDUCE_MAX and REDUCE_MIN.
 */
#include "mw_reduce.h"

void mw_reduce_extremum_s16(int16_t *out, const int16_t *in,
                            const mw_reduce_extremum_params *params, void *workspace) {
  (void)workspace;
  MW_REDUCE_EXTREMUM(int16_t)
}
