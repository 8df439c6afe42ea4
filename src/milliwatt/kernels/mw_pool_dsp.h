/* Windows of cells four channels at a time: sums, which average_pool2d_s8_dsp and mean_s8_dsp
 * share, and where a pooling window lies. */
#ifndef MW_POOL_DSP_H
#define MW_POOL_DSP_H

#include "mw_pool.h"
#include "mw_words_dsp.h"

/* Sums of four channels over cells in 16-bit lanes, which hold 256 cells. */
typedef struct {
  uint32_t even, odd; /* of channels (0, 2) and (1, 3) */
} mw_lanes4;

static inline void mw_lanes4_word(mw_lanes4 *sum, uint32_t cells) {
  sum->even = mw_sxtab16(sum->even, cells), sum->odd = mw_sxtab16_ror8(sum->odd, cells);
}

/* Add `fours` times four cells `step` bytes apart. Returns the cell behind them. */
static inline const int8_t *mw_lanes4_fours(mw_lanes4 *sum, const int8_t *in, int32_t fours,
                                            int32_t step) {
#if MW_HAS_DSP
  /* 17 cycles for 16 values: four loads in a row take 5, their sums 8. */
  uint32_t even = sum->even, odd = sum->odd, a, b, c, d;
  __asm__("1:\n\t"
          "ldr %[a], [%[in]]\n\t"
          "ldr %[b], [%[in], %[step]]\n\t"
          "ldr %[c], [%[in], %[step], lsl #1]\n\t"
          "ldr %[d], [%[in], %[three]]\n\t"
          "subs %[fours], #1\n\t"
          "sxtab16 %[even], %[even], %[a]\n\t"
          "sxtab16 %[odd], %[odd], %[a], ror #8\n\t"
          "sxtab16 %[even], %[even], %[b]\n\t"
          "sxtab16 %[odd], %[odd], %[b], ror #8\n\t"
          "sxtab16 %[even], %[even], %[c]\n\t"
          "sxtab16 %[odd], %[odd], %[c], ror #8\n\t"
          "sxtab16 %[even], %[even], %[d]\n\t"
          "sxtab16 %[odd], %[odd], %[d], ror #8\n\t"
          "add %[in], %[in], %[step], lsl #2\n\t"
          "bne 1b"
          : [even] "+r"(even), [odd] "+r"(odd), [in] "+r"(in), [fours] "+r"(fours), [a] "=&r"(a),
            [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
          : [step] "r"(step), [three] "r"(3 * step)
          : "cc", "memory");
  sum->even = even, sum->odd = odd;
#else
  for (int32_t left = 4 * fours; left > 0; left--, in += step) mw_lanes4_word(sum, mw_word(in));
#endif
  return in;
}

/* Add a run of 1 to 256 cells. */
static inline void mw_lanes4_run(mw_lanes4 *sum, const int8_t *in, int32_t count, int32_t step) {
  if (count >= 4) in = mw_lanes4_fours(sum, in, count >> 2, step);
  if (count & 2) {
    uint32_t a = mw_word(in), b = mw_word(in + step);
    mw_lanes4_word(sum, a);
    mw_lanes4_word(sum, b);
    in += 2 * step;
  }
  if (count & 1) mw_lanes4_word(sum, mw_word(in));
}

/* Add lanes to sums of 32 bits. */
static inline void mw_lanes4_drain(int32_t sums[4], mw_lanes4 from) {
  sums[0] += mw_low_lane(from.even), sums[1] += mw_low_lane(from.odd);
  sums[2] += mw_high_lane(from.even), sums[3] += mw_high_lane(from.odd);
}

/* Add any number of cells to sums of 32 bits. */
static inline void mw_sums4_add(int32_t sums[4], const int8_t *in, int32_t count, int32_t step) {
  for (int32_t now; count > 0; count -= now, in += now * step) {
    mw_lanes4 lanes = {0, 0};
    now = mw_min_s32(count, 256);
    mw_lanes4_run(&lanes, in, now, step);
    mw_lanes4_drain(sums, lanes);
  }
}

/* The places of a small window's cells behind its first; most windows have those of the one before.
 */
#define MW_FEW_CELLS 16

typedef struct {
  int32_t height, width, count;
  int32_t at[MW_FEW_CELLS];
} mw_cells;

static inline void mw_cells_of(mw_cells *cells, mw_pool_window at, int32_t row, int32_t channels) {
  if (cells->height == at.height && cells->width == at.width) return;
  cells->height = at.height, cells->width = at.width, cells->count = at.height * at.width;
  int32_t *place = cells->at;
  for (int32_t y = 0; y < at.height; y++) {
    for (int32_t x = 0; x < at.width; x++) *place++ = y * row + x * channels;
  }
}

/* Groups of four channels; the last one may share channels with the one before. */
#define MW_EACH_FOUR(c, channels)                                  \
  for (int32_t c = 0, mw_last = (channels) - 4;                    \
       c <= mw_last || (c < mw_last + 4 && (c = mw_last, 1)); c += 4)

/* How many pixels from x on have whole windows in their row, their neighbours' moved on; 1 for one
 * whose window, of `width` cells, is cut. */
static inline int32_t mw_pool_whole(const mw_pool2d_s8_params *p, int32_t x, int32_t width) {
  int32_t stop = (p->in_w + p->pad_left - p->kernel_w) / p->stride_w + 1;
  return width < p->kernel_w ? 1 : mw_min_s32(stop, p->out_w) - x;
}

#endif
