/* The FFT over one element type: included by mw_fft_<type>.h, which defines the arithmetic.
 *
 * Decimation in time, in place, after the values were put in the order of the innermost stage.
 * A stage of a fixed-point type divides by its radix before it adds. Source: KISS FFT, manual (what
 * is rounded where); Cooley and Tukey, 1965.
 */

typedef struct {
  MW_T re, im;
} MW_NAME(mw_complex);
#define MW_C MW_NAME(mw_complex)

static inline MW_C MW_NAME(mw_plus)(MW_C a, MW_C b) {
  MW_C sum = {MW_ADD(a.re, b.re), MW_ADD(a.im, b.im)};
  return sum;
}

static inline MW_C MW_NAME(mw_minus)(MW_C a, MW_C b) {
  MW_C rest = {MW_SUB(a.re, b.re), MW_SUB(a.im, b.im)};
  return rest;
}

static inline MW_C MW_NAME(mw_product)(MW_C a, MW_C b) {
  MW_C product = {MW_CROSS_SUB(a.re, b.re, a.im, b.im), MW_CROSS_ADD(a.re, b.im, a.im, b.re)};
  return product;
}

/* x over the radix, turned; a turn by nothing, j = 0, changes no value that was divided. */
static inline MW_C MW_NAME(mw_leg)(MW_C x, int32_t by, const MW_C *turn, int32_t j) {
  MW_C value = {MW_SHARE(x.re, by), MW_SHARE(x.im, by)};
  (void)by;
  return j ? MW_NAME(mw_product)(value, *turn) : value;
}

/* Put `count` complex values, held[0..have) real numbers and zeros behind them, in order: places
 * of the last stage side by side, those of the first farthest apart. */
MW_NOINLINE void MW_NAME(mw_fft_order)(MW_C *out, const MW_T *held, int32_t have, int32_t count,
                                       const int32_t *stages, int32_t stage_count) {
  const int32_t *last = stages + 3 * (stage_count - 1), *stage;
  int32_t digits[16] = {0}, *digit, first = 0, step = last[0];
  for (MW_C *end = out + count; out < end;) {
    MW_ROLLED
    for (int32_t at = 2 * first, left = last[1]; left > 0; left--, out++, at += 2 * step) {
      out->re = at < have ? held[at] : 0;
      out->im = at + 1 < have ? held[at + 1] : 0;
    }
    stage = last, digit = digits;
    MW_ROLLED
    while (stage > stages) {
      stage -= 3;
      first += stage[0];
      if (++*digit < stage[1]) break;
      first -= stage[0] * stage[1];
      *digit++ = 0;
    }
  }
}

MW_NOINLINE void MW_NAME(mw_fft_radix2)(MW_C *data, int32_t groups, int32_t length,
                                        const MW_C *turns) {
  for (int32_t j = 0; j < length; j++) {
    MW_C *at = data + j;
    MW_ROLLED
    for (int32_t g = 0; g < groups; g++, at += 2 * length) {
      MW_C a = MW_NAME(mw_leg)(at[0], 2, turns, 0);
      MW_C b = MW_NAME(mw_leg)(at[length], 2, turns + j * groups, j);
      at[0] = MW_NAME(mw_plus)(a, b);
      at[length] = MW_NAME(mw_minus)(a, b);
    }
  }
}

MW_NOINLINE void MW_NAME(mw_fft_radix4)(MW_C *data, int32_t groups, int32_t length,
                                        const MW_C *turns, int32_t inverse) {
  for (int32_t j = 0; j < length; j++) {
    const MW_C *first = turns + j * groups, *second = first + j * groups;
    const MW_C *third = second + j * groups;
    MW_C *at = data + j;
    MW_ROLLED
    for (int32_t g = 0; g < groups; g++, at += 4 * length) {
      MW_C a = MW_NAME(mw_leg)(at[0], 4, turns, 0);
      MW_C b = MW_NAME(mw_leg)(at[length], 4, first, j);
      MW_C c = MW_NAME(mw_leg)(at[2 * length], 4, second, j);
      MW_C d = MW_NAME(mw_leg)(at[3 * length], 4, third, j);
      MW_C even = MW_NAME(mw_plus)(a, c), odd = MW_NAME(mw_minus)(a, c);
      MW_C total = MW_NAME(mw_plus)(b, d), rest = MW_NAME(mw_minus)(b, d);
      MW_C up = {MW_ADD(odd.re, rest.im), MW_SUB(odd.im, rest.re)};
      MW_C down = {MW_SUB(odd.re, rest.im), MW_ADD(odd.im, rest.re)};
      at[0] = MW_NAME(mw_plus)(even, total);
      at[length] = inverse ? down : up;
      at[2 * length] = MW_NAME(mw_minus)(even, total);
      at[3 * length] = inverse ? up : down;
    }
  }
}

