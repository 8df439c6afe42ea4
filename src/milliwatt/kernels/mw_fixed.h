/* Fixed-point rescaling with the two roundings of the TensorFlow Lite Micro reference kernels.
 *
 * A real factor is multiplier / 2^31 * 2^shift, multiplier in [0, 2^31), shift in [-31, 30].
 * Source: TensorFlow Lite 8-bit quantization specification; Jacob et al., CVPR 2018, appendix B.
 * Right shifts of negative numbers are arithmetic, as on every compiler this library is built with.
 */
#ifndef MW_FIXED_H
#define MW_FIXED_H

#include "mw_common.h"

/* round(a * b / 2^31), halves towards plus infinity; not for a = b = -2^31. */
static inline int32_t mw_doubling_high_mul(int32_t a, int32_t b) {
    return (int32_t)(((int64_t)a * b + (1 << 30)) >> 31);
}

/* x / 2^shift rounded to nearest, halves away from zero; shift in [0, 31], x + 2^(shift-1) fits.
 * (2^shift - (x < 0)) / 2 is the nudge, and is 0 for shift 0 without a branch. */
static inline int32_t mw_rounding_shift_right(int32_t x, int32_t shift) {
    uint32_t nudge = (((uint32_t)1 << shift) - ((uint32_t)x >> 31)) >> 1;
    return (int32_t)((uint32_t)x + nudge) >> shift;
}

/* x * multiplier / 2^31 * 2^shift for any int32 x whose left-shifted value wraps like the reference. */
static inline int32_t mw_rescale(int32_t x, int32_t multiplier, int32_t shift) {
    int32_t left = shift > 0 ? shift : 0;
    int32_t shifted = (int32_t)((uint32_t)x << left);
    return mw_rounding_shift_right(mw_doubling_high_mul(shifted, multiplier), left - shift);
}

#endif
