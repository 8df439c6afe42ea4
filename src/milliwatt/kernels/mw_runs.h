/* Copying runs of bytes between strided places; transpose and pad share it. */
#ifndef MW_RUNS_H
#define MW_RUNS_H

#include "mw_walk.h"

/* Copy `runs` runs of run_bytes from in to out; axes as in mw_transpose_params. */
static inline void mw_copy_runs(uint8_t *out, const uint8_t *in, int32_t runs, int32_t run_bytes,
                                const int32_t *axes, int32_t rank) {
  mw_walk at = {0, 0, {0}};
  for (; runs > 0; runs--) {
    mw_copy_bytes(out + at.b, in + at.a, run_bytes);
    mw_walk_next(&at, axes, rank);
  }
}

#endif
