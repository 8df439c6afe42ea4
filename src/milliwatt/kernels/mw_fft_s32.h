/* Complex arithmetic of the FFT in 32 bits; a twiddle of 1 is 2^31 - 1. Sums wrap when stored. */
#ifndef MW_FFT_S32_H
#define MW_FFT_S32_H

#include "mw_common.h"

/* round(x * factor / 2^31), halves up */
static inline int32_t mw_fft_times_s32(int32_t x, int32_t factor) {
  return (int32_t)(((int64_t)x * factor + (1 << 30)) >> 31);
}

#define MW_T int32_t
#define MW_NAME(name) name##_s32
#define MW_ADD(a, b) ((int32_t)((uint32_t)(a) + (uint32_t)(b)))
#define MW_SUB(a, b) ((int32_t)((uint32_t)(a) - (uint32_t)(b)))
#define MW_HALF(x) ((x) >> 1)
#define MW_HALF_ADD(a, b) (MW_ADD(a, b) >> 1)
#define MW_HALF_SUB(a, b) (MW_SUB(a, b) >> 1)
#define MW_TIMES(x, factor) mw_fft_times_s32(x, factor)
#define MW_SHARE(x, by) mw_fft_times_s32(x, INT32_MAX / (by))
#define MW_CROSS_SUB(a, b, c, d) \
  ((int32_t)(((int64_t)(a) * (b) - (int64_t)(c) * (d) + (1 << 30)) >> 31))
#define MW_CROSS_ADD(a, b, c, d) \
  ((int32_t)(((int64_t)(a) * (b) + (int64_t)(c) * (d) + (1 << 30)) >> 31))
#include "mw_fft_body.h"

#endif
