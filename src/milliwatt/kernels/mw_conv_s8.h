/* The body of conv2d_s8 and conv2d_add_s8: im2col of two pixels, then blocks of 2 pixels x 2 channels. */
#ifndef MW_CONV_S8_H
#define MW_CONV_S8_H

#include "mw_dot.h"
#include "mw_sum_s8.h"

/* Two pixels by two channels: acc += {a.w0, a.w1, b.w0, b.w1}.
 * 4 loads for 4 products; 12 live registers, so nothing spills on 14. */
static MW_NOINLINE void mw_dot_2x2(int32_t acc[4], const int8_t *a, const int8_t *b,
                                   const int8_t *w, int32_t n) {
    int32_t a0 = acc[0], a1 = acc[1], b0 = acc[2], b1 = acc[3];
    const int8_t *stop = w + 2 * (n & ~7);
#define MW_STEP(k)                                                        \
    {                                                                     \
        int32_t x = a[k], y = b[k], w0 = w[2 * (k)], w1 = w[2 * (k) + 1]; \
        a0 += x * w0, a1 += x * w1, b0 += y * w0, b1 += y * w1;           \
    }
    MW_ROLLED
    while (w != stop) {
        MW_STEP(0) MW_STEP(1) MW_STEP(2) MW_STEP(3)
        MW_STEP(4) MW_STEP(5) MW_STEP(6) MW_STEP(7)
        a += 8, b += 8, w += 16;
    }
    MW_ROLLED
    for (n &= 7; n > 0; n--) {
        MW_STEP(0)
        a++, b++, w += 2;
    }
#undef MW_STEP
    acc[0] = a0, acc[1] = a1, acc[2] = b0, acc[3] = b1;
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

/* All channels of `pixels` (1 or 2) columns a and b; the outputs of b follow those of a. */
static inline void mw_conv_columns(int8_t *out, const int8_t *skip, const int8_t *a, const int8_t *b,
                                   int32_t pixels, const mw_conv2d_s8_params *p,
                                   const mw_sum_s8 *sum) {
    int32_t n = p->kernel_h * p->kernel_w * p->in_c, channels = p->out_c;
    const int8_t *weights = p->weights;
    const int32_t *table = p->channels, *stop = table + 3 * channels;
    while (table != stop) {
        int32_t acc[4] = {table[0], 0, table[0], 0}, lanes = 1;
        if (stop - table > 3) {
            lanes = 2;
            acc[1] = acc[3] = table[3];
            mw_dot_2x2(acc, a, b, weights, n);
        } else {
            acc[0] = mw_dot_1x1(acc[0], a, weights, 1, n);
            acc[2] = mw_dot_1x1(acc[2], b, weights, 1, n);
        }
        MW_ROLLED
        for (int32_t lane = 0; lane < lanes; lane++, table += 3, out++) {
            MW_ROLLED
            for (int32_t i = 0; i < pixels; i++) {
                int32_t value = mw_requantize_s8(acc[2 * i + lane], table[1], table[2],
                                                 p->out_zero_point, p->clamp_min, p->clamp_max);
                if (sum) value = mw_sum_one_s8(value, skip[i * channels], 1, sum);
                out[i * channels] = (int8_t)value;
            }
            if (sum) skip++;
        }
        weights += lanes * n;
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
