/* filter_bank_square_root: u64 to u32.
 *
 * out[i] = round(sqrt(in[i])) >> bits, the root at most 65535 for in[i] < 2^32, else 2^32 - 1
 *
 * Layouts: in and out [size], bits [1]. Ranges: the last 5 bits of `bits` count. Workspace: none.
 * Out may not overlap in. Rounding: to nearest, then down.
 * Source: TensorFlow Lite Micro, signal/src/square_root; the root digit by digit.
 */
#include "mw.h"

static uint32_t mw_root_u32(uint32_t x) {
  uint32_t root = 0, bit = 1u << 30;
  while (bit > x) bit >>= 2;
  for (; bit; bit >>= 2) {
    if (x >= root + bit) {
      x -= root + bit;
      root += 2 * bit;
    }
    root >>= 1;
  }
  return root + (x > root && root != 0xFFFF);
}

static uint32_t mw_root_u64(uint64_t x) {
  if (!(x >> 32)) return mw_root_u32((uint32_t)x);
  uint64_t root = 0, bit = (uint64_t)1 << 62;
  while (bit > x) bit >>= 2;
  for (; bit; bit >>= 2) {
    if (x >= root + bit) {
      x -= root + bit;
      root += 2 * bit;
    }
    root >>= 1;
  }
  return (uint32_t)root + (x > root && root != 0xFFFFFFFFu);
}

void mw_filter_bank_square_root_u64(uint32_t *out, const uint64_t *in, const int32_t *bits,
                                    const mw_filter_bank_square_root_params *params,
                                    void *workspace) {
  uint32_t shift = (uint32_t)bits[0] & 31;
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) out[i] = mw_root_u64(in[i]) >> shift;
}
