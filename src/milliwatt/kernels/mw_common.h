/* Shared by every kernel: memory helpers, limits and clamping. Internal; include mw.h instead. */
#ifndef MW_COMMON_H
#define MW_COMMON_H

#include <stddef.h>
#include <stdint.h>

/* C99 7.1.4 allows declaring these without <string.h>, which freestanding toolchains lack. */
void *memcpy(void *restrict to, const void *restrict from, size_t bytes);
void *memmove(void *to, const void *from, size_t bytes);
void *memset(void *to, int value, size_t bytes);

/* Before a loop: keep it rolled. clang unrolls by guess what is unrolled by hand where it pays, and
 * code that outgrows the flash cache (1 KiB on many parts) costs more than it saves. */
#if defined(__clang__)
#define MW_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define MW_ROLLED
#endif

/* MW_NOINLINE before an inner loop's function gives it registers of its own: inlined into a caller
 * with many live values its loop would spill. MW_INLINE is for what has to see its caller's
 * constants. */
#if defined(__GNUC__)
#define MW_NOINLINE static __attribute__((noinline))
#define MW_INLINE static inline __attribute__((always_inline))
#else
#define MW_NOINLINE static
#define MW_INLINE static inline
#endif

/* Copy `count` bytes that do not overlap. Short runs go four at a time without a call, which
 * freestanding compilers would make of memcpy; long ones are memcpy's business. */
static inline void mw_copy_bytes(void *to, const void *from, int32_t count) {
  uint8_t *out = to;
  const uint8_t *in = from;
  if (count > 32) {
    memcpy(to, from, (size_t)count);
    return;
  }
  MW_ROLLED
  for (; count >= 4; count -= 4, in += 4, out += 4) {
    uint8_t b0 = in[0], b1 = in[1], b2 = in[2], b3 = in[3];
    out[0] = b0, out[1] = b1, out[2] = b2, out[3] = b3;
  }
  MW_ROLLED
  for (; count > 0; count--) *out++ = *in++;
}

static inline int32_t mw_min_s32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t mw_max_s32(int32_t a, int32_t b) { return a > b ? a : b; }

static inline int32_t mw_bound_s32(int32_t x, int32_t low, int32_t high) {
  x = x < low ? low : x; /* in this order: with crossed bounds `high` wins, as in the reference */
  return x > high ? high : x;
}

static inline float mw_bound_f32(float x, float low, float high) {
  x = x < low ? low : x;
  return x > high ? high : x;
}

#endif
