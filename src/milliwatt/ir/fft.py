"""The FFT of TFLM's audio front end in NumPy: factors, twiddles and every rounding.

It computes what KISS FFT 1.3 does in 16 bits, 32 bits and float32: decimation in time, radix 4
first, then 2, 3 and up; a fixed-point stage divides by its radix before it adds, so that nothing
but the largest signals overflows, and those wrap. A real transform of n samples is a complex one of
n / 2, then one more stage. Source: M. Borgerding, KISS FFT, manual; Cooley and Tukey, 1965.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import numpy as np

from milliwatt.ir.types import DType

Pair = tuple[np.ndarray, np.ndarray]
"""Complex values: real parts, imaginary parts."""


@dataclass(frozen=True)
class Arithmetic:
    """Numbers as one element type does them; integers are held in int64 and wrap when stored."""

    dtype: DType

    @property
    def fraction(self) -> int:
        """Bits after the point: a twiddle of 1 is 2**fraction - 1."""
        return self.dtype.bits - 1

    def stored(self, x: np.ndarray) -> np.ndarray:
        """`x` as memory keeps it: integers wrap."""
        if self.dtype.is_float:
            return x
        half = 1 << self.fraction
        wrapped: np.ndarray = ((x + half) & (2 * half - 1)) - half
        return wrapped

    def rounded(self, product: np.ndarray) -> np.ndarray:
        """A product or a sum of them back at one value's scale, halves up."""
        if self.dtype.is_float:
            return product
        return self.stored((product + (1 << (self.fraction - 1))) >> self.fraction)

    def divided(self, x: np.ndarray, by: int) -> np.ndarray:
        """x / by, through the rounded reciprocal; floats are left as they are."""
        return x if self.dtype.is_float else self.rounded(x * self.share(by))

    def share(self, by: int) -> int:
        """1 / by as a factor of `divided`."""
        return ((1 << self.fraction) - 1) // by

    def half(self, x: np.ndarray) -> np.ndarray:
        """x / 2; integers round down."""
        return x * np.float32(0.5) if self.dtype.is_float else x >> 1

    def product(self, a: Pair, b: Pair) -> Pair:
        """The complex product a * b."""
        return (
            self.rounded(a[0] * b[0] - a[1] * b[1]),
            self.rounded(a[0] * b[1] + a[1] * b[0]),
        )

    def turned(self, phases: np.ndarray) -> Pair:
        """exp(i * phase) for phases in radians."""
        parts = np.cos(phases), np.sin(phases)
        if self.dtype.is_float:
            return parts[0].astype(np.float32), parts[1].astype(np.float32)
        top = (1 << self.fraction) - 1
        # Double precision holds 31 bits and their rounding exactly.
        return (
            np.floor(0.5 + top * parts[0]).astype(np.int64),
            np.floor(0.5 + top * parts[1]).astype(np.int64),
        )


@dataclass(frozen=True)
class Stage:
    """`groups` transforms of `radix` x `length`, side by side."""

    groups: int
    radix: int
    length: int


@functools.cache
def stages(count: int) -> tuple[Stage, ...]:
    """The stages of a complex transform of `count` values, the outermost first."""
    found, left, radix, groups = [], count, 4, 1
    while True:
        while left % radix:
            radix = {4: 2, 2: 3}.get(radix, radix + 2)
            if radix > math.isqrt(count):
                radix = left
        left //= radix
        found.append(Stage(groups, radix, left))
        groups *= radix
        if left <= 1:
            return tuple(found)


def twiddles(count: int, kind: Arithmetic, inverse: bool) -> Pair:
    """exp(-+ 2 pi i k / count) for k below `count`."""
    sign = 2.0 if inverse else -2.0
    return kind.turned(sign * math.pi * np.arange(count) / count)


