/* l2_pool2d, f32.
 *
 * out[n,y,x,c] = clamp(sqrt(mean of in[n,window(y,x),c]^2)) over the cells inside the image.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]. Ranges: every window has a cell inside the image.
 * Workspace: none. Rounding: float32 sums in memory order. Source: TensorFlow Lite,
 * L2_POOL_2D.
 */
#include "mw_math.h"
#include "mw_pool.h"

void mw_l2_pool2d_f32(float *out, const float *in, const mw_pool2d_f32_params *params,
                      void *workspace) {
  int32_t channels = params->in_c, row = params->in_w * channels;
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * row) {
    for (int32_t pixel = 0; pixel < params->out_h * params->out_w; pixel++) {
      mw_pool_window window = MW_POOL_WINDOW(params, pixel / params->out_w, pixel % params->out_w);
      const float *first = in + window.offset;
      float count = (float)(window.height * window.width);
      for (int32_t c = 0; c < channels; c++, first++) {
        float sum = 0.0f;
        for (int32_t y = 0; y < window.height; y++) {
          const float *cell = first + y * row;
          for (int32_t x = 0; x < window.width; x++, cell += channels) {
            sum += *cell * *cell;
          }
        }
        float root = mw_sqrt_one_f32(sum / count);
        *out++ = mw_bound_f32(root, params->clamp_min, params->clamp_max);
      }
    }
  }
}
