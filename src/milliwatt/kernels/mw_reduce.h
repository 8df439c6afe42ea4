/* The loops of reductions and of searches along an axis. */
#ifndef MW_REDUCE_H
#define MW_REDUCE_H

#include "mw.h"
#include "mw_walk.h"

/* Every output becomes `result` after `value`, of type `held` and `start` at first, has met each of
 * its elements *x, of type `type`, in the expression `meet`. */
#define MW_REDUCE(type, held, start, meet, result)                            \
  mw_walk kept = {0, 0, {0}};                                                 \
  for (int32_t i = 0; i < params->outputs; i++) {                             \
    mw_walk cell = {kept.a, 0, {0}};                                          \
    held value = (start);                                                     \
    for (int32_t j = 0; j < params->rows; j++) {                              \
      const type *x = in + cell.a;                                            \
      for (int32_t left = params->row; left > 0; left--, x += params->step) { \
        meet;                                                                 \
      }                                                                       \
      mw_walk_next(&cell, params->in_axes, params->in_rank);                  \
    }                                                                         \
    *out++ = (result);                                                        \
    mw_walk_next(&kept, params->out_axes, params->out_rank);                  \
  }

/* The largest integer, or with all bits flipped, and flipped again, the smallest. */
#define MW_REDUCE_EXTREMUM(type) \
  int32_t flip = params->flip;   \
  MW_REDUCE(type, int32_t, INT32_MIN, value = mw_max_s32(value, *x ^ flip), (type)(value ^ flip))

/* The first place along an axis where `term`, of an element *x, is the largest. */
#define MW_ARG_EXTREMUM(type, held, term)          \
  for (int32_t o = 0; o < params->outer; o++) {    \
    for (int32_t i = 0; i < params->inner; i++) {  \
      const type *x = in + i;                      \
      held most = (term);                          \
      int32_t place = 0;                           \
      for (int32_t k = 1; k < params->size; k++) { \
        x += params->inner;                        \
        held next = (term);                        \
        if (next > most) most = next, place = k;   \
      }                                            \
      *out++ = place;                              \
    }                                              \
    in += params->size * params->inner;            \
  }

#endif
