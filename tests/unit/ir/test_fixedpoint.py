"""Integer arithmetic against exact rational arithmetic, and pinned values of what it composes."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milliwatt.ir import fixedpoint as fx

INT32 = st.integers(-(2**31), 2**31 - 1)


def half_away(value: Fraction) -> int:
    """Nearest integer, halves away from zero, exactly."""
    size = math.floor(abs(value) + Fraction(1, 2))
    return size if value >= 0 else -size


def half_up(value: Fraction) -> int:
    """Nearest integer, halves towards plus infinity, exactly."""
    return math.floor(value + Fraction(1, 2))


def wrap(value: int) -> int:
    """Two's complement."""
    return (value + 2**31) % 2**32 - 2**31


@given(st.floats(2**-40, 2**29))
def test_quantize_multiplier_is_the_nearest(real: float) -> None:
    """multiplier / 2**31 * 2**shift is within half a step of the real, multiplier normalised."""
    multiplier, shift = fx.quantize_multiplier(real)
    if multiplier == 0:
        assert (shift, real < 2.0**-31) == (0, True)
        return
    assert 2**30 <= multiplier < 2**31
    value = Fraction(multiplier) * Fraction(2) ** (shift - 31)
    step = Fraction(2) ** (shift - 31)
    assert abs(value - Fraction(real)) <= step / 2


@pytest.mark.parametrize(
    ("real", "pair"),
    [
        (0.0, (0, 0)),
        (0.5, (2**30, 0)),
        (1.0, (2**30, 1)),
        (0.1, (1717986918, -3)),
        (1 - 2.0**-33, (2**30, 1)),  # rounds up to 1.0, which is renormalised
        (2.0**-33, (0, 0)),
        (2.0**-32, (2**30, -31)),
        (2.0**31, (2**31 - 1, 30)),
    ],
)
def test_quantize_multiplier_values(real: float, pair: tuple[int, int]) -> None:
    """The edges: zero, one, underflow, saturation."""
    assert fx.quantize_multiplier(real) == pair


@given(INT32, INT32)
def test_doubling_high_mul(a: int, b: int) -> None:
    """a * b / 2**31 rounded half up, saturated."""
    wanted = min(half_up(Fraction(a * b, 2**31)), 2**31 - 1)
    assert int(fx.doubling_high_mul(np.array(a), np.array(b))) == wanted


def test_doubling_high_mul_saturates() -> None:
    """The one product that does not fit."""
    assert int(fx.doubling_high_mul(np.array(-(2**31)), np.array(-(2**31)))) == 2**31 - 1


@given(INT32, st.integers(0, 31))
def test_rounding_shift_right(x: int, exponent: int) -> None:
    """x / 2**exponent, halves away from zero."""
    wanted = half_away(Fraction(x, 2**exponent))
    assert int(fx.rounding_shift_right(np.array(x), exponent)) == wanted


@given(INT32, st.integers(2**30, 2**31 - 1), st.integers(-31, 30))
def test_multiply_by_quantized_multiplier(x: int, multiplier: int, shift: int) -> None:
    """Two roundings: the high product half up, then the right shift half away from zero."""
    shifted = wrap(x << max(shift, 0))
    high = min(half_up(Fraction(shifted * multiplier, 2**31)), 2**31 - 1)
    wanted = half_away(Fraction(high, 2 ** max(-shift, 0)))
    got = fx.multiply_by_quantized_multiplier(np.array(x), multiplier, shift)
    assert int(got) == wanted


def test_double_rounding_is_not_single_rounding() -> None:
    """A value where the two conventions differ, so that nobody replaces one by the other."""
    x, multiplier, shift = 5, 3 * 2**29, -3
    exact = Fraction(x * multiplier, 2**31) / 8
    assert half_away(exact) == 0
    assert int(fx.multiply_by_quantized_multiplier(np.array(x), multiplier, shift)) == 1


@given(INT32, st.integers(0, 31))
def test_saturating_shift_left(x: int, bits: int) -> None:
    """x * 2**bits, clipped."""
    wanted = max(-(2**31), min(2**31 - 1, x * 2**bits))
    assert int(fx.saturating_shift_left(np.array(x), bits)) == wanted


