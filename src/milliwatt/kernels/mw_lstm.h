/* The integer LSTM: what activations of 8 and 16 bits share. */
#ifndef MW_LSTM_H
#define MW_LSTM_H

#include "mw.h"
#include "mw_fixed.h"
#include "mw_sigmoid_s16.h"

static inline int32_t mw_lstm_bound(int32_t x) { return mw_bound_s32(x, -32768, 32767); }

/* a * b, both s16, scaled by {multiplier, shift}. */
static inline int32_t mw_lstm_product(int32_t a, int32_t b, const int32_t *scale) {
  return mw_rescale(a * b, scale[0], scale[1]);
}

/* One unit's step from the s16 sums of its gates, in the order input, forget, cell, output, at
 * scale 2^-12: its cell, and the hidden value before its bounds, without its zero point. */
static inline int32_t mw_lstm_unit(const int32_t sums[4], int16_t *cell, const mw_lstm_params *p) {
  int32_t input = mw_logistic_one_s16(sums[0], 3, 0), forget = mw_logistic_one_s16(sums[1], 3, 0);
  int32_t fresh = mw_tanh_one_s16(sums[2], 3, 0), output = mw_logistic_one_s16(sums[3], 3, 0);
  int32_t kept = mw_lstm_bound(mw_lstm_product(forget, *cell, p->scales));
  int32_t added = mw_lstm_bound(mw_lstm_product(input, fresh, p->scales + 2));
  int32_t value = mw_lstm_bound(kept + added), clip = p->cell_clip;
  if (p->clips) value = mw_bound_s32(value, -clip, clip);
  *cell = (int16_t)value;
  int32_t bent = mw_tanh_one_s16(value, p->tanh_multiplier, p->tanh_shift);
  return mw_lstm_product(bent, output, p->scales + 4);
}

#endif
