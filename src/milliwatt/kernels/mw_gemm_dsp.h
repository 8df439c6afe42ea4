/* Products of two columns with packed int8 weights, for the DSP extension: what conv2d_s8_dsp and
 * kernels that fuse with it are made of.
 *
 * A column is one output pixel's window as int16 in the order in which weights are packed; two of
 * them lie interleaved: word 2 * i holds products 2 * i and 2 * i + 1 of the first, word 2 * i + 1
 * those of the second; the last lane of an odd number of products is 0 in both. Products are first
 * put in source order; then of every four bytes (b0, b1, b2, b3) there go (b0, b2) and (b1, b3),
 * the order in which SXTB16 widens them, and what is left of four goes (b0, b1), (b2, 0). Columns
 * of bytes in source order are widened by mw_widen_s8_dsp or mw_column_dsp (mw_columns_dsp.h).
 *
 * Weights of two channels A (even) and B (odd) and one product are a halfword 256 * A + B. SMLAD
 * with two of them sums 256 * a + b; SXTB16 leaves the B's, and SMLAD with those sums b. In the end
 * a = (raw - b) / 256, exactly, as long as |a| < 2^23, whatever wraps on the way. So int8 weights
 * are multiplied from where they lie, with one widening for four products of each column.
 *
 * `packed`, words, is read once from front to back (compiler/rows/conv_dsp.py makes it):
 *   for each four channels (pairs A0 B0, A1 B1):
 *     256 * bias[A0] + bias[B0], bias[B0], 256 * bias[A1] + bias[B1], bias[B1],
 *     for every two products {A0 B0 twice}, {A1 B1 twice}; an odd one is {A0 B0, A1 B1},
 *     for A0, B0, A1, B1: factor, offset (steps = 1) or multiplier, half, right (steps = 2);
 *   for two channels left over the same of one pair, an odd product in the low halfword;
 *   for one channel left over: bias, its bytes in source order, filled up to a word, constants.
 * Constants are those of mw_one_step and mw_two_step in mw_dsp.h.
 */
#ifndef MW_GEMM_DSP_H
#define MW_GEMM_DSP_H

#include "mw_dsp.h"

typedef struct {
  int32_t products; /* of a column, at least 2 */
  int32_t steps;    /* of a requantization, 1 or 2 */
  int32_t blocks;   /* of four channels */
  int32_t next;     /* bytes from the first pixel's results to the second's; 0 for a lone pixel
                       whose column is there twice */
  int32_t rest;     /* channels left over: 0 to 3 */
} mw_gemm_dsp;

/* All channels of both columns: int8 results at out[channel] and out[next + channel]. They are
 * not brought within bounds narrower than int8: mw_bound_bytes does that. The columns stay as they
 * are; `out` may be any bytes, such as two rows of a workspace. */
void mw_gemm_s8_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                    const mw_gemm_dsp *shape);

/* Widens `runs` runs of 4 * quads bytes each, `step` bytes from one to the next, to the words
 * column[0], column[2], column[4] and so on: one of two interleaved columns. */
void mw_widen_s8_dsp(uint32_t *column, const int8_t *in, int32_t quads, int32_t runs,
                     int32_t step);

#endif
