/* log_softmax over the last axis, f32.
 *
 * out[r,i] = in[r,i] - max_j in[r,j] - ln(sum_j exp(in[r,j] - max_k in[r,k]))
 *
 * Layouts: [rows,row]. Ranges: finite inputs. Workspace: none. In place: out may be in.
 * Rounding: within 1e-6 of the largest result. Source: TensorFlow Lite, LOG_SOFTMAX.
 */
#include "mw.h"
#include "mw_math.h"

void mw_log_softmax_f32(float *out, const float *in, const mw_rows_params *params,
                        void *workspace) {
  int32_t row = params->row;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    float most = in[0], sum = 0.0f;
    for (int32_t i = 1; i < row; i++) most = in[i] > most ? in[i] : most;
    for (int32_t i = 0; i < row; i++) sum += mw_exp_f32(in[i] - most);
    float log = mw_log_one_f32(sum);
    for (int32_t i = 0; i < row; i++) out[i] = in[i] - most - log;
  }
}
