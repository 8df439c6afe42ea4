/* Complex arithmetic of the FFT in 16 bits; a twiddle of 1 is 32767. Sums wrap when stored. */
#ifndef MW_FFT_S16_H
#define MW_FFT_S16_H

#include "mw_common.h"

/* round(x * factor / 2^15), halves up */
static inline int16_t mw_fft_times_s16(int16_t x, int32_t factor) {
  return (int16_t)((x * factor + (1 << 14)) >> 15);
}

#define MW_T int16_t
#define MW_NAME(name) name##_s16
#define MW_ADD(a, b) ((int16_t)((a) + (b)))
#define MW_SUB(a, b) ((int16_t)((a) - (b)))
#define MW_HALF(x) ((int16_t)((x) >> 1))
#define MW_HALF_ADD(a, b) ((int16_t)(((a) + (b)) >> 1))
#define MW_HALF_SUB(a, b) ((int16_t)(((a) - (b)) >> 1))
#define MW_TIMES(x, factor) mw_fft_times_s16(x, factor)
#define MW_SHARE(x, by) mw_fft_times_s16(x, INT16_MAX / (by))
/* |a| |b| < 2^15 sqrt(2) * 32767: 32 bits hold the sum of two products. */
#define MW_CROSS_SUB(a, b, c, d) \
  ((int16_t)(((int32_t)(a) * (b) - (int32_t)(c) * (d) + (1 << 14)) >> 15))
#define MW_CROSS_ADD(a, b, c, d) \
  ((int16_t)(((int32_t)(a) * (b) + (int32_t)(c) * (d) + (1 << 14)) >> 15))
#include "mw_fft_body.h"

#endif
