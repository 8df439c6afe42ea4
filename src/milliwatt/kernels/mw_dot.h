/* Inner products of int8 rows with packed weights; conv2d_s8 and fully_connected_s8 are built on them.
 *
 * Packed weights of O channels and K products each: channels 2i and 2i+1 interleaved by k
 * ([O/2][K][2]); a last odd channel follows as one plain row [K]. No padding, so the bytes are the
 * tensor's own. Loads are written next to each other because adjacent loads pipeline on Cortex-M.
 */
#ifndef MW_DOT_H
#define MW_DOT_H

#include "mw_common.h"

/* Two pixels by two channels: acc = {a.w0, a.w1, b.w0, b.w1} added to what acc holds.
 * 4 loads for 4 products; 12 live registers, so nothing spills on 14. */
static inline void mw_dot_2x2(int32_t acc[4], const int8_t *a, const int8_t *b, const int8_t *w,
                              int32_t n) {
    int32_t a0 = acc[0], a1 = acc[1], b0 = acc[2], b1 = acc[3];
    const int8_t *stop = w + 2 * (n & ~3);
#define MW_STEP(k)                                                           \
    {                                                                        \
        int32_t x = a[k], y = b[k], w0 = w[2 * (k)], w1 = w[2 * (k) + 1];    \
        a0 += x * w0, a1 += x * w1, b0 += y * w0, b1 += y * w1;              \
    }
    while (w != stop) {
        MW_STEP(0)
        MW_STEP(1)
        MW_STEP(2)
        MW_STEP(3)
        a += 4, b += 4, w += 8;
    }
    for (n &= 3; n > 0; n--) {
        MW_STEP(0)
        a++, b++, w += 2;
    }
#undef MW_STEP
    acc[0] = a0, acc[1] = a1, acc[2] = b0, acc[3] = b1;
}

/* One pixel by four channels: acc += {a.w0, a.w1, a.v0, a.v1}; w and v are two channel pairs. */
static inline void mw_dot_1x4(int32_t acc[4], const int8_t *a, const int8_t *w, const int8_t *v,
                              int32_t n) {
    int32_t s0 = acc[0], s1 = acc[1], s2 = acc[2], s3 = acc[3];
    const int8_t *stop = a + (n & ~3);
#define MW_STEP(k)                                                           \
    {                                                                        \
        int32_t x = a[k], w0 = w[2 * (k)], w1 = w[2 * (k) + 1];              \
        int32_t v0 = v[2 * (k)], v1 = v[2 * (k) + 1];                        \
        s0 += x * w0, s1 += x * w1, s2 += x * v0, s3 += x * v1;              \
    }
    while (a != stop) {
        MW_STEP(0)
        MW_STEP(1)
        MW_STEP(2)
        MW_STEP(3)
        a += 4, w += 8, v += 8;
    }
    for (n &= 3; n > 0; n--) {
        MW_STEP(0)
        a++, w += 2, v += 2;
    }
#undef MW_STEP
    acc[0] = s0, acc[1] = s1, acc[2] = s2, acc[3] = s3;
}

/* One pixel by one channel whose weights lie `step` bytes apart. */
static inline int32_t mw_dot_1x1(int32_t acc, const int8_t *a, const int8_t *w, int32_t step,
                                 int32_t n) {
    for (; n > 0; n--, w += step) acc += (int32_t)*a++ * *w;
    return acc;
}

#endif
