/* The reciprocal in fixed point that softmax and div share. */
#ifndef MW_RECIPROCAL_H
#define MW_RECIPROCAL_H

#include "mw_fixed.h"

/* 1 / (1 + x) for x in [0, 1), both Q0.31: three Newton steps on 1 / (2 d), d = (1 + x) / 2, in
 * Q2.29 from 48/17 - 32/17 d. */
static inline int32_t mw_one_over_one_plus_x(int32_t x) {
  int32_t d = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
  int32_t y = 1515870810 + mw_doubling_high_mul(d, -1010580540);
  for (int32_t step = 0; step < 3; step++) {
    int32_t error = (1 << 29) - mw_doubling_high_mul(d, y);
    y += mw_doubling_high_mul(y, error) * 4;
  }
  return y > INT32_MAX / 2 ? INT32_MAX : y * 2;
}

#endif
