/* average_pool2d, s16.
 *
 * out[n,y,x,c] = clamp(round(mean of in[n,window(y,x),c])) over the cells inside the image.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C].
 * Ranges: every window has a cell inside the image; below 2^15 cells (checked when packing).
 * Workspace: none. Rounding: to nearest, halves away from zero, on the stored integers.
 * In place: out may be in where no window begins before its own result (compiler/rows/pool.py).
 * Source: TensorFlow Lite reference kernels, AVERAGE_POOL_2D.
 */
#include "mw_pool.h"

void mw_average_pool2d_s16(int16_t *out, const int16_t *in, const mw_pool2d_s8_params *params,
                           void *workspace) {
  int32_t channels = params->in_c, row = params->in_w * channels;
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * row) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++) {
      mw_pool_window window = MW_POOL_WINDOW(params, pixel / params->out_w, pixel % params->out_w);
      const int16_t *first = in + window.offset;
      int32_t count = window.height * window.width;
      for (int32_t c = 0; c < channels; c++, first++) {
        int32_t sum = 0;
        for (int32_t y = 0; y < window.height; y++) {
          const int16_t *cell = first + y * row;
          for (int32_t x = 0; x < window.width; x++, cell += channels) {
            sum += *cell;
          }
        }
        int32_t half = sum > 0 ? count / 2 : -(count / 2);
        int32_t mean = (sum + half) / count;
        *out++ = (int16_t)mw_bound_s32(mean, params->clamp_min, params->clamp_max);
      }
    }
  }
}
