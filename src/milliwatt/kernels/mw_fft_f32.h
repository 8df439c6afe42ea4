/* Complex arithmetic of the FFT in float32; nothing is divided on the way. */
#ifndef MW_FFT_F32_H
#define MW_FFT_F32_H

#include "mw_common.h"

#define MW_T float
#define MW_NAME(name) name##_f32
#define MW_ADD(a, b) ((a) + (b))
#define MW_SUB(a, b) ((a) - (b))
#define MW_HALF(x) ((x) * 0.5f)
#define MW_HALF_ADD(a, b) (((a) + (b)) * 0.5f)
#define MW_HALF_SUB(a, b) (((a) - (b)) * 0.5f)
#define MW_TIMES(x, factor) ((x) * (factor))
#define MW_SHARE(x, by) (x)
#define MW_CROSS_SUB(a, b, c, d) ((a) * (b) - (c) * (d))
#define MW_CROSS_ADD(a, b, c, d) ((a) * (b) + (c) * (d))
#include "mw_fft_body.h"

#endif