def real_twiddles(count: int, kind: Arithmetic, inverse: bool) -> Pair:
    """What the last stage of a real transform of 2 * `count` samples turns by, [count // 2]."""
    sign = 1.0 if inverse else -1.0
    return kind.turned(sign * math.pi * (np.arange(1, count // 2 + 1) / count + 0.5))


def order(count: int) -> np.ndarray:
    """Which value each place of the first (innermost) stage takes, [count]."""
    places = np.zeros(1, np.int64)
    for stage in reversed(stages(count)):
        places = (np.arange(stage.radix)[:, None] * stage.groups + places).reshape(-1)
    return places


def rfft(x: np.ndarray, dtype: DType) -> np.ndarray:
    """The spectrum of real signals, [rows, n] -> [rows, n + 2]: re, im, re, im ... 0 to n / 2.

    n is even, its half a product of 2, 3 and 5. Integers come out divided by n.
    """
    kind, count = Arithmetic(dtype), x.shape[1] // 2
    wide = x if dtype.is_float else x.astype(np.int64)
    re, im = _transform((wide[:, 0::2], wide[:, 1::2]), kind, inverse=False)
    first = kind.divided(re[:, 0], 2), kind.divided(im[:, 0], 2)
    up = np.arange(1, count // 2 + 1)
    a = kind.divided(re[:, up], 2), kind.divided(im[:, up], 2)
    b = kind.divided(re[:, count - up], 2), kind.divided(kind.stored(-im[:, count - up]), 2)
    total = kind.stored(a[0] + b[0]), kind.stored(a[1] + b[1])
    rest = kind.stored(a[0] - b[0]), kind.stored(a[1] - b[1])
    turn = kind.product(rest, real_twiddles(count, kind, inverse=False))
    out = np.zeros((len(x), count + 1, 2), wide.dtype)
    out[:, 0, 0] = kind.stored(first[0] + first[1])
    out[:, count, 0] = kind.stored(first[0] - first[1])
    out[:, up, 0] = _halved(kind, total[0] + turn[0])
    out[:, up, 1] = _halved(kind, total[1] + turn[1])
    out[:, count - up, 0] = _halved(kind, total[0] - turn[0])
    out[:, count - up, 1] = _halved(kind, turn[1] - total[1])
    return out.reshape(len(x), -1).astype(dtype.numpy)


def irfft(x: np.ndarray, dtype: DType) -> np.ndarray:
    """The real signals of spectra, [rows, n + 2] -> [rows, n]: the inverse transform over n.

    n as for `rfft`. So floats come back from rfft and irfft, integers come back divided by n.
    """
    kind, count = Arithmetic(dtype), x.shape[1] // 2 - 1
    wide = x if dtype.is_float else x.astype(np.int64)
    re, im = wide[:, 0::2], wide[:, 1::2]
    up = np.arange(1, count // 2 + 1)
    a = kind.divided(re[:, up], 2), kind.divided(im[:, up], 2)
    b = kind.divided(re[:, count - up], 2), kind.divided(kind.stored(-im[:, count - up]), 2)
    total = kind.stored(a[0] + b[0]), kind.stored(a[1] + b[1])
    rest = kind.stored(a[0] - b[0]), kind.stored(a[1] - b[1])
    turn = kind.product(rest, real_twiddles(count, kind, inverse=True))
    packed = np.zeros((2, len(x), count), wide.dtype)
    packed[0, :, 0] = kind.divided(kind.stored(re[:, 0] + re[:, count]), 2)
    packed[1, :, 0] = kind.divided(kind.stored(re[:, 0] - re[:, count]), 2)
    packed[0][:, up] = kind.stored(total[0] + turn[0])
    packed[1][:, up] = kind.stored(total[1] + turn[1])
    packed[0][:, count - up] = kind.stored(total[0] - turn[0])
    packed[1][:, count - up] = kind.stored(turn[1] - total[1])
    made = np.stack(_transform((packed[0], packed[1]), kind, inverse=True), axis=2)
    out = made.reshape(len(x), -1)
    return (out / np.float32(2 * count) if dtype.is_float else out).astype(dtype.numpy)


def _halved(kind: Arithmetic, x: np.ndarray) -> np.ndarray:
    """Half a sum of two; 16 bits add in 32, 32 bits wrap."""
    return kind.half(kind.stored(x) if kind.dtype is DType.S32 else x)


def _transform(x: Pair, kind: Arithmetic, *, inverse: bool) -> Pair:
    """The complex transform of [rows, count] values."""
    rows, count = x[0].shape
    turns = twiddles(count, kind, inverse)
    places = order(count)
    re, im = x[0][:, places], x[1][:, places]
    for stage in reversed(stages(count)):
        shape = (rows, stage.groups, stage.radix, stage.length)
        split = (
            kind.divided(re, stage.radix).reshape(shape),
            kind.divided(im, stage.radix).reshape(shape),
        )
        made = _BUTTERFLIES[stage.radix](split, kind, stage, turns, inverse)
        re, im = (part.reshape(rows, count) for part in made)
    return re, im


def _turned(x: Pair, kind: Arithmetic, stage: Stage, turns: Pair) -> list[Pair]:
    """Leg q of every butterfly, turned by its twiddle; leg 0 as it is."""
    legs = [(x[0][:, :, 0], x[1][:, :, 0])]
    for q in range(1, stage.radix):
        at = np.arange(stage.length) * stage.groups * q
        legs.append(kind.product((x[0][:, :, q], x[1][:, :, q]), (turns[0][at], turns[1][at])))
    return legs


def _plus(kind: Arithmetic, a: Pair, b: Pair) -> Pair:
    return kind.stored(a[0] + b[0]), kind.stored(a[1] + b[1])


def _minus(kind: Arithmetic, a: Pair, b: Pair) -> Pair:
    return kind.stored(a[0] - b[0]), kind.stored(a[1] - b[1])


def _joined(legs: list[Pair]) -> Pair:
    return np.stack([leg[0] for leg in legs], 2), np.stack([leg[1] for leg in legs], 2)


def _radix2(x: Pair, kind: Arithmetic, stage: Stage, turns: Pair, inverse: bool) -> Pair:
    a, b = _turned(x, kind, stage, turns)
    return _joined([_plus(kind, a, b), _minus(kind, a, b)])


def _radix4(x: Pair, kind: Arithmetic, stage: Stage, turns: Pair, inverse: bool) -> Pair:
    a, b, c, d = _turned(x, kind, stage, turns)
    even, odd = _plus(kind, a, c), _minus(kind, a, c)
    total, rest = _plus(kind, b, d), _minus(kind, b, d)
    quarter = (-rest[1], rest[0]) if inverse else (rest[1], -rest[0])  # rest turned by 90 degrees
    return _joined(
        [
            _plus(kind, even, total),
            _plus(kind, odd, quarter),
            _minus(kind, even, total),
            _minus(kind, odd, quarter),
        ]
    )


def _radix3(x: Pair, kind: Arithmetic, stage: Stage, turns: Pair, inverse: bool) -> Pair:
    a, b, c = _turned(x, kind, stage, turns)
    total, rest = _plus(kind, b, c), _minus(kind, b, c)
    sine = turns[1][stage.groups * stage.length]
    tilt = kind.rounded(rest[0] * sine), kind.rounded(rest[1] * sine)
    middle = _minus(kind, a, (kind.half(total[0]), kind.half(total[1])))
    turned = (tilt[1], -tilt[0])
    return _joined(
        [_plus(kind, a, total), _minus(kind, middle, turned), _plus(kind, middle, turned)]
    )


def _radix5(x: Pair, kind: Arithmetic, stage: Stage, turns: Pair, inverse: bool) -> Pair:
    legs = _turned(x, kind, stage, turns)
    step = stage.groups * stage.length
    (cos1, sin1), (cos2, sin2) = ((turns[0][step * k], turns[1][step * k]) for k in (1, 2))
    near, far = _plus(kind, legs[1], legs[4]), _plus(kind, legs[2], legs[3])
    near_rest, far_rest = _minus(kind, legs[1], legs[4]), _minus(kind, legs[2], legs[3])

    def mixed(a: Pair, b: Pair, of_a: np.ndarray, of_b: np.ndarray) -> Pair:
        """a * of_a + b * of_b, each product rounded."""
        return (
            kind.rounded(a[0] * of_a) + kind.rounded(b[0] * of_b),
            kind.rounded(a[1] * of_a) + kind.rounded(b[1] * of_b),
        )

    outer = _plus(kind, legs[0], mixed(near, far, cos1, cos2))
    inner = _plus(kind, legs[0], mixed(near, far, cos2, cos1))
    tilt = mixed(near_rest, far_rest, sin1, sin2)
    lean = kind.rounded(near_rest[0] * sin2), kind.rounded(near_rest[1] * sin2)
    back = kind.rounded(far_rest[0] * sin1), kind.rounded(far_rest[1] * sin1)
    outer_turned = kind.stored(tilt[1]), kind.stored(-tilt[0])
    inner_turned = kind.stored(back[1] - lean[1]), kind.stored(lean[0] - back[0])
    return _joined(
        [
            _plus(kind, legs[0], (near[0] + far[0], near[1] + far[1])),
            _minus(kind, outer, outer_turned),
            _plus(kind, inner, inner_turned),
            _minus(kind, inner, inner_turned),
            _plus(kind, outer, outer_turned),
        ]
    )


_BUTTERFLIES = {2: _radix2, 3: _radix3, 4: _radix4, 5: _radix5}
