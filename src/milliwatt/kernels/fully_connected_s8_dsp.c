/* fully_connected, s8, for the DSP extension.
 *
 * out[r,o] = clamp(round(scale[o] * (bias[o] + sum_k in[r,k] * w[o,k])) + zero point), the rounding
 * in one or two steps (mw_dsp.h); -in_zero_point * sum(w) is folded into bias.
 *
 * Channels go in pairs (a, b) whose weights of one k share a halfword, h = 256 a + b. With x even
 * = (x0, x2), x odd = (x1, x3) and the words S = (h0, h2), R = (h1, h3), four k of a pair take
 *
 *   raw += S . even + R . odd                  two SMLAD: 256 * sum_a + sum_b
 *   low += (even + b of R) . (odd + b of S)    two SXTAB16, one SMLAD
 *
 * The second is Winograd's inner product (1968): (x0 + b1)(x1 + b0) = x0 b0 + x1 b1 + x0 x1 + b0 b1
 * has both products of b for one multiplication. The sum of b0 b1 is in the bias, that of x0 x1 is
 * made once a row. Then sum_a = (raw - low) >> 8 exactly. A block is 4 pairs, 8 channels: per 4 k
 * 3 instructions for x, 4 * 7 for the weights and 4 stalls of loads, 35 cycles for 32 products,
 * 1.09 each; the loop has 5 such steps (560 bytes) and 5 cycles of its own, 1.13. All 14 registers
 * are taken: 8 sums, 2 pointers, 2 of x, 2 of weights; the end of x is read from the stack.
 *
 * Layouts: in [rows,in_c], out [rows,out_c]. weights: blocks of 8 channels, then pairs, then the
 * last odd channel. A block or pair is {raw, low} biases of each pair, then per four k for each
 * pair h1 h3 h0 h2, then for each k left over the pairs' h. The last channel is its bias and w[k].
 * Ranges: w > -128 in channels a; |256 acc_a + acc_b| < 2^31 for each `part` of the products (the
 * first with the bias, the last with what is left over of in_c), |acc| < 2^30 (checked when
 * packing). Workspace: none. The output may not overlap the input.
 * Rounding: TFLM's two roundings, see compiler/rows/onestep.py.
 * Source: TensorFlow Lite 8-bit specification, FULLY_CONNECTED; S. Winograd, "A new algorithm for
 * inner product", IEEE Transactions on Computers C-17 (1968).
 */
#include "mw_fc_dsp.h"
#include "mw.h"

/* The sum of x0 * x1 and x2 * x3 over fours. */
static int32_t mw_fc_squares(const int8_t *in, int32_t fours) {
  int32_t sum = 0;
  MW_ROLLED
  for (; fours >= 2; fours -= 2, in += 8) {
    uint32_t x = mw_word(in), y = mw_word(in + 4);
    sum = mw_smlad(mw_sxtb16(x), mw_sxtb16_ror8(x), sum);
    sum = mw_smlad(mw_sxtb16(y), mw_sxtb16_ror8(y), sum);
  }
  if (fours) {
    uint32_t x = mw_word(in);
    sum = mw_smlad(mw_sxtb16(x), mw_sxtb16_ror8(x), sum);
  }
  return sum;
}

/* One block (pairs = 4) or pair (1) of any in_c, part by part: {raw, low} of the last part in sums,
 * the raw sums of all in raw. Returns the weights behind it. */
