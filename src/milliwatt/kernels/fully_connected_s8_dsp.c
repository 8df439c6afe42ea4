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
 * Layouts: in [rows,in_c], out [rows,out_c]. weights: blocks of 8 channels, then the channels left
 * over. A block is {raw, low} biases of each pair, then per four k for each pair h1 h3 h0 h2, then
 * for each k left over the pairs' h. A channel left over is its bias and w[k].
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

/* Blocks that the assembly rounds: all where the products go in one part. */
static int32_t mw_fc_plain_blocks(int8_t *out, const int8_t *in, int32_t squares,
                                  const mw_fully_connected_s8_dsp_params *p) {
  int32_t blocks = p->out_c / 8, left = p->in_c & 3, whole = p->in_c - left;
  int32_t form = p->steps + (p->record_step ? 2 : 0) + (left ? 4 : 0), two = p->steps - 1;
  const int32_t *r = p->records;
  if (blocks == 0 || p->part < p->in_c) return 0;
  mw_fc_run run = {in,      in + whole, p->weights, p->weights + 8, mw_fc_skip(whole / 4),
                   squares, blocks,     out,        form,           r,
                   r[two],  r[1 + two], r[0],       left};
  mw_fc_blocks_dsp(&run);
  return blocks;
}

/* A block whose products go in parts, because their sums of 256 a + b would leave 32 bits: those
 * are added in 64 bits. Returns the weights behind it. */
static const uint8_t *mw_fc_parts(int8_t *out, const int8_t *in, const uint8_t *weights,
                                  int32_t squares, const int32_t *record,
                                  const mw_fully_connected_s8_dsp_params *p) {
  int32_t sums[8], whole = p->in_c & ~3;
  int64_t raw[4] = {0, 0, 0, 0};
  for (int32_t i = 0; i < 8; i++, weights += 4) sums[i] = (int32_t)mw_word(weights);
  while (whole) {
    int32_t now = mw_min_s32(whole, p->part);
    mw_fc_run run = {in,      in + now, sums, weights, mw_fc_skip(now / 4),
                     squares, 1,        sums, 0,       0, 0, 0, 0, 0};
    mw_fc_blocks_dsp(&run);
    in += now, weights += 8 * now, whole -= now, squares = 0;
    for (int32_t left = whole ? 0 : p->in_c & 3; left > 0; left--, weights += 8) {
      mw_fc_product(sums, *in++, weights);
    }
    for (int32_t i = 0; i < 4; i++) raw[i] += sums[2 * i], sums[2 * i] = 0;
  }
  for (int32_t i = 0; i < 8; i++, record += p->record_step) {
    int32_t acc = i % 2 ? sums[i] : (int32_t)((raw[i / 2] - sums[i + 1]) >> 8);
    *out++ = mw_fc_round(acc, record, p->steps);
  }
  return weights;
}

/* One channel on its own. */
static int32_t mw_fc_single(const int8_t *in, const uint8_t *weights, int32_t count) {
  int32_t acc = (int32_t)mw_word(weights);
  MW_ROLLED
  for (weights += 4; count >= 8; count -= 8, in += 8, weights += 8) {
    uint32_t x = mw_word(in), y = mw_word(in + 4);
    uint32_t v = mw_word(weights), w = mw_word(weights + 4);
    acc = mw_smlad(mw_sxtb16(x), mw_sxtb16(v), acc);
    acc = mw_smlad(mw_sxtb16_ror8(x), mw_sxtb16_ror8(v), acc);
    acc = mw_smlad(mw_sxtb16(y), mw_sxtb16(w), acc);
    acc = mw_smlad(mw_sxtb16_ror8(y), mw_sxtb16_ror8(w), acc);
  }
  MW_ROLLED
  for (; count > 0; count--) acc += *in++ * (int8_t)*weights++;
  return acc;
}

/* Channels from `done` on: blocks in parts, then single ones. */
MW_NOINLINE void mw_fc_others(int8_t *out, const int8_t *in, int32_t squares, int32_t done,
                              const mw_fully_connected_s8_dsp_params *p) {
  int32_t left = p->out_c - done;
  const uint8_t *weights = (const uint8_t *)p->weights + done * (p->in_c + 4);
  const int32_t *record = p->records + done * p->record_step;
  for (out += done; left >= 8; left -= 8, out += 8, record += 8 * p->record_step) {
    weights = mw_fc_parts(out, in, weights, squares, record, p);
  }
  for (; left > 0; left--, weights += p->in_c + 4, record += p->record_step) {
    *out++ = mw_fc_round(mw_fc_single(in, weights, p->in_c), record, p->steps);
  }
}

void mw_fully_connected_s8_dsp(int8_t *out, const int8_t *in,
                               const mw_fully_connected_s8_dsp_params *params, void *workspace) {
  (void)workspace;
  for (int32_t row = 0; row < params->rows; row++, in += params->in_c, out += params->out_c) {
    int32_t squares = params->out_c < 8 ? 0 : mw_fc_squares(in, params->in_c / 4);
    int32_t done = 8 * mw_fc_plain_blocks(out, in, squares, params);
    if (done < params->out_c) mw_fc_others(out, in, squares, done, params);
    mw_bound_bytes(out, params->out_c, params->clamp_min, params->clamp_max);
  }
}
