/* transpose, any element type.
 *
 * out[i_0, ..., i_r] = in[index with axis perm[k] = i_k]
 *
 * Single bytes are transposed plane by plane, in blocks of 4 x 4 where words may lie at any
 * address: four words are loaded, their bytes changed places in 12 instructions, and stored. The
 * last blocks of a row or column may share bytes with those before.
 *
 * Layouts: row-major; axes that stay neighbours are merged when packing, and elements that stay
 * neighbours are one run. Ranges: 8 axes after merging (checked when packing).
 * Workspace: none. Out may not overlap in. Rounding: none.
 * Source: TensorFlow Lite, TRANSPOSE.
 */
#include "mw.h"
#include "mw_walk.h"
#include "mw_word.h"

/* out[r * out_step + c] = in[c * in_step + r]. */
typedef struct {
  int32_t rows, out_step, columns, in_step;
} mw_plane;

#if MW_WORDS_ANYWHERE
/* Words (a0..a3), (b0..b3), ... to (a0 b0 c0 d0), (a1 b1 c1 d1), ... */
static inline void mw_transpose_block(uint8_t *out, int32_t out_step, const uint8_t *in,
                                      int32_t in_step) {
  const uint32_t mask = 0x00ff00ffu;
  uint32_t a = mw_word(in), b = mw_word(in + in_step);
  uint32_t c = mw_word(in + 2 * in_step), d = mw_word(in + 3 * in_step);
  uint32_t ab = (a & mask) | (b & mask) << 8, cd = (c & mask) | (d & mask) << 8;
  mw_put_word(out, (ab & 0xffffu) | cd << 16);
  mw_put_word(out + 2 * out_step, ab >> 16 | (cd & 0xffff0000u));
  ab = (a >> 8 & mask) | (b & ~mask), cd = (c >> 8 & mask) | (d & ~mask);
  mw_put_word(out + out_step, (ab & 0xffffu) | cd << 16);
  mw_put_word(out + 3 * out_step, ab >> 16 | (cd & 0xffff0000u));
}

/* A plane of 4 x 4 or more. */
MW_NOINLINE void mw_transpose_blocks(uint8_t *out, const uint8_t *in, const mw_plane *p) {
  int32_t rows = p->rows, out_step = p->out_step, in_step = p->in_step;
  for (int32_t left = p->columns; left > 0; left -= 4, in += 4 * in_step, out += 4) {
    int32_t back = mw_max_s32(4 - left, 0);
    const uint8_t *from = in - back * in_step;
    uint8_t *to = out - back;
    for (int32_t more = rows; more >= 4; more -= 4, from += 4, to += 4 * out_step) {
      mw_transpose_block(to, out_step, from, in_step);
    }
    back = -rows & 3;
    if (back) mw_transpose_block(to - back * out_step, out_step, from - back, in_step);
  }
}
#endif

/* One row or column, four bytes at a time: adjacent loads and stores pipeline. */
static inline void mw_scatter(uint8_t *out, int32_t out_step, const uint8_t *in, int32_t in_step,
                              int32_t count) {
  MW_ROLLED
  for (; count >= 4; count -= 4, in += 4 * in_step, out += 4 * out_step) {
    uint8_t a = in[0], b = in[in_step], c = in[2 * in_step], d = in[3 * in_step];
    out[0] = a, out[out_step] = b, out[2 * out_step] = c, out[3 * out_step] = d;
  }
  MW_ROLLED
  for (; count > 0; count--, in += in_step, out += out_step) *out = *in;
}

static void mw_transpose_plane(uint8_t *out, const uint8_t *in, const mw_plane *p) {
#if MW_WORDS_ANYWHERE
  if (p->rows >= 4 && p->columns >= 4) {
    mw_transpose_blocks(out, in, p);
    return;
  }
#endif
  if (p->rows < p->columns) {
    for (int32_t r = 0; r < p->rows; r++) {
      mw_scatter(out + r * p->out_step, 1, in + r, p->in_step, p->columns);
    }
  } else {
    for (int32_t c = 0; c < p->columns; c++) {
      mw_scatter(out + c, p->out_step, in + c * p->in_step, 1, p->rows);
    }
  }
}

/* Runs of one byte: the plane of the axes that lie densest in out and in `in`, for each place of
 * the other axes. */
static void mw_transpose_planes(uint8_t *out, const uint8_t *in,
                                const mw_transpose_params *params) {
  mw_plane plane = {1, 0, 1, 0};
  int32_t others[3 * MW_MAX_RANK], rank = 0;
  const int32_t *axis = params->axes;
  for (int32_t i = 0; i < params->rank; i++, axis += 3) {
    if (axis[2] == 1) {
      plane.columns = axis[0], plane.in_step = axis[1];
    } else if (axis[1] == 1) {
      plane.rows = axis[0], plane.out_step = axis[2];
    } else {
      for (int32_t k = 0; k < 3; k++) others[3 * rank + k] = axis[k];
      rank++;
    }
  }
  mw_walk at = {0, 0, {0}};
  for (int32_t left = params->runs / (plane.rows * plane.columns); left > 0; left--) {
    mw_transpose_plane(out + at.b, in + at.a, &plane);
    mw_walk_next(&at, others, rank);
  }
}

/* Longer runs: those of the innermost axis, for each place of the other axes. */
static void mw_transpose_runs(uint8_t *out, const uint8_t *in, const mw_transpose_params *p) {
  const int32_t *axis = p->axes;
  int32_t count = p->rank ? axis[0] : 1;
  mw_walk at = {0, 0, {0}};
  for (int32_t left = p->runs / count; left > 0; left--) {
    const uint8_t *from = in + at.a;
    uint8_t *to = out + at.b;
    for (int32_t i = count; i > 0; i--, from += axis[1], to += axis[2]) {
      mw_copy_words(to, from, p->run_bytes);
    }
    mw_walk_next(&at, axis + 3, p->rank - 1);
  }
}

void mw_transpose(void *out, const void *in, const mw_transpose_params *params, void *workspace) {
  (void)workspace;
  if (params->run_bytes == 1) {
    mw_transpose_planes(out, in, params);
  } else {
    mw_transpose_runs(out, in, params);
  }
}
