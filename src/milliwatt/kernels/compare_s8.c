/* comparisons with broadcasting, s8.
 *
 * out = 1 where rescale((a - a_zero_point) * 2^8) and that of b stand in the order asked for, else
 * 0: `accept` has the bits of the orders, counted by mw_order_s32
 *
 * Layouts: row-major, shapes broadcast as in NumPy (collapsed to MW_BROADCAST when packing).
 * Ranges: |a - a_zero_point| * 2^(8 + a_shift) < 2^31 - 1024, a_shift >= 0, and of b (checked when
 * packing). Workspace: none. In place: out may be an operand of out's own shape. Rounding: TFLM's
 * two roundings, see mw_fixed.h. Source: TensorFlow Lite, EQUAL, NOT_EQUAL, LESS, LESS_EQUAL,
 * GREATER and GREATER_EQUAL.
 */
#include "mw.h"
#include "mw_fixed.h"
#include "mw_pairs.h"

static uint32_t mw_compared_s8(int32_t x, int32_t y, const mw_compare_s8_params *p) {
  return mw_order_s32(mw_rescale((x - p->a_zero_point) * 256, p->a_multiplier, p->a_shift),
                      mw_rescale((y - p->b_zero_point) * 256, p->b_multiplier, p->b_shift));
}

void mw_compare_s8(uint8_t *out, const int8_t *a, const int8_t *b,
                   const mw_compare_s8_params *params, void *workspace) {
  mw_compare_s8_params p = *params; /* a copy, which stores to out cannot change */
  (void)workspace;
  MW_PAIRS(int8_t, int8_t, (uint8_t)(p.accept >> mw_compared_s8(*x, *y, &p) & 1));
}
