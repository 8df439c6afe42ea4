/* filter_bank_square_root: u64 to u32.
 *
 * out[i] = round(sqrt(in[i])) >> bits, the root at most 65535 for in[i] < 2^32, else 2^32 - 1
 *
 * Layouts: in and out [size], bits [1]. Ranges: the last 5 bits of `bits` count. Workspace: none.
 * Out may not overlap in. Rounding: to nearest, then down.
 * Source: TensorFlow Lite Micro, signal/src/square_root; the root digit by digit.
 */
#include "mw.h"
#include "mw_bits.h"

/* floor(sqrt(x)), two bits of x a step, the upper ones first */
MW_NOINLINE uint32_t mw_root_u32(uint32_t x) {
  uint32_t root = 0, bit = x ? 1u << ((mw_bit_length_u32(x) - 1) & ~1) : 0;
  MW_ROLLED
  for (; bit; bit >>= 2) {
    uint32_t trial = root + bit;
    root >>= 1;
    if (x >= trial) {
      x -= trial;
      root += bit;
    }
  }
  return root;
}

/* The same for x of 33 bits or more: the root s of the upper half of x 2^k, k even, gives the upper
 * half of the root, and its remainder over 2 s the lower half, at most one too large. Source: P.
 * Zimmermann, Karatsuba Square Root, 1999. */
static uint32_t mw_root_u64(uint64_t x) {
  int32_t shift = (32 - mw_bit_length_u32((uint32_t)(x >> 32))) >> 1;
  uint64_t up = x << (2 * shift);
  uint32_t high = (uint32_t)(up >> 32), half = mw_root_u32(high);
  uint32_t rest = ((high - half * half) << 15) | ((uint32_t)up >> 17);
  uint32_t lower = rest / half;
  uint32_t root = (half << 16) + (lower < 0xFFFF ? lower : 0xFFFF);
  root -= (uint64_t)root * root > up;
  return root >> shift;
}

static uint32_t mw_root_rounded(uint64_t x) {
  uint32_t most = x >> 32 ? UINT32_MAX : 0xFFFF;
  uint32_t root = x >> 32 ? mw_root_u64(x) : mw_root_u32((uint32_t)x);
  return root + (x - (uint64_t)root * root > root && root != most);
}

void mw_filter_bank_square_root_u64(uint32_t *out, const uint64_t *in, const int32_t *bits,
                                    const mw_filter_bank_square_root_params *params,
                                    void *workspace) {
  uint32_t shift = (uint32_t)bits[0] & 31;
  (void)workspace;
  for (int32_t i = 0; i < params->size; i++) out[i] = mw_root_rounded(in[i]) >> shift;
}
