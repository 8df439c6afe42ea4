"""Integer arithmetic of quantized inference, vectorised over NumPy int64 arrays.

Every function gives the same integers as the TensorFlow Lite Micro reference kernels (double
rounding). Source: TensorFlow Lite 8-bit quantization specification; Jacob et al., "Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, appendix B;
the fixed-point exponential, logistic and tanh follow gemmlowp's published algorithm.

Qm.n below: a 32-bit integer with m integer bits and n = 31 - m fractional bits.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

INT32_MAX = 2**31 - 1
INT32_MIN = -(2**31)
Ints = npt.NDArray[np.int64]


def quantize_multiplier(real: float) -> tuple[int, int]:
    """Split a positive real into (multiplier, shift): real ~ multiplier / 2**31 * 2**shift.

    multiplier is in [2**30, 2**31) or 0. A real too small to represent gives (0, 0); too large,
    even infinite, saturates at shift 30.
    """
    if real == 0.0:
        return 0, 0
    if real == math.inf:
        return INT32_MAX, 30
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier //= 2
        shift += 1
    if shift < -31:
        return 0, 0
    if shift > 30:
        return INT32_MAX, 30
    return multiplier, shift


def quantize_multipliers(reals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`quantize_multiplier` over f64 [channels]: multipliers and shifts, both s64 [channels]."""
    pairs = [quantize_multiplier(float(r)) for r in np.atleast_1d(reals)]
    return np.array([m for m, _ in pairs], np.int64), np.array([s for _, s in pairs], np.int64)


def round_half_away(value: float) -> int:
    """Nearest integer, halves away from zero (C's `round`)."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def wrap32(x: Ints) -> Ints:
    """Two's complement wrap to 32 bits, kept in int64."""
    return (x + 2**31) % 2**32 - 2**31


def doubling_high_mul(a: Ints | int, b: Ints | int) -> Ints:
    """round(a * b / 2**31), halves up, saturating where both are -2**31."""
    high: Ints = np.minimum((np.asarray(a, np.int64) * b + (1 << 30)) >> 31, INT32_MAX)
    return high


def rounding_shift_right(x: Ints, exponent: Ints | int) -> Ints:
    """x / 2**exponent rounded to nearest, halves away from zero; exponent >= 0."""
    x = np.asarray(x, np.int64)
    half = np.where(np.asarray(exponent) > 0, np.int64(1) << np.maximum(exponent, 1) - 1, 0)
    nudged = x + half - ((x < 0) & (np.asarray(exponent) > 0))
    return nudged >> np.asarray(exponent, np.int64)


def multiply_by_quantized_multiplier(x: Ints, multiplier: Ints | int, shift: Ints | int) -> Ints:
    """x * multiplier / 2**31 * 2**shift with the reference's two roundings; int32 in, int32 out."""
    left = np.maximum(shift, 0)
    right = np.maximum(-np.asarray(shift), 0)
    shifted = wrap32(np.asarray(x, np.int64) << left)
    return rounding_shift_right(doubling_high_mul(shifted, np.asarray(multiplier, np.int64)), right)


def reduced_multiplier(multiplier: Ints | int) -> Ints:
    """A multiplier rounded to 15 bits, halves up, at most 0x7FFF."""
    reduced: Ints = np.minimum((np.asarray(multiplier, np.int64) + (1 << 15)) >> 16, 0x7FFF)
    return reduced


def multiply_wide(x: Ints, multiplier: Ints | int, shift: Ints | int) -> Ints:
    """x * multiplier / 2**31 * 2**shift of a 64-bit x with the reference's one rounding, halves up.

    The multiplier is first rounded to 15 bits. The result wraps to 32 bits; |x| < 2**47 and
    shift < 8 are the reference's contract. Source: TFLite's 16x8 specification.
    """
    right = np.maximum(15 - np.asarray(shift, np.int64), 1)
    half: Ints = np.left_shift(1, right - 1, dtype=np.int64)
    raised: Ints = np.asarray(x, np.int64) * reduced_multiplier(multiplier)
    return wrap32((raised + half) >> right)


