/* The body of the Winograd convolutions: kernel 3 x 3, stride 1, for the DSP extension.
 *
 * A tile of 2 x 2 (F2) or 4 x 4 (F4) results is A' ((G g G') . (B' d B)) A of the 4 x 4 or 6 x 6
 * cells d under it and the kernel g, where . multiplies position by position and sums over input
 * channels: 4 or 2.25 products a result and input channel instead of 9. Exact in integers:
 *
 *   F2  B' 1 0 -1 0, 0 1 1 0, 0 -1 1 0, 0 1 0 -1;  2 G  2 0 0, 1 1 1, 1 -1 1, 0 0 2;
 *       A' 1 1 1 0, 0 1 -1 -1
 *   F4  B' 4 0 -5 0 1 0, 0 -4 -4 1 1 0, 0 4 -4 -1 1 0, 0 -2 -1 2 1 0, 0 2 -1 -2 1 0, 0 4 0 -5 0 1;
 *       rows of G times 12, -6, -6, 24, 24, 3:  3 0 0, 1 1 1, 1 -1 1, 1 2 4, 1 -2 4, 0 0 3;
 *       24 A'  2 -4 -4 1 1 0, 0 -4 4 2 -2 0, 0 -4 -4 4 4 0, 0 -4 4 8 -8 8
 *
 * so that all of F2 is 4 times the convolution and all of F4 576 times it. int8 cells, zero point
 * included, become |B' d B| <= 512 or 12800, kernels |G g G'| <= 1143 or 6223: int16 lanes. Sums,
 * and what A' makes of them, may wrap at 32 bits: modulo 2^32 all is exact, 576 = 9 * 64 too is
 * divided by (times the inverse of 9, then shifted), so only the end, 4 or 64 times the sum of a
 * channel, has to fit 32 bits (checked when packing).
 * Source: Winograd, Arithmetic Complexity of Computations, 1980; Lavin and Gray, CVPR 2016.
 *
 * Four tiles are a block; tiles follow each other along rows, across rows and images. `pairs` =
 * in_c / 2: of four channels c..c+3 the pairs are (c, c+2) and (c+1, c+3), as SXTB16 widens them.
 * Positions (i, j) go column by column, in each i = 1, 0, 2, 3 (F2) or 1, 2, 3, 4, 0, 5 (F4);
 * of two that follow each other the second's sum holds the first's (winograd_gemm_dsp.c).
 * Weights: for each two output channels [positions, pairs, 2 channels] words of two int16.
 * channels [out_c][4]: bias, factor, offset, 0 for results in one step, or
 * 2 * bias, multiplier, half, right in two (mw_dsp.h).
 */
#ifndef MW_WINOGRAD_DSP_H
#define MW_WINOGRAD_DSP_H

#include "mw.h"
#include "mw_dsp.h"

enum { MW_WINOGRAD_TILES = 4 };

typedef struct {
  int32_t pairs, positions;
} mw_winograd_gemm;

/* How cells of a tile lie, in bytes, and where its positions go. */
typedef struct {
  int32_t row, cell; /* from a cell to the one below it, to the one right of it */
  int32_t quads;     /* groups of four channels */
  int32_t step;      /* bytes from a position to the next: 16 * pairs */
} mw_winograd_cells;

/* Where a tile's results go: bytes from a result to the one right of it, to the one below it. */
typedef struct {
  int8_t *out;
  int32_t column, row;
} mw_winograd_place;

void mw_winograd_gemm_dsp(int32_t *m, const uint32_t *v, const int32_t *u,
                          const mw_winograd_gemm *shape);
void mw_winograd2_input_dsp(uint32_t *v, const int8_t *in, const mw_winograd_cells *cells);
void mw_winograd4_input_dsp(uint32_t *v, const int8_t *in, const mw_winograd_cells *cells);
void mw_winograd2_output_dsp(const int32_t *m, const mw_winograd_place *places,
                             const int32_t *channels, int32_t count);
void mw_winograd4_output_dsp(const int32_t *m, const mw_winograd_place *places,
                             const int32_t *channels, int32_t count);

/* The result of a sum that is 2^shift times the convolution's. */
static inline int8_t mw_winograd_result(int32_t sum, int32_t shift, const int32_t *channel) {
  if (!channel[3]) return (int8_t)mw_one_step(channel[0] + (sum >> shift), channel[1], channel[2]);
  int32_t twice = channel[0] + (sum >> (shift - 1));
  return (int8_t)mw_two_step(twice / 2, channel[1], channel[2], channel[3]);
}

