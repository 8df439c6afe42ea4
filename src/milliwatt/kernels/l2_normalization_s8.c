/* l2_normalization over the last axis, s8; the result has scale 1/128 and zero point 0.
 *
 * out[r,i] = saturate(round(128 * x[r,i] / sqrt(sum_j x[r,j]^2))), x = in - in_zero_point; rows of
 * zeros stay so.
 *
 * Layouts: [rows,row]. Ranges: row * max |x|^2 < 2^31 (checked when packing).
 * Workspace: none. In place: out may be in.
 * Rounding: that of the source's fixed point, bit for bit: the inverse root by Newton steps in
 * Q3.28, and TFLM's two roundings, see mw_fixed.h.
 * Source: TensorFlow Lite 8-bit specification, L2_NORMALIZATION.
 */
#include "mw.h"
#include "mw_bits.h"
#include "mw_fixed.h"
#include "mw_saturate.h"

/* 1 / sqrt(x) of x >= 0, which is taken for 1 or more: a multiplier, and its shift. */
static int32_t mw_inverse_root(int32_t x, int32_t *shift) {
  *shift = 0;
  if (x <= 1) return INT32_MAX;
  int32_t bits = mw_bit_length_u32((uint32_t)x), right = 11;
  if (bits > 29) {
    x >>= 2, right++;
  } else {
    int32_t pairs = (31 - bits) / 2 - 1;
    x <<= 2 * pairs, right -= pairs;
  }
  int32_t half = ((x >> 1) + 1) >> 1, root = 1 << 28;
  for (int32_t step = 0; step < 5; step++) {
    int32_t square = mw_doubling_high_mul(root, root);
    int32_t cube = mw_raised(mw_doubling_high_mul(square, root), 6);
    root = mw_doubling_high_mul(3 << 27, root) - mw_doubling_high_mul(half, cube);
    root = mw_raised(root, 3);
  }
  root = mw_doubling_high_mul(root, 1518500250); /* sqrt(1/2) in Q0.31 */
  if (right < 0) return root << -right;
  *shift = -right;
  return root;
}

void mw_l2_normalization_s8(int8_t *out, const int8_t *in,
                            const mw_l2_normalization_s8_params *params, void *workspace) {
  int32_t row = params->row, zero = params->in_zero_point;
  (void)workspace;
  for (int32_t r = 0; r < params->rows; r++, in += row, out += row) {
    int32_t sum = 0, shift;
    for (int32_t i = 0; i < row; i++) sum += (in[i] - zero) * (in[i] - zero);
    int32_t multiplier = mw_inverse_root(sum, &shift);
    for (int32_t i = 0; i < row; i++) {
      int32_t value = mw_rescale(in[i] - zero, multiplier, shift + 7);
      out[i] = (int8_t)mw_bound_s32(value, INT8_MIN, INT8_MAX);
    }
  }
}
