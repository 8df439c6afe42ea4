/* One element of a quantized sum or difference; add_s8, sub_s8 and conv2d_add_s8 share it.
 * Source: TensorFlow Lite 8-bit specification, ADD: both operands raised by 2^20, brought to twice the
 * larger scale, summed, brought to the result's scale. */
#ifndef MW_SUM_S8_H
#define MW_SUM_S8_H

#include "mw.h"
#include "mw_fixed.h"

static inline int32_t mw_sum_one_s8(int32_t a, int32_t b, int32_t sign, const mw_sum_s8 *p) {
    a = mw_rescale((a - p->a_zero_point) * (1 << 20), p->a_multiplier, p->a_shift);
    b = mw_rescale((b - p->b_zero_point) * (1 << 20), p->b_multiplier, p->b_shift);
    int32_t sum = mw_rescale(a + sign * b, p->out_multiplier, p->out_shift);
    return mw_bound_s32(sum + p->out_zero_point, p->clamp_min, p->clamp_max);
}

#endif