MW_NOINLINE void MW_NAME(mw_fft_radix3)(MW_C *data, int32_t groups, int32_t length,
                                        const MW_C *turns) {
  MW_T sine = turns[groups * length].im;
  for (int32_t j = 0; j < length; j++) {
    const MW_C *first = turns + j * groups, *second = first + j * groups;
    MW_C *at = data + j;
    MW_ROLLED
    for (int32_t g = 0; g < groups; g++, at += 3 * length) {
      MW_C a = MW_NAME(mw_leg)(at[0], 3, turns, 0);
      MW_C b = MW_NAME(mw_leg)(at[length], 3, first, j);
      MW_C c = MW_NAME(mw_leg)(at[2 * length], 3, second, j);
      MW_C total = MW_NAME(mw_plus)(b, c), rest = MW_NAME(mw_minus)(b, c);
      MW_C tilt = {MW_TIMES(rest.re, sine), MW_TIMES(rest.im, sine)};
      MW_C middle = {MW_SUB(a.re, MW_HALF(total.re)), MW_SUB(a.im, MW_HALF(total.im))};
      at[0] = MW_NAME(mw_plus)(a, total);
      at[length].re = MW_SUB(middle.re, tilt.im);
      at[length].im = MW_ADD(middle.im, tilt.re);
      at[2 * length].re = MW_ADD(middle.re, tilt.im);
      at[2 * length].im = MW_SUB(middle.im, tilt.re);
    }
  }
}

static inline MW_C MW_NAME(mw_scaled)(MW_C x, MW_T factor) {
  MW_C scaled = {MW_TIMES(x.re, factor), MW_TIMES(x.im, factor)};
  return scaled;
}

MW_NOINLINE void MW_NAME(mw_fft_radix5)(MW_C *data, int32_t groups, int32_t length,
                                        const MW_C *turns) {
  MW_C one = turns[groups * length], two = turns[2 * groups * length];
  for (int32_t j = 0; j < length; j++) {
    MW_C *at = data + j;
    MW_ROLLED
    for (int32_t g = 0; g < groups; g++, at += 5 * length) {
      MW_C x[5];
      for (int32_t q = 0; q < 5; q++) {
        x[q] = MW_NAME(mw_leg)(at[q * length], 5, turns + q * j * groups, q * j);
      }
      MW_C sum1 = MW_NAME(mw_plus)(x[1], x[4]), rest1 = MW_NAME(mw_minus)(x[1], x[4]);
      MW_C sum2 = MW_NAME(mw_plus)(x[2], x[3]), rest2 = MW_NAME(mw_minus)(x[2], x[3]);
      MW_C outer = MW_NAME(mw_plus)(MW_NAME(mw_scaled)(sum1, one.re),
                                    MW_NAME(mw_scaled)(sum2, two.re));
      MW_C inner = MW_NAME(mw_plus)(MW_NAME(mw_scaled)(sum1, two.re),
                                    MW_NAME(mw_scaled)(sum2, one.re));
      MW_C a = MW_NAME(mw_plus)(MW_NAME(mw_scaled)(rest1, one.im),
                                MW_NAME(mw_scaled)(rest2, two.im));
      MW_C b = MW_NAME(mw_minus)(MW_NAME(mw_scaled)(rest1, two.im),
                                 MW_NAME(mw_scaled)(rest2, one.im));
      outer = MW_NAME(mw_plus)(x[0], outer);
      inner = MW_NAME(mw_plus)(x[0], inner);
      at[0] = MW_NAME(mw_plus)(x[0], MW_NAME(mw_plus)(sum1, sum2));
      at[length].re = MW_SUB(outer.re, a.im), at[length].im = MW_ADD(outer.im, a.re);
      at[2 * length].re = MW_SUB(inner.re, b.im), at[2 * length].im = MW_ADD(inner.im, b.re);
      at[3 * length].re = MW_ADD(inner.re, b.im), at[3 * length].im = MW_SUB(inner.im, b.re);
      at[4 * length].re = MW_ADD(outer.re, a.im), at[4 * length].im = MW_SUB(outer.im, a.re);
    }
  }
}