def saturating_shift_left(x: Ints, bits: int) -> Ints:
    """x * 2**bits clipped to 32 bits."""
    clipped: Ints = np.clip(np.asarray(x, np.int64) << bits, INT32_MIN, INT32_MAX)
    return clipped


def _half_sum_with_one(x: Ints) -> Ints:
    """(x + 1.0) / 2 in Q0.31, halves away from zero."""
    total = np.asarray(x, np.int64) + INT32_MAX
    return np.where(total >= 0, (total + 1) // 2, -((1 - total) // 2))


def _reciprocal_newton(half_denominator: Ints) -> Ints:
    """1 / (2 * half_denominator) in Q2.29 by three Newton steps from 48/17 - 32/17 d."""
    x = wrap32(1515870810 + doubling_high_mul(half_denominator, -1010580540))
    for _ in range(3):
        error = (1 << 29) - doubling_high_mul(half_denominator, x)
        x = wrap32(x + saturating_shift_left(doubling_high_mul(x, error), 2))
    return x


def one_over_one_plus_x(x: Ints) -> Ints:
    """1 / (1 + x) for x in [0, 1), Q0.31 in and out."""
    return saturating_shift_left(_reciprocal_newton(_half_sum_with_one(x)), 1)


def _one_minus_x_over_one_plus_x(x: Ints) -> Ints:
    """(1 - x) / (1 + x) for x in [0, 1), Q0.31 in and out."""
    reciprocal = _reciprocal_newton(_half_sum_with_one(x))
    return saturating_shift_left(reciprocal - (1 << 29), 2)


def _exp_minus_quarter_to_zero(x: Ints) -> Ints:
    """exp(x) for x in [-1/4, 0), Q0.31: a fourth-order polynomial around -1/8."""
    constant, third = 1895147668, 715827883
    x = np.asarray(x, np.int64) + (1 << 28)
    x2 = doubling_high_mul(x, x)
    x3 = doubling_high_mul(x2, x)
    x4_4 = rounding_shift_right(doubling_high_mul(x2, x2), 2)
    tail = rounding_shift_right(doubling_high_mul(x4_4 + x3, third) + x2, 1)
    return wrap32(constant + doubling_high_mul(constant, x + tail))


# exp(-2**k) in Q0.31 for k = -2 .. 4: the barrel shifter's factors.
_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def exp_on_negative_values(x: Ints, integer_bits: int) -> Ints:
    """exp(x) for x <= 0 in Qm.n with m = `integer_bits` <= 5; the result is Q0.31."""
    x = np.asarray(x, np.int64)
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    low = (x & (quarter - 1)) - quarter
    result = _exp_minus_quarter_to_zero(saturating_shift_left(low, integer_bits))
    remainder = low - x
    for exponent, factor in enumerate(_EXP_FACTORS, start=-2):
        if integer_bits > exponent:
            bit = 1 << (fraction_bits + exponent)
            result = np.where(remainder & bit, doubling_high_mul(result, factor), result)
    return np.where(x == 0, INT32_MAX, result)


def logistic(x: Ints, integer_bits: int = 4) -> Ints:
    """1 / (1 + exp(-x)), x in Qm.n, result in Q0.31."""
    x = np.asarray(x, np.int64)
    positive = one_over_one_plus_x(exp_on_negative_values(-np.abs(x), integer_bits))
    result = np.where(x > 0, positive, INT32_MAX - positive)
    return np.where(x == 0, 1 << 30, result)


def tanh(x: Ints, integer_bits: int = 4) -> Ints:
    """tanh(x), x in Qm.n, result in Q0.31."""
    x = np.asarray(x, np.int64)
    # exp(-2|x|): the same bits read with one more integer bit.
    size = _one_minus_x_over_one_plus_x(exp_on_negative_values(-np.abs(x), integer_bits + 1))
    return np.where(x == 0, 0, np.where(x < 0, -size, size))


def input_radius(integer_bits: int, left_shift: int) -> int:
    """Largest input whose rescaled value still fits Qm.n: beyond it the function is saturated."""
    return math.floor(
        ((1 << integer_bits) - 1) * (1 << (31 - integer_bits)) / math.ldexp(1.0, left_shift)
    )


def reciprocal(x: Ints, integer_bits: int) -> tuple[Ints, Ints]:
    """1 / x for positive x in Qm.n: (mantissa Q0.31, bits over unit)."""
    x = np.asarray(x, np.int64)
    headroom = 32 - np.floor(np.log2(x)).astype(np.int64) - 1
    mantissa = one_over_one_plus_x((x << headroom) - (1 << 31) & 0xFFFFFFFF)
    return mantissa, integer_bits - headroom


def inverse_square_root(x: Ints) -> tuple[Ints, Ints]:
    """1 / sqrt(x) of integers 0 <= x < 2**31, as (multiplier, shift); 0 counts as 1.

    Five Newton steps from 1 in Q3.28 on x scaled to [1/4, 1) by powers of 4, then sqrt(1/2).
    """
    x = np.asarray(x, np.int64)
    bits = np.ceil(np.log2(np.maximum(x, 2) + 1.0)).astype(np.int64)
    down = np.maximum((bits - 28) // 2, 0)
    scaled = np.maximum(x, 2) >> 2 * down
    # Pairs of bits to the left: x ends up in [2**27, 2**29).
    up = np.where(down > 0, 0, (31 - bits) // 2 - 1)
    half_x = rounding_shift_right(scaled << 2 * up >> 1, 1)
    root = np.full(x.shape, 1 << 28, np.int64)
    for _ in range(5):
        cube = saturating_shift_left(doubling_high_mul(doubling_high_mul(root, root), root), 6)
        step = doubling_high_mul(3 << 27, root) - doubling_high_mul(half_x, cube)
        root = saturating_shift_left(step, 3)
    root = doubling_high_mul(root, _SQRT_HALF)
    right = 11 + down - up
    multiplier = np.where(x > 1, root << np.maximum(-right, 0), INT32_MAX)
    return multiplier, np.where(x > 1, -np.maximum(right, 0), 0)


_LN_2, _SQRT_HALF, _FOURTH_ROOT_HALF = 1488522236, 1518500250, 1805811301
# Of the rational function that is a logarithm near 1, times powers of the fourth root of 2.
_ALPHA_N, _ALPHA_D, _ALPHA_I, _ALPHA_F = 117049297, 127690142, 1057819769, 638450708


def log_from_one(x: Ints, integer_bits: int, out_bits: int) -> Ints:
    """ln(x) for x >= 1 in Qm.n with m = `integer_bits`; the result has `out_bits` integer bits.

    x = r 2**k with r around the fourth root of 1/2, chosen from two that differ by sqrt(1/2).
    """
    x = np.asarray(x, np.int64)
    fraction, quarter = 30 - out_bits, 1 << (28 - out_bits)
    headroom = _headroom(x)
    first = saturating_shift_left(doubling_high_mul(x << headroom, _SQRT_HALF), 1)
    first_power = (integer_bits - headroom - 1 << fraction) + quarter
    other = _headroom(doubling_high_mul(x, _SQRT_HALF))
    second = np.minimum(x << other, INT32_MAX)
    second_power = (integer_bits - other << fraction) - quarter
    r = np.minimum(first, second)
    power = np.maximum(first_power, second_power)
    p = (r + _FOURTH_ROOT_HALF + 1) >> 1
    q = 2 * (r - _FOURTH_ROOT_HALF)
    square = doubling_high_mul(q, q)
    over = doubling_high_mul(q, r) + doubling_high_mul(doubling_high_mul(q, square), _ALPHA_N)
    inner = _ALPHA_I + q + doubling_high_mul(_ALPHA_D, square)
    under = doubling_high_mul(p, inner) + doubling_high_mul(_ALPHA_F, q)
    near_one = doubling_high_mul(
        rounding_shift_right(over, out_bits + 1), one_over_one_plus_x(under)
    )
    return saturating_shift_left(doubling_high_mul(power, _LN_2) + near_one, 1)


def _headroom(x: Ints) -> Ints:
    """Bits that positive x < 2**31 can be shifted to the left by."""
    return 30 - np.floor(np.log2(x)).astype(np.int64)
