/* Elements of any whole-number type, one at a time. */
#ifndef MW_CAST_H
#define MW_CAST_H

#include "mw_common.h"

enum {
  MW_KIND_S8,
  MW_KIND_S16,
  MW_KIND_S32,
  MW_KIND_S64,
  MW_KIND_U8,
  MW_KIND_U32,
  MW_KIND_BOOL
};

static inline int64_t mw_cast_load(const void *in, int32_t i, int32_t kind) {
  switch (kind) {
    case MW_KIND_S8: return ((const int8_t *)in)[i];
    case MW_KIND_S16: return ((const int16_t *)in)[i];
    case MW_KIND_S32: return ((const int32_t *)in)[i];
    case MW_KIND_S64: return ((const int64_t *)in)[i];
    case MW_KIND_U8: return ((const uint8_t *)in)[i];
    case MW_KIND_U32: return ((const uint32_t *)in)[i];
    default: return ((const uint8_t *)in)[i] != 0;
  }
}

static inline void mw_cast_store(void *out, int32_t i, int32_t kind, int64_t value) {
  switch (kind) {
    case MW_KIND_S8: ((int8_t *)out)[i] = (int8_t)value; break;
    case MW_KIND_S16: ((int16_t *)out)[i] = (int16_t)value; break;
    case MW_KIND_S32: ((int32_t *)out)[i] = (int32_t)value; break;
    case MW_KIND_S64: ((int64_t *)out)[i] = value; break;
    case MW_KIND_U8: ((uint8_t *)out)[i] = (uint8_t)value; break;
    case MW_KIND_U32: ((uint32_t *)out)[i] = (uint32_t)value; break;
    default: ((uint8_t *)out)[i] = value != 0; break;
  }
}

#endif