/* What differs between F2 and F4. */
typedef struct {
  int32_t side; /* results of a tile along a side; it reads side + 2 cells */
  void (*input)(uint32_t *v, const int8_t *in, const mw_winograd_cells *cells);
  void (*output)(const int32_t *m, const mw_winograd_place *places, const int32_t *channels,
                 int32_t count);
} mw_winograd_kind;

/* One block while it is worked on. */
typedef struct {
  mw_winograd_place places[MW_WINOGRAD_TILES];
  int8_t *to[MW_WINOGRAD_TILES];                           /* a border tile's results, or NULL */
  int32_t rows[MW_WINOGRAD_TILES], columns[MW_WINOGRAD_TILES]; /* how many of them exist */
  int8_t border[MW_WINOGRAD_TILES][2 * 4 * 4];             /* all of them, of two channels */
  int32_t cropped;                                         /* whether there is one */
} mw_winograd_block;

/* `cells` adjacent cells of row y from x on, `width` channels of each; those outside the image read
 * as the zero point. Cells of the image follow each other: more than one at a time only whole. */
static inline void mw_winograd_row(int8_t *to, const int8_t *image, int32_t y, int32_t x,
                                   int32_t cells, int32_t width,
                                   const mw_conv2d_winograd_s8_dsp_params *p) {
  int32_t first = mw_max_s32(x, 0), last = mw_min_s32(x + cells, p->in_w);
  int32_t count = y < 0 || y >= p->in_h ? 0 : mw_max_s32(last - first, 0);
  int32_t before = count ? first - x : cells, after = cells - before - count;
  if (before) memset(to, p->in_zero_point, (size_t)(before * width));
  to += before * width;
  if (count) memcpy(to, image + (y * p->in_w + first) * p->in_c, (size_t)(count * width));
  if (after) memset(to + count * width, p->in_zero_point, (size_t)(after * width));
}

/* A tile's input where some of its cells lie outside the image: they are gathered first, so many
 * channels at a time as the place of the sums holds. */
MW_NOINLINE void mw_winograd_gather(uint32_t *v, const int8_t *image, int32_t y, int32_t x,
                                    int8_t *buffer, const mw_winograd_kind *kind,
                                    const mw_conv2d_winograd_s8_dsp_params *p) {
  int32_t side = kind->side + 2, channels = p->in_c, slice = 32 * p->group;
  int32_t cells = slice < channels ? 1 : side;
  for (int32_t c = 0; c < channels; c += slice) {
    int32_t width = mw_min_s32(slice, channels - c);
    int8_t *to = buffer;
    for (int32_t i = y; i < y + side; i++) {
      for (int32_t j = x; j < x + side; j += cells, to += cells * width) {
        mw_winograd_row(to, image + c, i, j, cells, width, p);
      }
    }
    mw_winograd_cells shape = {side * width, width, width / 4, 8 * channels};
    kind->input(v + 2 * c, buffer, &shape);
  }
}

/* Tile t of the block: the one at (y, x) of the results of an image. */
static inline void mw_winograd_tile(mw_winograd_block *b, int32_t t, int8_t *out,
                                    const int8_t *image, int32_t y, int32_t x, uint32_t *v,
                                    int8_t *buffer, const mw_winograd_kind *kind,
                                    const mw_conv2d_winograd_s8_dsp_params *p) {
  int32_t side = kind->side, rows = p->out_h - y, columns = p->out_w - x;
  int32_t whole = rows >= side && columns >= side;
  int8_t *to = out + (y * p->out_w + x) * p->out_c;
  b->to[t] = whole ? NULL : to, b->cropped |= !whole;
  b->rows[t] = mw_min_s32(rows, side), b->columns[t] = mw_min_s32(columns, side);
  b->places[t].out = whole ? to : b->border[t];
  b->places[t].column = whole ? p->out_c : 2;
  b->places[t].row = whole ? p->out_w * p->out_c : 2 * side;
  y -= p->pad_top, x -= p->pad_left;
  if (y < 0 || x < 0 || y + side + 2 > p->in_h || x + side + 2 > p->in_w) {
    mw_winograd_gather(v + t, image, y, x, buffer, kind, p);
    return;
  }
  mw_winograd_cells cells = {p->in_w * p->in_c, p->in_c, p->in_c / 4, 8 * p->in_c};
  kind->input(v + t, image + y * cells.row + x * cells.cell, &cells);
}

