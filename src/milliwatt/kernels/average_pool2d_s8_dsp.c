/* average_pool2d, s8, for the DSP extension: four channels at a time.
 *
 * out[n,y,x,c] = clamp(round(mean of in[n,window(y,x),c])) over the cells inside the image.
 *
 * A word of four channels is one load and two SXTAB16. The division by the count of cells is a
 * multiplication: for t = 2 * (sum + half) + 1, t * (2^31 / count + 1) >> 32 is the floor of
 * (sum + half) / count while 258 * count^2 < 2^31, that is below 2885 cells. Windows of up to 11
 * cells are rounded in their 16-bit lanes, by t * (2^15 / count + 1) >> 16: there t fits a lane.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C], C >= 4.
 * Ranges: every window has a cell inside the image; below 2^22 cells (checked when packing).
 * Workspace: none. In place: out may be the first bytes of in where C is a multiple of 4 and no
 * window begins before its own result.
 * Rounding: to nearest, halves away from zero, on the stored integers.
 * Source: TensorFlow Lite 8-bit specification, AVERAGE_POOL_2D.
 */
#include "mw_pool_dsp.h"

#define MW_MOST_CELLS 2884
#define MW_LANE_CELLS 11

/* How sums over `count` cells are rounded. */
typedef struct {
  int32_t count, start;
  uint32_t factor;
  int32_t halves;           /* -1 where the count is even, else 0 */
  uint32_t above, below; /* in both lanes what 2 * sum needs: `start`, or 2 less */
} mw_mean_of;

static inline mw_mean_of mw_mean_over(int32_t count) {
  int32_t start = count | 1, halves = (count & 1) - 1;
  uint32_t bits = count <= MW_LANE_CELLS ? 15u : 31u;
  uint32_t factor = (1u << bits) / (uint32_t)count + 1u;
  mw_mean_of made = {count, start, factor, halves, mw_lanes(start, start),
                     mw_lanes(start + 2 * halves, start + 2 * halves)};
  return made;
}

static inline int8_t mw_mean_round(int32_t sum, const mw_mean_of *of) {
  int32_t half = of->count / 2;
  if (of->count > MW_MOST_CELLS) return (int8_t)((sum + (sum > 0 ? half : -half)) / of->count);
  return (int8_t)mw_smmla(2 * (sum + (sum >> 31 & of->halves)) + of->start, (int32_t)of->factor, 0);
}

/* Two lanes of sums over a few cells. */
static inline void mw_mean_round_lanes(int8_t *out, uint32_t sums, const mw_mean_of *of) {
  uint32_t t = mw_double_add_by_sign(sums, of->above, of->below);
  out[0] = (int8_t)mw_smulwb(of->factor, t);
  out[2] = (int8_t)mw_smulwt(of->factor, t);
}

typedef void mw_average_run(int8_t *, const int8_t *, const mw_cells *, int32_t, int32_t, int32_t);

/* Pixels whose windows have 4 cells. */
MW_NOINLINE void mw_average_4(int8_t *out, const int8_t *in, const mw_cells *cells,
                              int32_t channels, int32_t pixels, int32_t step) {
  mw_mean_of of = mw_mean_over(4);
  int32_t i = cells->at[1], j = cells->at[2], k = cells->at[3];
  for (; pixels > 0; pixels--, in += step, out += channels) {
    MW_EACH_FOUR(c, channels) {
      const int8_t *first = in + c;
      uint32_t a = mw_word(first), b = mw_word(first + i);
      uint32_t d = mw_word(first + j), e = mw_word(first + k);
      mw_lanes4 sum = {mw_sxtb16(a), mw_sxtb16_ror8(a)};
      mw_lanes4_word(&sum, b);
      mw_lanes4_word(&sum, d);
      mw_lanes4_word(&sum, e);
      mw_mean_round_lanes(out + c, sum.even, &of);
      mw_mean_round_lanes(out + c + 1, sum.odd, &of);
    }
  }
}

/* Pixels whose windows have few cells. */
MW_NOINLINE void mw_average_few(int8_t *out, const int8_t *in, const mw_cells *cells,
                                int32_t channels, int32_t pixels, int32_t step) {
  mw_mean_of of = mw_mean_over(cells->count);
  for (; pixels > 0; pixels--, in += step, out += channels) {
    MW_EACH_FOUR(c, channels) {
      mw_lanes4 sum = {0, 0};
      const int8_t *first = in + c;
      const int32_t *at = cells->at;
      int32_t left = cells->count;
      MW_ROLLED
      for (; left >= 2; left -= 2, at += 2) {
        int32_t i = at[0], j = at[1];
        uint32_t a = mw_word(first + i), b = mw_word(first + j);
        mw_lanes4_word(&sum, a);
        mw_lanes4_word(&sum, b);
      }
      if (left) mw_lanes4_word(&sum, mw_word(first + at[0]));
      mw_mean_round_lanes(out + c, sum.even, &of);
      mw_mean_round_lanes(out + c + 1, sum.odd, &of);
    }
  }
}

/* One pixel. */
MW_NOINLINE void mw_average_many(int8_t *out, const int8_t *in, mw_pool_window at, int32_t row,
                            int32_t channels) {
  mw_mean_of of = mw_mean_over(at.height * at.width);
  int32_t height = at.height, width = at.width;
  if (width * channels == row) width *= height, height = 1;
  MW_EACH_FOUR(c, channels) {
    int32_t sums[4] = {0, 0, 0, 0};
    const int8_t *cells = in + c;
    for (int32_t y = height; y > 0; y--, cells += row) mw_sums4_add(sums, cells, width, channels);
    for (int32_t i = 0; i < 4; i++) out[c + i] = mw_mean_round(sums[i], &of);
  }
}

void mw_average_pool2d_s8_dsp(int8_t *out, const int8_t *in, const mw_pool2d_s8_params *params,
                              void *workspace) {
  int32_t channels = params->in_c, row = params->in_w * channels;
  int8_t *first = out;
  mw_cells cells = {0, 0, 0, {0}};
  (void)workspace;
  for (int32_t n = 0; n < params->batches; n++, in += params->in_h * row) {
    for (int32_t y = 0; y < params->out_h; y++) {
      for (int32_t x = 0, pixels; x < params->out_w; x += pixels, out += pixels * channels) {
        mw_pool_window at = MW_POOL_WINDOW(params, y, x);
        pixels = 1;
        if (at.height * at.width <= MW_LANE_CELLS) {
          pixels = mw_pool_whole(params, x, at.width);
          mw_cells_of(&cells, at, row, channels);
          mw_average_run *run = cells.count == 4 ? mw_average_4 : mw_average_few;
          run(out, in + at.offset, &cells, channels, pixels, params->stride_w * channels);
        } else {
          mw_average_many(out, in + at.offset, at, row, channels);
        }
      }
    }
  }
  mw_bound_bytes(first, (int32_t)(out - first), params->clamp_min, params->clamp_max);
}
