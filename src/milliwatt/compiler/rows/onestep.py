"""Requantization in one multiply-accumulate, proven equal to TFLM's two roundings.

TFLM scales an accumulator by a doubling high product and a rounding shift, two roundings. Its
result is a step function of the accumulator that is only ever looked at in 255 places: where the
int8 result goes from k - 1 to k. `solve` looks for integers (bias, factor, offset) with

    ((accumulator + bias) * factor >> 32) + offset, saturated to int8

stepping at the same 255 accumulators: two instructions, SMMLA and SSAT. That is the recognition of
a digital straight line (Debled-Rennesson and Reveilles, 1995): every step gives two inequalities in
slope and intercept. Results of both signs around the zero point have a step of their own at zero
(halves are rounded away from it) and often no such line; then `two_step` is what kernels compute.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SLOPES = 64
"""How many factors to either side of the scale are tried."""
INTERCEPTS = 2048
"""How many offsets to either side of the zero point are tried."""


@dataclass(frozen=True)
class OneStep:
    """saturate8(((accumulator + bias) * factor >> 32) + offset); bias and offset are small."""

    bias: int
    factor: int
    offset: int


@dataclass(frozen=True)
class TwoStep:
    """x = (2 * accumulator * multiplier + 2^31) >> 32 (SMMULR);
    saturate8((x + (x >> 31) + half) >> right), right >= 1; half holds the zero point."""

    multiplier: int
    half: int
    right: int


def steps(multiplier: int, shift: int, zero_point: int) -> np.ndarray:
    """s64 [255]: the smallest accumulator whose result is at least k, for k = -127..127.

    The scale is multiplier / 2^31 * 2^shift, shift <= 0, rounded twice as in kernels/mw_fixed.h.
    """
    right = -shift
    found = []
    for k in range(-127, 128):
        level = k - zero_point
        # floor((h + 2^(right-1) - (h < 0)) / 2^right) >= level
        half = (1 << (right - 1)) - (level <= 0) if right else 0
        high = (level << right) - half
        # floor((acc * multiplier + 2^30) / 2^31) >= high
        found.append(-((-((high << 31) - (1 << 30))) // multiplier))
    return np.array(found, dtype=object)


def solve(
    multiplier: int,
    shift: int,
    zero_point: int,
    reach: tuple[int, int],
    *,
    limit: int = 2**30,
) -> OneStep | None:
    """The one-step form of a scale for accumulators in `reach` (both ends included).

    Args: limit: |accumulator + bias| stays below it. Returns None where there is no such form.
    """
    if multiplier < 2**30 or shift > 0 or not -limit < reach[0] <= reach[1] < limit:
        return None
    low, high = reach
    at = steps(multiplier, shift, zero_point)
    level = np.arange(-127, 128).astype(object)
    # A step outside the reach only says that the line is on this side of it there.
    upper = at <= high
    first, second = np.maximum(at[upper], low), level[upper]
    lower = at > low
    third, fourth = np.minimum(at[lower] - 1, high), level[lower]
    nominal = (multiplier << 1) >> -shift
    for distance in range(SLOPES):
        for factor in {nominal + distance, nominal - distance}:
            if not 0 < factor < 2**31:
                continue
            # first * factor + start >= second * 2^32 and third * factor + start < fourth * 2^32
            start = max((second << 32) - first * factor, default=-(low * factor) - (129 << 32))
            stop = min((fourth << 32) - third * factor, default=(128 << 32) - high * factor)
            if start < stop:
                found = _intercept(factor, int(start), int(stop), zero_point, reach, limit)
                if found is not None:
                    return found
    return None


def _intercept(
    factor: int, start: int, stop: int, zero_point: int, reach: tuple[int, int], limit: int
) -> OneStep | None:
    """The smallest |bias| with start <= bias * factor + offset * 2^32 < stop."""
    offsets = zero_point + np.arange(-INTERCEPTS, INTERCEPTS + 1, dtype=np.int64)
    wanted = np.int64(start) - (offsets << 32)
    bias = -((-wanted) // factor)
    fits = bias * factor - wanted < stop - start
    fits &= (reach[0] + bias > -limit) & (reach[1] + bias < limit)
    if not fits.any():
        return None
    best = np.flatnonzero(fits)[np.abs(bias[fits]).argmin()]
    return OneStep(int(bias[best]), factor, int(offsets[best]))


def two_step(multiplier: int, shift: int, zero_point: int) -> TwoStep | None:
    """The two-step form of a scale below one half; None for others."""
    right = -shift
    if multiplier < 2**30 or not 1 <= right <= 22:
        return None
    return TwoStep(multiplier, (1 << (right - 1)) + (zero_point << right), right)
