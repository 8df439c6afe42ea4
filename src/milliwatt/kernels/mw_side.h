/* The two cells on either side of a place in an image, 10 bits behind the point. */
#ifndef MW_SIDE_H
#define MW_SIDE_H

#include "mw_common.h"

typedef struct {
  int32_t low, high, weight; /* of the cell `high`; 1024 minus it of `low` */
} mw_side;

static inline mw_side mw_side_at(int32_t place, int32_t size) {
  mw_side side = {0, 0, 0};
  if (place > 0) {
    side.low = mw_min_s32(place >> 10, size - 1);
    side.high = mw_min_s32((place + 1023) >> 10, size - 1);
    if (side.low != side.high) side.weight = place - (side.low << 10);
  }
  return side;
}

#endif
