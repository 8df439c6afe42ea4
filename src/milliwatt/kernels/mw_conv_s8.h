/* The body of conv2d_s8 and conv2d_add_s8: im2col of two pixels, then blocks of 2 pixels x 2 channels. */
#ifndef MW_CONV_S8_H
#define MW_CONV_S8_H

#include "mw_dot.h"
#include "mw_sum_s8.h"

/* The clamped result of one channel; `channel` is {bias, multiplier, shift}. */
static inline int32_t mw_requantize_s8(int32_t acc, const int32_t *channel, int32_t zero_point,
                                       int32_t low, int32_t high) {
    return mw_bound_s32(mw_rescale(acc, channel[1], channel[2]) + zero_point, low, high);
}

/* Copy the window of output (y, x) to column [kernel_h, kernel_w, in_c]; cells outside the image read
 * as the input zero point. */
static inline void mw_im2col_s8(int8_t *column, const int8_t *image, int32_t y, int32_t x,
                                const mw_conv2d_s8_params *p) {
    int32_t row_bytes = p->kernel_w * p->in_c;
    int32_t x0 = x * p->stride_w - p->pad_left;
    int32_t x1 = x0 + p->kernel_w * p->dilation_w;
    int32_t iy = y * p->stride_h - p->pad_top;
    int32_t whole = x0 >= 0 && x1 <= p->in_w && p->dilation_w == 1;
    for (int32_t ky = 0; ky < p->kernel_h; ky++, iy += p->dilation_h) {
        if (iy < 0 || iy >= p->in_h) {
            memset(column, p->in_zero_point, (size_t)row_bytes);
            column += row_bytes;
            continue;
        }
        const int8_t *row = image + iy * p->in_w * p->in_c;
        if (whole) {
            memcpy(column, row + x0 * p->in_c, (size_t)row_bytes);
            column += row_bytes;
        } else {
            for (int32_t ix = x0; ix < x1; ix += p->dilation_w, column += p->in_c) {
                if (ix < 0 || ix >= p->in_w) memset(column, p->in_zero_point, (size_t)p->in_c);
                else memcpy(column, row + ix * p->in_c, (size_t)p->in_c);
            }
        }
    }
}

/* One result to memory, through the fused sum where there is one. */
static inline void mw_conv_store(int8_t *out, const int8_t *skip, ptrdiff_t at, int32_t value,
                                 const mw_sum_s8 *sum) {
    if (sum) value = mw_sum_one_s8(value, skip[at], 1, sum);
    out[at] = (int8_t)value;
}

/* All channels of `pixels` (1 or 2) columns a and b; the outputs of b follow those of a. */
static inline void mw_conv_columns(int8_t *out, const int8_t *skip, const int8_t *a, const int8_t *b,
                                   int32_t pixels, const mw_conv2d_s8_params *p,
                                   const mw_sum_s8 *sum) {
    int32_t n = p->kernel_h * p->kernel_w * p->in_c, channels = p->out_c;
    int32_t zero = p->out_zero_point, low = p->clamp_min, high = p->clamp_max;
    const int8_t *weights = p->weights;
    const int32_t *table = p->channels;
    for (int32_t o = 0; o < channels; o += 2, weights += 2 * n, table += 6) {
        int32_t pair = o + 1 < channels;
        int32_t acc[4] = {table[0], 0, table[0], 0};
        if (pair) {
            acc[1] = acc[3] = table[3];
            mw_dot_2x2(acc, a, b, weights, n);
        } else {
            acc[0] = mw_dot_1x1(acc[0], a, weights, 1, n);
            acc[2] = mw_dot_1x1(acc[2], b, weights, 1, n);
        }
        for (int32_t i = 0; i < pixels; i++) {
            ptrdiff_t at = (ptrdiff_t)i * channels + o;
            mw_conv_store(out, skip, at, mw_requantize_s8(acc[2 * i], table, zero, low, high), sum);
            if (!pair) continue;
            int32_t second = mw_requantize_s8(acc[2 * i + 1], table + 3, zero, low, high);
            mw_conv_store(out, skip, at + 1, second, sum);
        }
    }
}

/* Pixels are taken two by two in memory order, across rows and images. `workspace` holds their two
 * columns of n = kernel_h * kernel_w * in_c bytes; a direct convolution reads them in place. */
static inline void mw_conv_s8(int8_t *out, const int8_t *in, const int8_t *skip,
                              const mw_conv2d_s8_params *p, const mw_sum_s8 *sum, int8_t *workspace) {
    int32_t n = p->kernel_h * p->kernel_w * p->in_c;
    int32_t left = p->batches * p->out_h * p->out_w;
    int32_t y = 0, x = 0, filled = 0;
    const int8_t *columns[2];
    for (; left > 0; left--) {
        if (p->direct) {
            columns[filled] = in + (y * p->stride_h * p->in_w + x * p->stride_w) * p->in_c;
        } else {
            mw_im2col_s8(workspace + filled * n, in, y, x, p);
            columns[filled] = workspace + filled * n;
        }
        if (++filled == 2 || left == 1) {
            mw_conv_columns(out, skip, columns[0], columns[filled - 1], filled, p, sum);
            out += filled * p->out_c;
            if (sum) skip += filled * p->out_c;
            filled = 0;
        }
        if (++x < p->out_w) continue;
        x = 0;
        if (++y < p->out_h) continue;
        y = 0, in += p->in_h * p->in_w * p->in_c;
    }
}

#endif
