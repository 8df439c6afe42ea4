/* A walk over an N-dimensional index space that keeps two offsets (operands, or input and output).
 */
#ifndef MW_WALK_H
#define MW_WALK_H

#include "mw_common.h"

#define MW_MAX_RANK 8 /* checked when packing */

typedef struct {
  ptrdiff_t a, b;
  int32_t index[MW_MAX_RANK];
} mw_walk;

/* Step to the next cell; axes = [rank][3] of {size, stride of a, stride of b}, innermost first. */
static inline void mw_walk_next(mw_walk *walk, const int32_t *axes, int32_t rank) {
  for (int32_t i = 0; i < rank; i++, axes += 3) {
    walk->a += axes[1], walk->b += axes[2];
    if (++walk->index[i] < axes[0]) return;
    walk->index[i] = 0;
    walk->a -= axes[0] * axes[1], walk->b -= axes[0] * axes[2];
  }
}

#endif
