/* The loop of operators of two operands that broadcast, and what they do with one pair. */
#ifndef MW_PAIRS_H
#define MW_PAIRS_H

#include "mw_common.h"
#include "mw_walk.h"

/* Walk MW_BROADCAST of `params`: set every element of `out` to `value`, an expression in *x of
 * `a`, whose elements are a_kind, and *y of `b`. */
#define MW_PAIRS(a_kind, b_kind, value)                                              \
  do {                                                                               \
    mw_walk at = {0, 0, {0}};                                                        \
    int32_t a_step = params->a_step, b_step = params->b_step;                        \
    for (int32_t rows = params->rows; rows > 0; rows--) {                            \
      const a_kind *x = a + at.a;                                                    \
      const b_kind *y = b + at.b;                                                    \
      for (int32_t left = params->row; left > 0; left--, x += a_step, y += b_step) { \
        *out++ = (value);                                                            \
      }                                                                              \
      mw_walk_next(&at, params->axes, params->rank);                                 \
    }                                                                                \
  } while (0)

/* How x stands to y: 0 below, 1 equal, 2 above, and with a NaN 3. */
static inline uint32_t mw_order_s32(int32_t x, int32_t y) { return (uint32_t)((x >= y) + (x > y)); }
static inline uint32_t mw_order_s64(int64_t x, int64_t y) { return (uint32_t)((x >= y) + (x > y)); }
static inline uint32_t mw_order_f32(float x, float y) {
  return x < y ? 0 : (x == y ? 1 : (x > y ? 2 : 3));
}

/* x / y towards 0, and what is left; both 0 by 0. Nothing here traps on any processor. */
static inline int32_t mw_quotient_s32(int32_t x, int32_t y) {
  if (y == -1) return (int32_t)(0 - (uint32_t)x);
  return y ? x / y : 0;
}

static inline int32_t mw_remainder_s32(int32_t x, int32_t y) {
  return y == -1 || y == 0 ? 0 : x % y;
}

#endif
