/* Shifts to the left that saturate. */
#ifndef MW_SATURATE_H
#define MW_SATURATE_H

#include "mw_common.h"

/* x * 2^bits, saturated; bits in [0, 30]. */
static inline int32_t mw_raised(int32_t x, int32_t bits) {
  int32_t limit = INT32_MAX >> bits;
  if (x > limit) return INT32_MAX;
  return x < ~limit ? INT32_MIN : x * (1 << bits);
}

#endif
