/* max_pool2d, s8, for the DSP extension: four channels at a time.
 *
 * out[n,y,x,c] = clamp(max of in[n,window(y,x),c]) over the cells inside the image.
 *
 * A word of four channels is one load, SSUB8, which leaves in APSR.GE where it is the larger, and
 * SEL. Two cells of two rows, the most common window, are four loads in a row, 5 cycles, three
 * such pairs and a store.
 *
 * Layouts: in [N,H,W,C], out [N,H',W',C], C >= 4. Ranges: every window has a cell inside the image.
 * Workspace: none. In place: out may be the first bytes of in where C is a multiple of 4 and no
 * window begins before its own result.
 * Rounding: none, one quantization for both sides.
 * Source: TensorFlow Lite 8-bit specification, MAX_POOL_2D.
 */
#include "mw_pool_dsp.h"

typedef void mw_max_run(int8_t *, const int8_t *, const mw_cells *, int32_t, int32_t, int32_t);

/* Pixels whose windows have 4 cells. */
MW_NOINLINE void mw_max_4(int8_t *out, const int8_t *in, const mw_cells *cells, int32_t channels,
                          int32_t pixels, int32_t step) {
  int32_t i = cells->at[1], j = cells->at[2], k = cells->at[3];
  for (; pixels > 0; pixels--, in += step, out += channels) {
    MW_EACH_FOUR(c, channels) {
      const int8_t *first = in + c;
      uint32_t a = mw_word(first), b = mw_word(first + i);
      uint32_t d = mw_word(first + j), e = mw_word(first + k);
      mw_put_word(out + c, mw_max4(mw_max4(a, b), mw_max4(d, e)));
    }
  }
}

/* Pixels whose windows have few cells, two at a time after the first of an odd count. */
MW_NOINLINE void mw_max_few(int8_t *out, const int8_t *in, const mw_cells *cells, int32_t channels,
                            int32_t pixels, int32_t step) {
  for (; pixels > 0; pixels--, in += step, out += channels) {
    MW_EACH_FOUR(c, channels) {
      const int8_t *first = in + c;
      const int32_t *at = cells->at + (cells->count & 1), *stop = cells->at + cells->count;
      uint32_t most = mw_word(first);
      MW_ROLLED
      for (; at != stop; at += 2) {
        int32_t i = at[0], j = at[1];
        uint32_t a = mw_word(first + i), b = mw_word(first + j);
        most = mw_max4(mw_max4(most, a), b);
      }
      mw_put_word(out + c, most);
    }
  }
}

/* Windows of many cells. */
MW_NOINLINE void mw_max_many(int8_t *out, const int8_t *in, mw_pool_window at, int32_t row,
                             int32_t channels) {
  MW_EACH_FOUR(c, channels) {
    const int8_t *start = in + c;
    uint32_t most = mw_word(start);
    for (int32_t y = at.height; y > 0; y--, start += row) {
      const int8_t *cell = start;
      MW_ROLLED
      for (int32_t left = at.width; left > 0; left--, cell += channels) {
        most = mw_max4(most, mw_word(cell));
      }
    }
    mw_put_word(out + c, most);
  }
}

void mw_max_pool2d_s8_dsp(int8_t *out, const int8_t *in, const mw_pool2d_s8_params *params,
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
        if (at.height * at.width <= MW_FEW_CELLS) {
          pixels = mw_pool_whole(params, x, at.width);
          mw_cells_of(&cells, at, row, channels);
          mw_max_run *run = cells.count == 4 ? mw_max_4 : mw_max_few;
          run(out, in + at.offset, &cells, channels, pixels, params->stride_w * channels);
        } else {
          mw_max_many(out, in + at.offset, at, row, channels);
        }
      }
    }
  }
  mw_bound_bytes(first, (int32_t)(out - first), params->clamp_min, params->clamp_max);
}
