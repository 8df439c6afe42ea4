/* The inner product of two int8 rows; what conv2d_s8 and fully_connected_s8 do with channels that
 * are left over from their blocks.
 *
 * Weights of O channels and K products each are packed in blocks of B channels interleaved by k,
 * [O/B][K][B] (B is 2 for conv2d_s8, 4 for fully_connected_s8), then a plain row [K] for each
 * channel left over. No padding, so the bytes are the tensor's own.
 */
#ifndef MW_DOT_H
#define MW_DOT_H

#include "mw_common.h"

static inline int32_t mw_dot_1x1(int32_t acc, const int8_t *a, const int8_t *w, int32_t n) {
  MW_ROLLED
  for (; n > 0; n--) acc += (int32_t)*a++ * *w++;
  return acc;
}

#endif
