/* The body of conv2d_s8 and conv2d_add_s8: im2col of two pixels, then 2 pixels x 2 channels. */
#ifndef MW_CONV_S8_H
#define MW_CONV_S8_H

#include "mw_dot.h"
#include "mw_sum_s8.h"

/* Two pixels by two channels: acc += {a.w0, a.w1, b.w0, b.w1}.
 * 4 loads for 4 products; 12 live registers, so nothing spills on 14. */
static inline void mw_dot_2x2(int32_t acc[4], const int8_t *a, const int8_t *b, const int8_t *w,
                              int32_t n) {
  int32_t a0 = acc[0], a1 = acc[1], b0 = acc[2], b1 = acc[3];
  const int8_t *stop = w + 2 * (n & ~7);
#define MW_STEP(k)                                                    \
  {                                                                   \
    int32_t x = a[k], y = b[k], w0 = w[2 * (k)], w1 = w[2 * (k) + 1]; \
    a0 += x * w0, a1 += x * w1, b0 += y * w0, b1 += y * w1;           \
  }
  MW_ROLLED
  while (w != stop) {
    MW_STEP(0);
    MW_STEP(1);
    MW_STEP(2);
    MW_STEP(3);
    MW_STEP(4);
    MW_STEP(5);
    MW_STEP(6);
    MW_STEP(7);
    a += 8, b += 8, w += 16;
  }
  MW_ROLLED
  for (n &= 7; n > 0; n--) {
    MW_STEP(0);
    a++, b++, w += 2;
  }
#undef MW_STEP
  acc[0] = a0, acc[1] = a1, acc[2] = b0, acc[3] = b1;
}

static inline void mw_fill_s8(int8_t *to, int32_t value, int32_t count) {
  MW_ROLLED
  for (; count > 0; count--) *to++ = (int8_t)value;
}

/* Copy `cells` adjacent cells of every kernel row, from input (y, x) on, to their place in a
 * column; cells outside the image read as the input zero point. */
MW_NOINLINE void mw_im2col_strip(int8_t *column, const int8_t *image, int32_t y, int32_t x,
                                 int32_t cells, const mw_conv2d_s8_params *p) {
  int32_t channels = p->in_c, zero = p->in_zero_point, row = cells * channels;
  int32_t first = mw_max_s32(x, 0), last = mw_min_s32(x + cells, p->in_w);
  int32_t count = mw_max_s32(last - first, 0) * channels;
  int32_t before = count ? (first - x) * channels : row, after = row - before - count;
  for (int32_t ky = 0; ky < p->kernel_h; ky++, y += p->dilation_h) {
    int8_t *to = column + ky * p->kernel_w * channels;
    if (y < 0 || y >= p->in_h) {
      mw_fill_s8(to, zero, row);
      continue;
    }
    mw_fill_s8(to, zero, before);
    if (count) mw_copy_bytes(to + before, image + (y * p->in_w + first) * channels, count);
    mw_fill_s8(to + before + count, zero, after);
  }
}

/* The window of output (y, x) as a column [kernel_h, kernel_w, in_c]; dilated: cell by cell. */
static inline void mw_im2col_s8(int8_t *column, const int8_t *image, int32_t y, int32_t x,
                                const mw_conv2d_s8_params *p) {
  int32_t cells = p->dilation_w > 1 ? 1 : p->kernel_w;
  y = y * p->stride_h - p->pad_top, x = x * p->stride_w - p->pad_left;
  for (int32_t kx = 0; kx < p->kernel_w; kx += cells, x += p->dilation_w) {
    mw_im2col_strip(column + kx * p->in_c, image, y, x, cells, p);
  }
}

/* The results of two channels of two pixels, `next` bytes apart. With constant bounds of int8 the
 * compiler makes one saturating instruction of a result's two comparisons. */
MW_INLINE void mw_store_2x2(int8_t *out, int32_t next, int32_t pixels, const int32_t acc[4],
                            const int32_t *table, int32_t zero, int32_t low, int32_t high) {
  out[0] = mw_requantize_s8(acc[0], table + 1, zero, low, high);
  out[1] = mw_requantize_s8(acc[1], table + 4, zero, low, high);
  if (pixels < 2) return;
  out[next] = mw_requantize_s8(acc[2], table + 1, zero, low, high);
  out[next + 1] = mw_requantize_s8(acc[3], table + 4, zero, low, high);
}

/* All channels of columns a and b (pixels = 2) or of a alone; the outputs of b follow a's. */
MW_NOINLINE void mw_conv_columns(int8_t *out, const int8_t *a, const int8_t *b, int32_t pixels,
                                 const mw_conv2d_s8_params *p) {
  int32_t n = p->kernel_h * p->kernel_w * p->in_c, channels = p->out_c, o = 0;
  int32_t zero = p->out_zero_point, low = p->clamp_min, high = p->clamp_max;
  int32_t whole = low == INT8_MIN && high == INT8_MAX;
  const int8_t *weights = p->weights;
  const int32_t *table = p->channels;
  for (; o < channels - 1; o += 2, table += 6, weights += 2 * n) {
    int32_t acc[4] = {table[0], table[3], table[0], table[3]};
    mw_dot_2x2(acc, a, b, weights, n);
    if (whole)
      mw_store_2x2(out + o, channels, pixels, acc, table, zero, INT8_MIN, INT8_MAX);
    else
      mw_store_2x2(out + o, channels, pixels, acc, table, zero, low, high);
  }
  if (o == channels) return;
  MW_ROLLED
  for (; pixels > 0; pixels--, o += channels, a = b) {
    int32_t acc = mw_dot_1x1(table[0], a, weights, n);
    out[o] = mw_requantize_s8(acc, table + 1, zero, low, high);
  }
}

/* Pixels are taken two by two in memory order, across rows and images. `workspace` holds their two
 * columns of n = kernel_h * kernel_w * in_c bytes, which a direct convolution reads in place; with
 * a fused sum their results before it come first, 2 * out_c bytes. */
static inline void mw_conv_s8(int8_t *out, const int8_t *in, const int8_t *skip,
                              const mw_conv2d_s8_params *p, const mw_sum_s8 *sum,
                              int8_t *workspace) {
  int32_t n = p->kernel_h * p->kernel_w * p->in_c;
  int32_t left = p->batches * p->out_h * p->out_w;
  int32_t y = 0, x = 0, filled = 0;
  int8_t *hidden = workspace, *column = sum ? workspace + 2 * p->out_c : workspace;
  const int8_t *columns[2];
  for (; left > 0; left--) {
    if (p->direct) {
      columns[filled] = in + (y * p->stride_h * p->in_w + x * p->stride_w) * p->in_c;
    } else {
      columns[filled] = column + filled * n;
      mw_im2col_s8(column + filled * n, in, y, x, p);
    }
    if (++filled == 2 || left == 1) {
      int32_t count = filled * p->out_c;
      mw_conv_columns(sum ? hidden : out, columns[0], columns[filled - 1], filled, p);
      MW_ROLLED
      for (int32_t i = 0; sum && i < count; i++) {
        out[i] = (int8_t)mw_sum_one_s8(hidden[i], *skip++, 1, sum);
      }
      out += count, filled = 0;
    }
    if (++x < p->out_w) continue;
    x = 0;
    if (++y < p->out_h) continue;
    y = 0, in += p->in_h * p->in_w * p->in_c;
  }
}

#endif
