/* max_pool2d, s16.
 *
 * out[n,y,x,c] = clamp(max of in[n,window(y,x),c]) over the cells inside the image.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]. Ranges: every window has a cell inside the image.
 * Workspace: none. Rounding: none, one quantization for both sides.
 * In place: out may be in where no window begins before its own result (compiler/rows/pool.py).
 * Source: TensorFlow Lite reference kernels, MAX_POOL_2D.
 */
#include "mw_pool.h"

void mw_max_pool2d_s16(int16_t *out, const int16_t *in, const mw_pool2d_s8_params *params,
                       void *workspace) {
  int32_t channels = params->in_c, row = params->in_w * channels;
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * row) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++) {
      mw_pool_window window = MW_POOL_WINDOW(params, pixel / params->out_w, pixel % params->out_w);
      const int16_t *first = in + window.offset;
      for (int32_t c = 0; c < channels; c++, first++) {
        int32_t most = INT16_MIN;
        for (int32_t y = 0; y < window.height; y++) {
          const int16_t *cell = first + y * row;
          for (int32_t x = 0; x < window.width; x++, cell += channels) {
            most = mw_max_s32(most, *cell);
          }
        }
        *out++ = (int16_t)mw_bound_s32(most, params->clamp_min, params->clamp_max);
      }
    }
  }
}