static const uint8_t *mw_fc_sums(int32_t sums[8], int64_t raw[4], const int8_t *in,
                                 const uint8_t *weights, int32_t pairs, int32_t squares,
                                 const mw_fully_connected_s8_dsp_params *p) {
  int32_t whole = p->in_c & ~3;
  for (int32_t i = 0; i < 2 * pairs; i++, weights += 4) sums[i] = (int32_t)mw_word(weights);
  for (int32_t i = 0; i < pairs; i++) {
    raw[i] = 0, sums[2 * i + 1] = mw_wrap_add(sums[2 * i + 1], -squares);
  }
  do {
    int32_t now = mw_min_s32(whole, p->part);
    if (pairs == 4) {
      mw_fc_run run = {in, in + now, sums, weights, mw_fc_skip(now / 4),
                       0,  1,        sums, 0,       0, 0, 0, 0};
      mw_fc_blocks_dsp(&run);
    } else {
      mw_fc_pair_steps(sums, in, weights, now / 4, 8);
    }
    in += now, weights += 2 * pairs * now, whole -= now;
    for (int32_t left = whole ? 0 : p->in_c & 3; left > 0; left--, in++) {
      for (int32_t i = 0; i < pairs; i++, weights += 2) {
        int32_t low = (int8_t)weights[0];
        sums[2 * i] += *in * (256 * (int8_t)weights[1] + weights[0]);
        sums[2 * i + 1] += *in * low;
      }
    }
    for (int32_t i = 0; i < pairs; i++) raw[i] += sums[2 * i], sums[2 * i] = 0;
  } while (whole);
  return weights;
}

/* The last odd channel. */
static int32_t mw_fc_last(const int8_t *in, const uint8_t *weights, int32_t count) {
  int32_t acc = (int32_t)mw_word(weights);
  MW_ROLLED
  for (weights += 4; count >= 4; count -= 4, in += 4, weights += 4) {
    uint32_t x = mw_word(in), w = mw_word(weights);
    acc = mw_smlad(mw_sxtb16(x), mw_sxtb16(w), acc);
    acc = mw_smlad(mw_sxtb16_ror8(x), mw_sxtb16_ror8(w), acc);
  }
  MW_ROLLED
  for (; count > 0; count--) acc += *in++ * (int8_t)*weights++;
  return acc;
}

/* Blocks that the assembly does on its own: one part, nothing left over. */
static int32_t mw_fc_plain_blocks(int8_t *out, const int8_t *in, int32_t squares,
                                  const mw_fully_connected_s8_dsp_params *p) {
  int32_t blocks = p->out_c / 8, form = p->steps + (p->record_step ? 2 : 0);
  if (blocks == 0 || p->in_c % 4 || p->part < p->in_c) return 0;
  const int32_t *r = p->records, two = p->steps - 1;
  mw_fc_run run = {in,      in + p->in_c, p->weights, p->weights + 8, mw_fc_skip(p->in_c / 4),
                   squares, blocks,       out,        form,           r,
                   r[two],  r[1 + two],   r[0]};
  mw_fc_blocks_dsp(&run);
  return blocks;
}

/* Channels from `done` on: blocks that the assembly does not round, pairs, the last one. */
MW_NOINLINE void mw_fc_others(int8_t *out, const int8_t *in, int32_t squares, int32_t done,
                              const mw_fully_connected_s8_dsp_params *p) {
  const uint8_t *weights = (const uint8_t *)p->weights + done * (p->in_c + 4);
  const int32_t *record = p->records + done * p->record_step;
  out += done;
  for (int32_t left = p->out_c - done; left > 1;) {
    int32_t sums[8], pairs = left >= 8 ? 4 : 1;
    int64_t raw[4];
    weights = mw_fc_sums(sums, raw, in, weights, pairs, squares, p);
    for (int32_t i = 0; i < pairs; i++, left -= 2) {
      int32_t low = sums[2 * i + 1], high = (int32_t)((raw[i] - low) >> 8);
      *out++ = mw_fc_round(high, record, p->steps);
      record += p->record_step;
      *out++ = mw_fc_round(low, record, p->steps);
      record += p->record_step;
    }
  }
  if (p->out_c & 1) *out = mw_fc_round(mw_fc_last(in, weights, p->in_c), record, p->steps);
}

void mw_fully_connected_s8_dsp(int8_t *out, const int8_t *in,
                               const mw_fully_connected_s8_dsp_params *params, void *workspace) {
  (void)workspace;
  for (int32_t row = 0; row < params->rows; row++, in += params->in_c, out += params->out_c) {
    int32_t squares = mw_fc_squares(in, params->in_c / 4);
    int32_t done = 8 * mw_fc_plain_blocks(out, in, squares, params);
    if (done < params->out_c) mw_fc_others(out, in, squares, done, params);
    mw_bound_bytes(out, params->out_c, params->clamp_min, params->clamp_max);
  }
}
