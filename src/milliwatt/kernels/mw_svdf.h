/* SVDF of integers: what its states of 8 and 16 bits share. Sums wrap to 32 bits, as TFLM's. */
#ifndef MW_SVDF_H
#define MW_SVDF_H

#include "mw.h"
#include "mw_fixed.h"

/* One filter's answer to the newest input, in [low, high], before the state's zero point. */
static inline int32_t mw_svdf_newest(const int8_t *in, const int8_t *weights,
                                     const mw_svdf_state_params *p, int32_t low, int32_t high) {
  int32_t zero = p->in_zero_point;
  uint32_t sum = 0;
  for (int32_t i = 0; i < p->inputs; i++) sum += (uint32_t)((in[i] - zero) * weights[i]);
  return mw_bound_s32(mw_rescale((int32_t)sum, p->multiplier, p->shift), low, high);
}

/* The result of a sum of products. */
static inline int8_t mw_svdf_result(uint32_t sum, const mw_svdf_params *p) {
  int32_t zero = p->out_zero_point, scaled = mw_rescale((int32_t)sum, p->multiplier, p->shift);
  return (int8_t)(mw_bound_s32(scaled, -128 - zero, 127 - zero) + zero);
}

#endif
