/* l2_normalization over the last axis, f32.
 *
 * out[r,i] = in[r,i] / max(sqrt(sum_j in[r,j]^2), 1e-6)
 *
 * Layouts: [rows,row]. Ranges: all. Workspace: none. In place: out may be in.
 * Rounding: float32 sums in memory order. Source: TensorFlow Lite, L2_NORMALIZATION.
 */
#include "mw.h"
#include "mw_math.h"

void mw_l2_normalization_f32(float *out, const float *in, const mw_rows_params *params,
                             void *workspace) {
  int32_t row = params->row;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    float sum = 0.0f;
    for (int32_t i = 0; i < row; i++) sum += in[i] * in[i];
    float norm = mw_sqrt_one_f32(sum);
    if (norm < 1e-6f) norm = 1e-6f;
    for (int32_t i = 0; i < row; i++) out[i] = in[i] / norm;
  }
}
