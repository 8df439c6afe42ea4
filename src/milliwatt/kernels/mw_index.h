/* Indices that are computed at run time: s32 or s64, kept inside their axis. */
#ifndef MW_INDEX_H
#define MW_INDEX_H

#include "mw_common.h"

/* Index number `at` of a list with index_bytes (4 or 8) each, moved into 0 to most. */
static inline int32_t mw_index(const void *indices, int32_t index_bytes, int32_t at, int32_t most) {
  if (index_bytes == 8) {
    int64_t wide = ((const int64_t *)indices)[at];
    return wide < 0 ? 0 : wide > most ? most : (int32_t)wide;
  }
  return mw_bound_s32(((const int32_t *)indices)[at], 0, most);
}

#endif
