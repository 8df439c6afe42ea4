/* depthwise_conv2d with M outputs per input channel, s8.
 *
 * out[n,y,x,c*M+m] = clamp(out_zero_point + rescale(bias[c*M+m] + sum_t in[n,tap t,c] *
 * w[t,c*M+m])) taps as in conv2d_s8; -in_zero_point * sum(w) is folded into bias.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C*M], weights [C][KH*KW][M].
 * Ranges, workspace and rounding: those of depthwise_conv2d_s8. The output may not overlap the
 * input. Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_fixed.h"
#include "mw_taps_s8.h"

/* What stays the same for all pixels and channels. */
typedef struct {
  const mw_conv2d_s8_params *params;
  int32_t step;                 /* from a tap's weights to the next one's: M */
  const uintptr_t *taps, *stop; /* of the present pixel */
} mw_mult_window;

static inline void mw_mult_store(int8_t *out, const int32_t *acc, int32_t count,
                                 const int32_t *channel, const mw_conv2d_s8_params *p) {
  MW_ROLLED
  for (int32_t i = 0; i < count; i++, channel += 3) {
    out[i] = mw_requantize_s8(acc[i], channel + 1, p->out_zero_point, p->clamp_min, p->clamp_max);
  }
}

/* Four results of one input channel: its value is loaded once a tap, their weights are neighbours.
 */
MW_NOINLINE void mw_mult_four(int8_t *out, uintptr_t base, const int8_t *w, const int32_t *channel,
                              const mw_mult_window *window) {
  int32_t step = window->step;
  int32_t s0 = channel[0], s1 = channel[3], s2 = channel[6], s3 = channel[9];
  const uintptr_t *stop = window->stop;
  MW_ROLLED
  for (const uintptr_t *tap = window->taps; tap != stop; tap++, w += step) {
    int32_t x = *(const int8_t *)(base + *tap), w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];
    s0 += x * w0, s1 += x * w1, s2 += x * w2, s3 += x * w3;
  }
  const int32_t acc[4] = {s0, s1, s2, s3};
  mw_mult_store(out, acc, 4, channel, window->params);
}

/* Two. */
MW_NOINLINE void mw_mult_two(int8_t *out, uintptr_t base, const int8_t *w, const int32_t *channel,
                             const mw_mult_window *window) {
  int32_t step = window->step, s0 = channel[0], s1 = channel[3];
  const uintptr_t *stop = window->stop;
  MW_ROLLED
  for (const uintptr_t *tap = window->taps; tap != stop; tap++, w += step) {
    int32_t x = *(const int8_t *)(base + *tap), w0 = w[0], w1 = w[1];
    s0 += x * w0, s1 += x * w1;
  }
  const int32_t acc[2] = {s0, s1};
  mw_mult_store(out, acc, 2, channel, window->params);
}

/* One. */
MW_NOINLINE void mw_mult_one(int8_t *out, uintptr_t base, const int8_t *w, const int32_t *channel,
                             const mw_mult_window *window) {
  int32_t step = window->step, sum = channel[0];
  const uintptr_t *stop = window->stop;
  MW_ROLLED
  for (const uintptr_t *tap = window->taps; tap != stop; tap++, w += step) {
    sum += *(const int8_t *)(base + *tap) * *w;
  }
  mw_mult_store(out, &sum, 1, channel, window->params);
}

/* All results of one pixel. */
static void mw_mult_pixel(int8_t *out, uintptr_t base, const mw_mult_window *window) {
  const mw_conv2d_s8_params *p = window->params;
  const int8_t *w = p->weights;
  const int32_t *channel = p->channels;
  int32_t others = window->step * (int32_t)(window->stop - window->taps - 1);
  for (int32_t c = 0; c < p->in_c; c++, base++, w += others) {
    int32_t left = window->step;
    for (; left >= 4; left -= 4, out += 4, w += 4, channel += 12) {
      mw_mult_four(out, base, w, channel, window);
    }
    if (left >= 2) {
      mw_mult_two(out, base, w, channel, window);
      left -= 2, out += 2, w += 2, channel += 6;
    }
    if (left) {
      mw_mult_one(out, base, w, channel, window);
      out++, w++, channel += 3;
    }
  }
}

void mw_depthwise_conv2d_mult_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                                 void *workspace) {
  mw_taps taps = mw_taps_init(params, workspace);
  mw_mult_window window = {params, params->out_c / params->in_c, NULL, NULL};
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * params->in_w * params->in_c) {
    for (int32_t y = 0; y < params->out_h; y++) {
      for (int32_t x = 0; x < params->out_w; x++, out += params->out_c) {
        uintptr_t base;
        window.taps = mw_taps_at(&taps, in, y, x, params, &base);
        window.stop = window.taps + taps.count;
        mw_mult_pixel(out, base, &window);
      }
    }
  }
}