/* The complex transform of `held`, see mw_fft_order, into data[0..count). */
MW_INLINE void MW_NAME(mw_fft)(MW_C *data, const MW_T *held, int32_t have,
                               const MW_NAME(mw_fft_params) *params, int32_t inverse) {
  const MW_C *turns = (const MW_C *)(const void *)params->twiddles;
  MW_NAME(mw_fft_order)(data, held, have, params->count, params->stages, params->stage_count);
  for (int32_t s = params->stage_count - 1; s >= 0; s--) {
    int32_t groups = params->stages[3 * s], length = params->stages[3 * s + 2];
    switch (params->stages[3 * s + 1]) {
      case 2: MW_NAME(mw_fft_radix2)(data, groups, length, turns); break;
      case 3: MW_NAME(mw_fft_radix3)(data, groups, length, turns); break;
      case 4: MW_NAME(mw_fft_radix4)(data, groups, length, turns, inverse); break;
      default: MW_NAME(mw_fft_radix5)(data, groups, length, turns); break;
    }
  }
}

/* The pair of values k and count - k of a spectrum, taken apart: sum and turned difference. */
static inline void MW_NAME(mw_fft_pair)(MW_C *sum, MW_C *turned, MW_C a, MW_C b, MW_C turn) {
  MW_C low = {MW_SHARE(a.re, 2), MW_SHARE(a.im, 2)};
  MW_C high = {MW_SHARE(b.re, 2), MW_SHARE(MW_SUB(0, b.im), 2)};
  *sum = MW_NAME(mw_plus)(low, high);
  *turned = MW_NAME(mw_product)(MW_NAME(mw_minus)(low, high), turn);
}

/* The spectrum of 2 * count real numbers, in place: what was transformed as count complex ones. */
MW_NOINLINE void MW_NAME(mw_fft_split)(MW_C *data, int32_t count, const MW_C *turns) {
  MW_C *low = data, *high = data + count, sum, turned;
  MW_T re = MW_SHARE(data[0].re, 2), im = MW_SHARE(data[0].im, 2);
  low->re = MW_ADD(re, im);
  high->re = MW_SUB(re, im);
  low->im = high->im = 0;
  MW_ROLLED
  while (++low <= --high) {
    MW_NAME(mw_fft_pair)(&sum, &turned, *low, *high, *turns++);
    low->re = MW_HALF_ADD(sum.re, turned.re);
    low->im = MW_HALF_ADD(sum.im, turned.im);
    high->re = MW_HALF_SUB(sum.re, turned.re);
    high->im = MW_HALF_SUB(turned.im, sum.im);
  }
}

/* The inverse of mw_fft_split, but for scale: [count + 1] to [count]. */
MW_NOINLINE void MW_NAME(mw_fft_join)(MW_C *out, const MW_C *in, int32_t count,
                                      const MW_C *turns) {
  const MW_C *low = in, *high = in + count;
  MW_C *to = out, *back = out + count, sum, turned;
  to->re = MW_SHARE(MW_ADD(low->re, high->re), 2);
  to->im = MW_SHARE(MW_SUB(low->re, high->re), 2);
  MW_ROLLED
  while (++to <= --back) {
    MW_NAME(mw_fft_pair)(&sum, &turned, *++low, *--high, *turns++);
    *to = MW_NAME(mw_plus)(sum, turned);
    back->re = MW_SUB(sum.re, turned.re);
    back->im = MW_SUB(turned.im, sum.im);
  }
}

/* [rows, in_size] to [rows, 2 * count + 2], in place in out. */
MW_INLINE void MW_NAME(mw_fft_forward)(MW_T *out, const MW_T *in,
                                       const MW_NAME(mw_fft_params) *params) {
  const MW_C *turns = (const MW_C *)(const void *)params->last;
  MW_C *data = (MW_C *)(void *)out;
  for (int32_t r = 0; r < params->rows; r++, in += params->in_size, data += params->count + 1) {
    MW_NAME(mw_fft)(data, in, params->in_size, params, 0);
    MW_NAME(mw_fft_split)(data, params->count, turns);
  }
}

/* [rows, 2 * count + 2] to [rows, 2 * count]; `packed` holds 2 * count values. */
MW_INLINE void MW_NAME(mw_fft_backward)(MW_T *out, const MW_T *in,
                                        const MW_NAME(mw_fft_params) *params, MW_T *packed) {
  const MW_C *turns = (const MW_C *)(const void *)params->last;
  const MW_C *from = (const MW_C *)(const void *)in;
  int32_t count = params->count;
  for (int32_t r = 0; r < params->rows; r++, from += count + 1, out += 2 * count) {
    MW_NAME(mw_fft_join)((MW_C *)(void *)packed, from, count, turns);
    MW_NAME(mw_fft)((MW_C *)(void *)out, packed, 2 * count, params, 1);
  }
}

#undef MW_C
#undef MW_T
#undef MW_NAME
#undef MW_ADD
#undef MW_SUB
#undef MW_HALF
#undef MW_HALF_ADD
#undef MW_HALF_SUB
#undef MW_TIMES
#undef MW_SHARE
#undef MW_CROSS_SUB
#undef MW_CROSS_ADD
