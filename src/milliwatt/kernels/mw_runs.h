/* Copying runs of bytes between strided places; transpose and pad share it. */
#ifndef MW_RUNS_H
#define MW_RUNS_H

#include "mw_walk.h"

/* Copy `runs` runs of run_bytes from in to out; axes as in mw_transpose_params. Elements of 1 and 4
 * bytes are copied inline: a call for each would cost more than the copy. */
static inline void mw_copy_runs(uint8_t *out, const uint8_t *in, int32_t runs, int32_t run_bytes,
                                const int32_t *axes, int32_t rank) {
    mw_walk at = {0, 0, {0}};
    for (; runs > 0; runs--) {
        if (run_bytes == 1) out[at.b] = in[at.a];
        else if (run_bytes == 4) memcpy(out + at.b, in + at.a, 4);
        else memcpy(out + at.b, in + at.a, (size_t)run_bytes);
        mw_walk_next(&at, axes, rank);
    }
}

#endif
