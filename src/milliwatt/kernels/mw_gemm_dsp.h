/* Products of two columns with packed int8 weights, for the DSP extension: what conv2d_s8_dsp and
 * kernels that fuse with it are made of.
 *
 * A column is one output pixel's window as int16 lanes, in the order in which weights are packed;
 * two of them lie interleaved: word 2 * i holds products 2 * i and 2 * i + 1 of the first, word
 * 2 * i + 1 those of the second. An odd number of products has one more whose weights are 0 and
 * whose lane may be anything. Weights know no other order than that of the lanes. mw_widen_s8_dsp
 * makes columns from bytes in the order in which SXTB16 widens four, (b0, b2) and (b1, b3).
 *
 * Weights of two channels A (even) and B (odd) and one product are a halfword 256 * A + B. SMLAD
 * with two of them sums 256 * a + b; SXTB16 leaves the B's, and SMLAD with those sums b. In the end
 * a = (raw - b) / 256, exactly, as long as |a| < 2^23, whatever wraps on the way. So int8 weights
 * are multiplied from where they lie, with one widening for four products of each column.
 *
 * `packed`, words, is read once from front to back (compiler/rows/conv_dsp.py makes it):
 *   for each four channels (pairs A0 B0, A1 B1):
 *     256 * bias[A0] + bias[B0], bias[B0], 256 * bias[A1] + bias[B1], bias[B1],
 *     for every two products {A0 B0 twice}, {A1 B1 twice},
 *     for A0, B0, A1, B1: factor, offset (256 fold of A0 and A1) where steps is 1, or multiplier,
 *     half, right where it is 2;
 *   for two channels left over the same of one pair;
 *   for one channel left over: bias, for every four products a word of bytes {0, 2, 1, 3} (an
 *   incomplete one of zeros), constants.
 * Constants are those of mw_one_step and mw_two_step in mw_dsp.h.
 */
#ifndef MW_GEMM_DSP_H
#define MW_GEMM_DSP_H

#include "mw_dsp.h"

typedef struct {
  int32_t products; /* of a column, even, at least 2 */
  int32_t steps;    /* of a requantization, 1 or 2 */
  int32_t blocks;   /* of four channels */
  int32_t next;     /* bytes from the first pixel's results to the second's; 0 for a lone pixel
                       whose column is there twice */
  int32_t rest;     /* channels left over: 0 to 3 */
} mw_gemm_dsp;

/* All channels of `pairs` pairs of columns, one pair after the other at `columns`: int8 results of
 * pair j at out[2 * j * next + channel] and out[(2 * j + 1) * next + channel]. They are not brought
 * within bounds narrower than int8: mw_bound_bytes does that. The columns stay as they are; `out`
 * may be any bytes, such as rows of a workspace. */
void mw_gemm_s8_dsp(int8_t *out, const uint32_t *columns, const int32_t *packed,
                    const mw_gemm_dsp *shape, int32_t pairs);

/* Where the bytes of a window are and go: `runs` runs of 4 * quads + left bytes. All whole fours
 * come first in a column, then all bytes that are left, in their own order. */
typedef struct {
  int32_t quads, left, runs;
  int32_t skip; /* bytes from a run's end to the next run */
  int32_t tail; /* bytes from a column's first word to that of what is left of its runs */
  int32_t step; /* bytes from where a run behind the last would start to the next pixel's first */
  int32_t pair; /* bytes of two columns */
} mw_window_dsp;

/* Columns of `pixels` pixels, the first of which goes to `column`; `odd` is 1 where that is the
 * second one of a pair, else 0. */
void mw_widen_s8_dsp(uint32_t *column, const int8_t *in, const mw_window_dsp *window, int32_t odd,
                     int32_t pixels);

#endif
