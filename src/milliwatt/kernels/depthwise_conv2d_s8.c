/* depthwise_conv2d with one output per input channel, s8.
 *
 * out[n,y,x,c] = clamp(out_zero_point + rescale(bias[c] + sum_t in[n,tap t of (y,x),c] * w[t,c]))
 * taps as in conv2d_s8; -in_zero_point * sum(w) is folded into bias.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C]; weights [C/4][KH*KW][4], then [KH*KW] for each channel
 * left over.
 * Ranges: (|bias| + 128 * sum|w|) * 2^shift < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: 2 * KH * KW pointers + C bytes. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 8-bit specification, DEPTHWISE_CONV_2D.
 */
#include "mw_fixed.h"
#include "mw_taps_s8.h"

/* The results of four channels. With constant bounds of int8 the compiler makes one saturating
 * instruction of a result's two comparisons. */
MW_INLINE void mw_store_1x4(int8_t *out, const int32_t acc[4], const int32_t *channel, int32_t zero,
                            int32_t low, int32_t high) {
  out[0] = mw_requantize_s8(acc[0], channel + 1, zero, low, high);
  out[1] = mw_requantize_s8(acc[1], channel + 4, zero, low, high);
  out[2] = mw_requantize_s8(acc[2], channel + 7, zero, low, high);
  out[3] = mw_requantize_s8(acc[3], channel + 10, zero, low, high);
}

/* All channels of one output pixel: four at a time, then one by one. */
MW_NOINLINE void mw_depthwise_pixel(int8_t *out, uintptr_t base, const uintptr_t *taps,
                                    const uintptr_t *stop, const mw_conv2d_s8_params *p) {
  int32_t zero = p->out_zero_point, low = p->clamp_min, high = p->clamp_max;
  int32_t whole = low == INT8_MIN && high == INT8_MAX;
  const uintptr_t *thirds = taps + (stop - taps) / 3 * 3;
  const int8_t *w = p->weights;
  const int32_t *channel = p->channels, *last = channel + 3 * p->in_c;
  for (; last - channel >= 12; channel += 12, out += 4, base += 4) {
    int32_t s0 = channel[0], s1 = channel[3], s2 = channel[6], s3 = channel[9];
    const uintptr_t *tap = taps;
#define MW_TAP(k)                                                        \
  {                                                                      \
    const int8_t *x = (const int8_t *)(base + tap[k]), *v = w + 4 * (k); \
    int32_t x0 = x[0], x1 = x[1], w0 = v[0], w1 = v[1];                  \
    s0 += x0 * w0, s1 += x1 * w1;                                        \
    int32_t x2 = x[2], x3 = x[3], w2 = v[2], w3 = v[3];                  \
    s2 += x2 * w2, s3 += x3 * w3;                                        \
  }
    MW_ROLLED
    for (; tap != thirds; tap += 3, w += 12) {
      MW_TAP(0);
      MW_TAP(1);
      MW_TAP(2);
    }
    MW_ROLLED
    for (; tap != stop; tap++, w += 4) MW_TAP(0);
#undef MW_TAP
    const int32_t acc[4] = {s0, s1, s2, s3};
    if (whole)
      mw_store_1x4(out, acc, channel, zero, INT8_MIN, INT8_MAX);
    else
      mw_store_1x4(out, acc, channel, zero, low, high);
  }
  MW_ROLLED
  for (; channel != last; channel += 3, base++) {
    int32_t sum = channel[0];
    MW_ROLLED
    for (const uintptr_t *tap = taps; tap != stop; tap++) {
      sum += *(const int8_t *)(base + *tap) * *w++;
    }
    *out++ = mw_requantize_s8(sum, channel + 1, zero, low, high);
  }
}

void mw_depthwise_conv2d_s8(int8_t *out, const int8_t *in, const mw_conv2d_s8_params *params,
                            void *workspace) {
  mw_taps taps = mw_taps_init(params, workspace);
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * params->in_w * params->in_c) {
    for (int32_t y = 0; y < params->out_h; y++) {
      for (int32_t x = 0; x < params->out_w; x++, out += params->out_c) {
        uintptr_t base;
        const uintptr_t *table = mw_taps_at(&taps, in, y, x, params, &base);
        mw_depthwise_pixel(out, base, table, table + taps.count, params);
      }
    }
  }
}
