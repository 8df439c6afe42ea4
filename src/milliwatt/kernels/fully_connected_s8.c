/* fully_connected, s8.
 *
 * out[r,o] = clamp(out_zero_point + rescale(bias[o] + sum_k in[r,k] * w[o,k]))
 * with -in_zero_point * sum(w) folded into bias.
 *
 * Layouts: in [rows,in_c], out [rows,out_c], weights packed as mw_dot.h says with K = in_c.
 * Ranges: (|bias| + 128 * sum|w|) * 2^shift < 2^31 - 256, shift >= 0 (checked when packing).
 * Workspace: none. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 8-bit specification, FULLY_CONNECTED.
 */
#include "mw_dot.h"
#include "mw.h"
#include "mw_fixed.h"

/* One pixel by four channels: acc += {a.w0, a.w1, a.v0, a.v1}; w and v are two channel pairs. */
static MW_NOINLINE void mw_dot_1x4(int32_t acc[4], const int8_t *a, const int8_t *w,
                                   const int8_t *v, int32_t n) {
  int32_t s0 = acc[0], s1 = acc[1], s2 = acc[2], s3 = acc[3];
  const int8_t *stop = a + (n & ~7);
#define MW_STEP(k)                                          \
  {                                                         \
    int32_t x = a[k], w0 = w[2 * (k)], w1 = w[2 * (k) + 1]; \
    int32_t v0 = v[2 * (k)], v1 = v[2 * (k) + 1];           \
    s0 += x * w0, s1 += x * w1, s2 += x * v0, s3 += x * v1; \
  }
  MW_ROLLED
  while (a != stop) {
    MW_STEP(0);
    MW_STEP(1);
    MW_STEP(2);
    MW_STEP(3);
    MW_STEP(4);
    MW_STEP(5);
    MW_STEP(6);
    MW_STEP(7);
    a += 8, w += 16, v += 16;
  }
  MW_ROLLED
  for (n &= 7; n > 0; n--) {
    MW_STEP(0);
    a++, w += 2, v += 2;
  }
#undef MW_STEP
  acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3;
}

void mw_fully_connected_s8(int8_t *out, const int8_t *in,
                           const mw_fully_connected_s8_params *params, void *workspace) {
  int32_t n = params->in_c, channels = params->out_c, step = params->scale_step;
  (void)workspace;
  for (int32_t row = 0; row < params->rows; row++, in += n) {
    const int8_t *weights = params->weights;
    const int32_t *bias = params->bias, *scale = params->scales;
    for (int32_t left = channels; left > 0;) {
      int32_t acc[4], lanes = left >= 4 ? 4 : (left >= 2 ? 2 : 1);
      MW_ROLLED
      for (int32_t i = 0; i < lanes; i++) acc[i] = *bias++;
      if (lanes == 4) {
        mw_dot_1x4(acc, in, weights, weights + 2 * n, n);
      } else {
        MW_ROLLED
        for (int32_t i = 0; i < lanes; i++) {
          acc[i] = mw_dot_1x1(acc[i], in, weights + i, lanes, n);
        }
      }
      MW_ROLLED
      for (int32_t i = 0; i < lanes; i++, scale += step) {
        *out++ = (int8_t)mw_requantize_s8(acc[i], scale, params->out_zero_point, params->clamp_min,
                                          params->clamp_max);
      }
      weights += lanes * n, left -= lanes;
    }
  }
}
