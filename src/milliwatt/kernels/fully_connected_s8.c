/* fully_connected, s8.
 *
 * out[r,o] = clamp(out_zero_point + rescale(bias[o] + sum_k in[r,k] * w[o,k]))
 * with -in_zero_point * sum(w) folded into bias.
 *
 * Layouts: in [rows,in_c], out [rows,out_c], weights packed as mw_dot.h says, B = 4,
 * K = in_c.
 * Ranges: (|bias| + 128 * sum|w|) * 2^shift < 2^31 - 1024, shift >= 0 (checked when packing).
 * Workspace: none. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 8-bit specification, FULLY_CONNECTED.
 */
#include "mw_dot.h"
#include "mw.h"
#include "mw_fixed.h"

/* One row by four channels: acc += {a.w0, a.w1, a.w2, a.w3}. Adjacent loads pipeline on Cortex-M.
 */
static inline void mw_dot_1x4(int32_t acc[4], const int8_t *a, const int8_t *w, int32_t n) {
  int32_t s0 = acc[0], s1 = acc[1], s2 = acc[2], s3 = acc[3];
  const int8_t *stop = a + (n & ~7);
#define MW_STEP(k)                                          \
  {                                                         \
    int32_t x = a[k], w0 = w[4 * (k)], w1 = w[4 * (k) + 1]; \
    int32_t w2 = w[4 * (k) + 2], w3 = w[4 * (k) + 3];       \
    s0 += x * w0, s1 += x * w1, s2 += x * w2, s3 += x * w3; \
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
    a += 8, w += 32;
  }
  MW_ROLLED
  for (n &= 7; n > 0; n--) {
    MW_STEP(0);
    a++, w += 4;
  }
#undef MW_STEP
  acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3;
}

/* All channels of one row. */
MW_NOINLINE void mw_fully_connected_row(int8_t *out, const int8_t *in,
                                        const mw_fully_connected_s8_params *p) {
  int32_t n = p->in_c, left = p->out_c, step = p->scale_step;
  int32_t zero = p->out_zero_point, low = p->clamp_min, high = p->clamp_max;
  const int8_t *weights = p->weights;
  const int32_t *bias = p->bias, *scale = p->scales;
  for (; left >= 4; left -= 4, bias += 4, weights += 4 * n) {
    int32_t acc[4] = {bias[0], bias[1], bias[2], bias[3]};
    mw_dot_1x4(acc, in, weights, n);
    MW_ROLLED
    for (int32_t i = 0; i < 4; i++, scale += step) {
      *out++ = mw_requantize_s8(acc[i], scale, zero, low, high);
    }
  }
  MW_ROLLED
  for (; left > 0; left--, weights += n, scale += step) {
    int32_t acc = mw_dot_1x1(*bias++, in, weights, n);
    *out++ = mw_requantize_s8(acc, scale, zero, low, high);
  }
}

void mw_fully_connected_s8(int8_t *out, const int8_t *in,
                           const mw_fully_connected_s8_params *params, void *workspace) {
  (void)workspace;
  for (int32_t row = 0; row < params->rows; row++, in += params->in_c, out += params->out_c) {
    mw_fully_connected_row(out, in, params);
  }
}
