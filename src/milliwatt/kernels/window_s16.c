/* window: samples times a window, s16.
 *
 * out[r,i] = saturate((in[r,i] * weights[i]) >> shift)
 *
 * Layouts: in and out [rows,row], weights [row]. Ranges: shift 0 to 31. Workspace: none.
 * In place: out may be in. Rounding: down. Source: TensorFlow Lite Micro, signal/src/window.
 */
#include "mw.h"

void mw_window_s16(int16_t *out, const int16_t *in, const int16_t *weights,
                   const mw_window_params *params, void *workspace) {
  int32_t shift = params->shift;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++) {
    for (int32_t i = 0; i < params->row; i++) {
      int32_t value = ((int32_t)*in++ * weights[i]) >> shift;
      *out++ = (int16_t)mw_bound_s32(value, INT16_MIN, INT16_MAX);
    }
  }
}
