/* max_pool2d, f32.
 *
 * out[n,y,x,c] = clamp(max of in[n,window(y,x),c]) over the cells inside the image.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C].
 * Ranges: every window has a cell inside the image; NaN is no maximum. Workspace: none.
 * Rounding: none. Source: TensorFlow Lite, MAX_POOL_2D.
 */
#include "mw_pool.h"

void mw_max_pool2d_f32(float *out, const float *in, const mw_pool2d_f32_params *params,
                       void *workspace) {
  int32_t channels = params->in_c, row = params->in_w * channels;
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * row) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++) {
      mw_pool_window window = MW_POOL_WINDOW(params, pixel / params->out_w, pixel % params->out_w);
      const float *first = in + window.offset;
      for (int32_t c = 0; c < channels; c++, first++) {
        float most = -3.40282347e38f; /* the lowest float32, so that NaN is passed over */
        for (int32_t y = 0; y < window.height; y++) {
          const float *cell = first + y * row;
          for (int32_t x = 0; x < window.width; x++, cell += channels) {
            most = *cell > most ? *cell : most;
          }
        }
        *out++ = mw_bound_f32(most, params->clamp_min, params->clamp_max);
      }
    }
  }
}