/* Two channels' results of border tiles, to `o` of those pixels that exist. */
MW_NOINLINE void mw_winograd_crop(const mw_winograd_block *b, int32_t count, int32_t o,
                                    const mw_winograd_kind *kind,
                                    const mw_conv2d_winograd_s8_dsp_params *p) {
  MW_ROLLED
  for (int32_t t = 0; t < count; t++) {
    const int8_t *from = b->border[t];
    MW_ROLLED
    for (int32_t i = 0; b->to[t] && i < b->rows[t]; i++, from += 2 * kind->side) {
      MW_ROLLED
      for (int32_t j = 0; j < b->columns[t]; j++) {
        int8_t *pixel = b->to[t] + (i * p->out_w + j) * p->out_c + o;
        pixel[0] = from[2 * j], pixel[1] = from[2 * j + 1];
      }
    }
  }
}

/* All channels of the tiles of a block: products of some pairs of channels, then their results, as
 * each finds its code gone from the flash's instruction cache. */
static inline void mw_winograd_results(mw_winograd_block *b, int32_t count, int32_t *m,
                                       const uint32_t *v, const mw_winograd_kind *kind,
                                       const mw_conv2d_winograd_s8_dsp_params *p) {
  mw_winograd_gemm shape = {p->in_c / 2, (kind->side + 2) * (kind->side + 2)};
  const int32_t *weights = p->weights, *channels = p->channels;
  int32_t words = 2 * shape.pairs * shape.positions, step = 2 * p->group;
  for (int32_t o = 0; o < p->out_c; o += step) {
    int32_t last = mw_min_s32(step, p->out_c - o);
    int32_t *sums = m;
    for (int32_t n = 0; n < last; n += 2, weights += words, sums += 8 * shape.positions) {
      mw_winograd_gemm_dsp(sums, v, weights, &shape);
    }
    sums = m;
    for (int32_t n = 0; n < last; n += 2, channels += 8, sums += 8 * shape.positions) {
      kind->output(sums, b->places, channels, count);
      if (b->cropped) mw_winograd_crop(b, count, o + n, kind, p);
      MW_ROLLED
      for (int32_t t = 0; t < count; t++) b->places[t].out += b->to[t] ? 0 : 2;
    }
  }
}

/* `workspace`: v, 8 * in_c * positions bytes; m, 32 * group * positions, where cells are gathered
 * too. */
MW_INLINE void mw_winograd(int8_t *out, const int8_t *in,
                           const mw_conv2d_winograd_s8_dsp_params *p, const mw_winograd_kind *kind,
                           void *workspace) {
  int32_t positions = (kind->side + 2) * (kind->side + 2), filled = 0, left;
  int32_t high = (p->out_h + kind->side - 1) / kind->side;
  int32_t wide = (p->out_w + kind->side - 1) / kind->side;
  uint32_t *v = workspace;
  int32_t *m = (int32_t *)(v + 2 * p->in_c * positions), y = 0, x = 0;
  int8_t *first = out;
  mw_winograd_block block;
  block.cropped = 0;
  for (left = p->batches * high * wide; left > 0; left--) {
    mw_winograd_tile(&block, filled, out, in, y, x, v, (int8_t *)m, kind, p);
    if (++filled == MW_WINOGRAD_TILES || left == 1) {
      mw_winograd_results(&block, filled, m, v, kind, p);
      filled = 0, block.cropped = 0;
    }
    if ((x += kind->side) < p->out_w) continue;
    x = 0;
    if ((y += kind->side) < p->out_h) continue;
    y = 0, in += p->in_h * p->in_w * p->in_c, out += p->out_h * p->out_w * p->out_c;
  }
  mw_bound_bytes(first, (int32_t)(out - first), p->clamp_min, p->clamp_max);
}

/* The body of the kernels that add: bands through `conv`, then through the sum. */
MW_INLINE void mw_winograd_add(int8_t *out, const int8_t *in, const int8_t *skip,
                               const mw_conv2d_add_winograd_s8_dsp_params *p,
                               void (*conv)(int8_t *out, const int8_t *in,
                                            const mw_conv2d_winograd_s8_dsp_params *params,
                                            void *workspace),
                               int8_t *workspace) {
  mw_conv2d_winograd_s8_dsp_params band = p->conv;
  mw_add_s8_dsp_params sum = p->sum;
  int32_t width = p->conv.out_w * p->conv.out_c;
  band.batches = 1;
  for (int32_t n = 0; n < p->conv.batches; n++, in += band.in_h * band.in_w * band.in_c) {
    for (int32_t y = 0; y < p->conv.out_h; y += p->band) {
      band.out_h = mw_min_s32(p->band, p->conv.out_h - y);
      band.pad_top = p->conv.pad_top - y;
      conv(workspace, in, &band, workspace + ((p->band * width + 3) & ~3));
      sum.row = band.out_h * width;
      mw_add_s8_dsp(out, workspace, skip, &sum, NULL);
      out += sum.row, skip += sum.row;
    }
  }
}

#endif
