/* Counting bits without an instruction for it. */
#ifndef MW_BITS_H
#define MW_BITS_H

#include "mw_common.h"

/* Bits of x without its leading zeros, 0 for 0: five halvings, whatever x is. */
static inline int32_t mw_bit_length_u32(uint32_t x) {
  int32_t bits = 0;
  MW_ROLLED
  for (int32_t step = 16; step > 0; step >>= 1) {
    int32_t move = x >> step ? step : 0;
    x >>= move;
    bits += move;
  }
  return bits + (int32_t)x;
}

#endif
