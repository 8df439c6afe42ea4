/* Inner products of int8 rows with packed weights; conv2d_s8 and fully_connected_s8 are built on
 * them.
 *
 * Packed weights of O channels and K products each: channels 2i and 2i+1 interleaved by k
 * ([O/2][K][2]); a last odd channel follows as one plain row [K]. No padding, so the bytes are the
 * tensor's own. Loads are written next to each other because adjacent loads pipeline on Cortex-M.
 */
#ifndef MW_DOT_H
#define MW_DOT_H

#include "mw_common.h"

/* One pixel by one channel whose weights lie `step` bytes apart. */
static inline int32_t mw_dot_1x1(int32_t acc, const int8_t *a, const int8_t *w, int32_t step,
                                 int32_t n) {
  MW_ROLLED
  for (; n > 0; n--, w += step) acc += (int32_t)*a++ * *w;
  return acc;
}

#endif
