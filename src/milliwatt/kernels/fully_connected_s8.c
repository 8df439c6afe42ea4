/* fully_connected, s8.
 *
 * out[r,o] = clamp(out_zero_point + rescale(bias[o] + sum_k in[r,k] * w[o,k]))
 * with -in_zero_point * sum(w) folded into bias.
 *
 * Layouts: in [rows,in_c], out [rows,out_c], weights packed as mw_dot.h says with K = in_c.
 * Ranges: |bias| + 128 * sum|w| < 2^30 for every channel (checked when packing).
 * Workspace: none. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 8-bit specification, FULLY_CONNECTED.
 */
#include "mw_dot.h"
#include "mw.h"
#include "mw_fixed.h"

void mw_fully_connected_s8(int8_t *out, const int8_t *in, const mw_fully_connected_s8_params *params,
                           void *workspace) {
    int32_t n = params->in_c, channels = params->out_c, step = params->scale_step;
    int32_t zero = params->out_zero_point, low = params->clamp_min, high = params->clamp_max;
    (void)workspace;
    for (int32_t row = 0; row < params->rows; row++, in += n) {
        const int8_t *weights = params->weights;
        const int32_t *bias = params->bias, *scale = params->scales;
        for (int32_t o = 0; o < channels;) {
            int32_t left = channels - o, count = left >= 4 ? 4 : (left >= 2 ? 2 : 1);
            int32_t acc[4];
            for (int32_t i = 0; i < count; i++) acc[i] = bias[o + i];
            if (count == 4) {
                mw_dot_1x4(acc, in, weights, weights + 2 * n, n);
            } else {
                for (int32_t i = 0; i < count; i++) {
                    acc[i] = mw_dot_1x1(acc[i], in, weights + i, count, n);
                }
            }
            for (int32_t i = 0; i < count; i++, scale += step) {
                int32_t value = mw_rescale(acc[i], scale[0], scale[1]) + zero;
                *out++ = (int8_t)mw_bound_s32(value, low, high);
            }
            weights += count * n, o += count;
        }
    }
}
