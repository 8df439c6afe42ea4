/* softmax over the last axis, f32.
 *
 * out[r,i] = exp(beta * (in[r,i] - max_j in[r,j])) / sum_j exp(...)
 *
 * Layouts: [rows,row]. Ranges: finite inputs, beta >= 0 (checked when packing).
 * Workspace: none. In place: out may be in.
 * Rounding: within 1e-6 relative, but values below 1e-37 of the largest are not smaller than that.
 * Source: TensorFlow Lite, SOFTMAX.
 */
#include "mw.h"
#include "mw_math.h"

void mw_softmax_f32(float *out, const float *in, const mw_softmax_f32_params *params,
                    void *workspace) {
  int32_t row = params->row;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    float most = in[0], sum = 0.0f;
    for (int32_t i = 1; i < row; i++) most = in[i] > most ? in[i] : most;
    for (int32_t i = 0; i < row; i++) {
      out[i] = mw_exp_f32((in[i] - most) * params->beta);
      sum += out[i];
    }
    for (int32_t i = 0; i < row; i++) out[i] /= sum;
  }
}
