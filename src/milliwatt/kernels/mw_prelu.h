/* One quantized prelu; s8 and s16 share it. */
#ifndef MW_PRELU_H
#define MW_PRELU_H

#include "mw.h"
#include "mw_fixed.h"

static inline int32_t mw_prelu_one(int32_t x, int32_t alpha, const mw_prelu_params *p) {
  int32_t value = x - p->a_zero_point;
  if (value >= 0) return mw_rescale(value, p->multiplier, p->shift) + p->out_zero_point;
  value *= alpha - p->alpha_zero_point;
  return mw_rescale(value, p->alpha_multiplier, p->alpha_shift) + p->out_zero_point;
}

#endif
