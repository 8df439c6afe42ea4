/* One quantized squared difference; squared_difference in s8 and s16 share it. */
#ifndef MW_SQUARED_H
#define MW_SQUARED_H

#include "mw.h"
#include "mw_fixed.h"

static inline int32_t mw_squared_difference_one(int32_t x, int32_t y,
                                                const mw_squared_difference_params *p) {
  int32_t a = (x - p->a_zero_point) * (1 << p->left), b = (y - p->b_zero_point) * (1 << p->left);
  int32_t difference = mw_rescale(a, p->a_multiplier, p->a_shift) -
                       mw_rescale(b, p->b_multiplier, p->b_shift);
  return mw_rescale(difference * difference, p->multiplier, p->shift) + p->out_zero_point;
}

#endif