@given(st.integers(-(2**40), 2**40))
def test_wrap32(x: int) -> None:
    """Two's complement wrap."""
    assert int(fx.wrap32(np.array(x))) == wrap(x)


@pytest.mark.parametrize(("value", "wanted"), [(0.5, 1), (-0.5, -1), (1.49, 1), (-2.5, -3), (0, 0)])
def test_round_half_away(value: float, wanted: int) -> None:
    """C's round."""
    assert fx.round_half_away(value) == wanted


@given(st.integers(0, 2**31 - 1))
def test_exp_on_negative_values_is_close(x: int) -> None:
    """exp of a Q5.26 number, absolute error below 2**-20."""
    got = int(fx.exp_on_negative_values(np.array(-x), 5)) / 2**31
    assert abs(got - math.exp(-x / 2**26)) < 2**-20


@given(st.integers(-(2**31) + 1, 2**31 - 1))
def test_logistic_and_tanh_are_close_and_symmetric(x: int) -> None:
    """Within 2**-18 of the real function on Q4.27; tanh is odd, logistic mirrors around 1/2."""
    real = x / 2**27
    assert abs(int(fx.logistic(np.array(x))) / 2**31 - 1 / (1 + math.exp(-real))) < 2**-18
    assert abs(int(fx.tanh(np.array(x))) / 2**31 - math.tanh(real)) < 2**-18
    assert int(fx.tanh(np.array(-x))) == -int(fx.tanh(np.array(x)))
    if x:
        assert int(fx.logistic(np.array(x))) + int(fx.logistic(np.array(-x))) == 2**31 - 1


@given(st.integers(1, 2**31 - 1))
def test_reciprocal_is_close(x: int) -> None:
    """mantissa * 2**-bits is 1/x for Q12.19, relative error below 2**-20."""
    mantissa, bits_over_unit = fx.reciprocal(np.array(x), 12)
    got = int(mantissa) / 2**31 * 2.0 ** -int(bits_over_unit)
    assert abs(got * (x / 2**19) - 1) < 2**-20


@pytest.mark.parametrize(
    ("x", "wanted"),
    [(-1, 2147483124), (-(2**26), 790015308), (-123456789, 341177383), (-(2**31) + 1, 0)],
)
def test_exp_golden(x: int, wanted: int) -> None:
    """Pinned integers: a change of constant, order or rounding shows here before any model does.

    That they are the reference kernels' integers is what the conformance tests establish.
    """
    assert int(fx.exp_on_negative_values(np.array(x), 5)) == wanted


@pytest.mark.parametrize(
    ("x", "logistic", "tanh"),
    [
        (1, 1073741948, 260),
        (2**27, 1569936226, 1635510876),
        (-(2**27), 577547421, -1635510876),
        (300000000, 1939959380, 2098890980),
        (-(2**30), 720155, -2147483164),
    ],
)
def test_logistic_and_tanh_golden(x: int, logistic: int, tanh: int) -> None:
    """Pinned integers, as above."""
    assert int(fx.logistic(np.array(x))) == logistic
    assert int(fx.tanh(np.array(x))) == tanh


def test_functions_at_the_ends() -> None:
    """Exact values at 0 and far out."""
    assert int(fx.exp_on_negative_values(np.array(0), 5)) == 2**31 - 1
    assert int(fx.logistic(np.array(0))) == 2**30
    assert int(fx.tanh(np.array(0))) == 0
    assert int(fx.logistic(np.array(2**31 - 1))) > 2**31 - 2**10
    assert int(fx.tanh(np.array(-(2**31) + 1))) < -(2**31) + 2**10


@pytest.mark.parametrize("shift", [-3, 0, 5, 23])
def test_input_radius_is_the_last_that_fits(shift: int) -> None:
    """radius * 2**shift is representable in Q5.26, one more is not."""
    radius = fx.input_radius(5, shift)
    limit = 31 * 2**26
    assert Fraction(radius) * Fraction(2) ** shift <= limit
    assert Fraction(radius + 1) * Fraction(2) ** shift > limit
