/* Any convolution with f32 activations and constant weights of binary16.
 *
 * out[n,y,x,o] = clamp(bias[o] + sum over taps t inside the image and channels c of in * w[o,t,c])
 * Serves conv2d (with groups), depthwise_conv2d, fully_connected (a window of 1 x 1) and
 * transpose_conv2d; a weight takes half the flash that an f32 takes and has the same value.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',O]; weights in the model's order, walked as mw_filters says.
 * Ranges: finite weights (checked when packing). Workspace: the weights of one filter as f32 where
 * a filter has more than one output; none else, nor for depthwise_conv2d. The output may not
 * overlap the input.
 * Rounding: none in the conversion; float32 sums in memory order. Source: IEEE 754-2008, binary16;
 * TensorFlow Lite, CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV.
 */
#include "mw_filters_f32.h"

/* The float of a finite binary16: exponent and fraction moved to their places in binary32 are the
 * value times 2^-112, subnormals included. */
static inline float mw_half(int16_t bits) {
  uint32_t wide = (uint32_t)(uint16_t)bits;
  union {
    uint32_t bits;
    float value;
  } as = {(wide & 0x8000u) << 16 | (wide & 0x7fffu) << 13};
  return as.value * 0x1p112f;
}

/* Filter o as floats, [taps][depth]. */
static void mw_unpack_f16(float *row, const int16_t *weights, const mw_filters *p) {
  for (int32_t t = p->kernel_h * p->kernel_w; t > 0; t--) {
    for (int32_t c = 0; c < p->depth; c++) *row++ = mw_half(weights[c]);
    if (t > 1) weights += p->tap_step;
  }
}

/* The one output of a filter, its weights converted as they are read. */
static float mw_filter_sum_f16(const float *in, const int16_t *weights, float sum,
                               const mw_pixel *pixel, const mw_filters *p) {
  for (int32_t i = 0; i < pixel->down.count; i++) {
    const float *cell = in + mw_pixel_cell(pixel, i, p);
    const int16_t *w = weights + mw_pixel_tap(pixel, i, p) * p->tap_step;
    for (int32_t j = pixel->right.count; j > 0; j--) {
      for (int32_t c = 0; c < p->depth; c++) sum += cell[c] * mw_half(w[c]);
      if (j > 1) cell += p->dilation_w * p->in_c, w += p->up_w * p->tap_step;
    }
  }
  return sum;
}

/* All outputs of depthwise filters, whose weights for a tap lie side by side; the sums are kept in
 * the output. */
static void mw_depthwise_f16(float *out, const float *in, const int16_t *weights,
                             const mw_conv2d_runtime_f32_params *params) {
  const mw_filters *p = &params->window;
  mw_pixel pixel = mw_pixel_first(p);
  for (int32_t left = mw_pixels(p);; mw_pixel_next(&pixel, p), out += p->out_c) {
    memcpy(out, params->bias, (size_t)p->out_c * sizeof *out);
    for (int32_t i = 0; i < pixel.down.count; i++) {
      const float *cell = in + pixel.image + mw_pixel_cell(&pixel, i, p);
      const int16_t *w = weights + mw_pixel_tap(&pixel, i, p) * p->out_c;
      for (int32_t j = pixel.right.count; j > 0; j--) {
        for (int32_t o = 0, c = 0; o < p->out_c; c++) {
          for (int32_t last = o + p->group; o < last; o++) out[o] += cell[c] * mw_half(w[o]);
        }
        if (j > 1) cell += p->dilation_w * p->in_c, w += p->out_c;
      }
    }
    for (int32_t o = 0; o < p->out_c; o++) {
      out[o] = mw_bound_f32(out[o], params->clamp_min, params->clamp_max);
    }
    if (--left == 0) return;
  }
}

void mw_conv2d_f16(float *out, const float *in, const mw_conv2d_f16_params *params,
                   void *workspace) {
  const mw_conv2d_runtime_f32_params *filters = &params->filters;
  const mw_filters *p = &filters->window;
  mw_pixel pixel = mw_pixel_first(p);
  if (mw_side_by_side(p)) {
    mw_depthwise_f16(out, in, params->weights, filters);
    return;
  }
  for (int32_t o = 0; o < p->out_c; o++) {
    const int16_t *weights = params->weights + p->first + o * p->filter_step;
    if (workspace) {
      mw_unpack_f16(workspace, weights, p);
      mw_filter_f32(out + o, in, workspace, p->depth, o, filters);
    } else {
      const float *cells = in + o / p->group * p->depth;
      float sum = mw_filter_sum_f16(cells, weights, filters->bias[o], &pixel, p);
      out[o] = mw_bound_f32(sum, filters->clamp_min, filters->clamp_max);
    }
  }
}
