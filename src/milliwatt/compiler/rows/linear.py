"""Quantized sums as one plane over two bytes, proven equal to TFLM's three roundings.

TFLM brings both operands to a common scale and the sum to the result's: three scalings of two
roundings each. All of it is a function of two bytes, 65,536 results, that rises along a plane.
`solve_plane` looks for integers with

    y = start + (a * a_factor >> 8) + (b * b_factor >> 8)
    result = saturate8(y >> 20)                                     steps = 1
    result = saturate8((y - (y >>> 25) + half) >> 20)               steps = 2

(>>> is the shift of an unsigned word) for every pair. The second form lowers negative sums by 2^-13
of a result: halves, which TFLM rounds away from zero, then fall to the right side on both sides.

The pairs are 131,072 inequalities in two slopes and an intercept. At given slopes the intercept's
interval is exact, and where it is empty the two pairs that empty it cut a half plane off the slopes
that are left: a cutting-plane method (Levin 1965: through the centre of gravity each cut takes a
third or more). Scales drawn at random have the first form in 99 % of cases, the second in the rest;
scales that are simple fractions of each other may have neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BITS = 20
"""Fraction bits of the sum; the kernel's SSAT has them in its instruction."""
SIGN = 25
"""The second form's shift."""
CUTS = 60
"""The slopes that are left shrink by a third a cut: by 10^10 in all."""
_NEAR = 2.0**-14
_EDGE = 2**62
_BYTES = np.arange(-128, 128)

Point = tuple[float, float]


@dataclass(frozen=True)
class Plane:
    """The members of mw_linear_s8 in kernels/mw_op_dsp_elementwise.h."""

    steps: int
    a_factor: int
    b_factor: int
    start: int
    half: int = 0


def fits(slopes: tuple[float, float]) -> bool:
    """Whether 32 bits hold the sums of a plane of these slopes, or nearly: their sum is below 8."""
    return abs(slopes[0]) + abs(slopes[1]) < 1 << (31 - 8 - BITS)


def solve_plane(
    table: np.ndarray, slopes: tuple[float, float], zero_points: tuple[int, int]
) -> Plane | None:
    """The plane through a sum's results, in the first form if it has one.

    Args: table: s8 [256, 256], results by a + 128 and b + 128. slopes: real result steps a step of
    a and of b. zero_points: of a and b. Returns None where no plane was found, or 32 bits are short
    for it: slopes whose sum is above 8.
    """
    if not np.isfinite(slopes).all() or sum(map(abs, slopes)) >= 2 ** (31 - 8 - BITS):
        return None
    wanted = table.astype(np.int64) << BITS
    return _cut(wanted, slopes, zero_points, 1) or _cut(wanted, slopes, zero_points, 2)


def plane_sums(plane: Plane) -> np.ndarray:
    """s64 [256, 256]: what the kernel shifts by BITS and saturates."""
    return _sums(plane.a_factor, plane.b_factor, plane.start, plane.steps) + plane.half


def _sums(a_factor: int, b_factor: int, start: int, steps: int) -> np.ndarray:
    y = start + (a_factor * _BYTES[:, None] >> 8) + (b_factor * _BYTES[None, :] >> 8)
    if steps == 2:
        y = y - ((y & 0xFFFFFFFF) >> SIGN)
    return y


def _cut(
    wanted: np.ndarray, slopes: tuple[float, float], zero_points: tuple[int, int], steps: int
) -> Plane | None:
    """The plane of one form, or None when no slopes are left."""
    x, y = (slope * 2 ** (BITS + 8) for slope in slopes)
    near = max(abs(x), abs(y)) * _NEAR + 16
    left = [(x - near, y - near), (x + near, y - near), (x + near, y + near), (x - near, y + near)]
    lowest, highest = -128 << BITS, 127 << BITS
    for _ in range(CUTS):
        a, b = round(x), round(y)
        start = -((zero_points[0] * a + zero_points[1] * b) >> 8) if steps == 2 else 0
        missing = wanted - _sums(a, b, start, steps)
        lower = np.where(wanted > lowest, missing, -_EDGE)
        upper = np.where(wanted < highest, missing, _EDGE)
        low_at, high_at = int(lower.argmax()), int(upper.argmin())
        low, high = int(lower.flat[low_at]), int(upper.flat[high_at]) + (1 << BITS) - 1
        if low <= high:
            middle = (low + high) // 2
            form = (start + middle, 0) if steps == 1 else (start, middle)
            return _in_range(Plane(steps, a, b, *form))
        # The sum of pair `high_at` has to grow by low - high against that of `low_at`; half of it
        # is asked for, as the sums are rounded.
        toward = ((low_at // 256 - high_at // 256) / 256, (low_at % 256 - high_at % 256) / 256)
        if low_at == high_at:
            return None  # rounding errors alone
        least = toward[0] * a + toward[1] * b + (low - high) / 2
        left = _clip(left, toward, least)
        if len(left) < 3:
            return None
        x, y = _centre(left)
    return None


def _in_range(plane: Plane) -> Plane | None:
    """The plane, if 32 bits hold its numbers and its sums with and without `half`."""
    numbers = np.array([plane.a_factor, plane.b_factor, plane.start, plane.half])
    sums = plane_sums(plane)
    if max(abs(numbers).max(), abs(sums).max(), abs(sums - plane.half).max()) >= 2**31 - 1024:
        return None
    return plane


def _clip(polygon: list[Point], toward: Point, least: float) -> list[Point]:
    """The part of a convex polygon where toward . point >= least."""
    height = [x * toward[0] + y * toward[1] - least for x, y in polygon]
    kept: list[Point] = []
    for i, (here, point) in enumerate(zip(height, polygon, strict=True)):
        there, before = height[i - 1], polygon[i - 1]
        if (here >= 0) != (there >= 0):
            t = there / (there - here)
            kept.append(
                (before[0] + t * (point[0] - before[0]), before[1] + t * (point[1] - before[1]))
            )
        if here >= 0:
            kept.append(point)
    return kept


def _centre(polygon: list[Point]) -> Point:
    """The centre of gravity; of the corners where there is no area."""
    corners = np.array(polygon)
    origin = corners.mean(axis=0)
    here = corners - origin
    before = np.roll(here, 1, axis=0)
    area = before[:, 0] * here[:, 1] - here[:, 0] * before[:, 1]
    if abs(area.sum()) > 1:
        origin = origin + ((before + here) * area[:, None]).sum(axis=0) / (3 * area.sum())
    return float(origin[0]), float(origin[1])
