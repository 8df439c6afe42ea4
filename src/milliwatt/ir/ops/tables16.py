"""Functions of int16 activations by table and interpolation: logistic, tanh, softmax.

The tables follow from formulas; the same numbers are in `kernels/mw_tables_s16.h`. All results are
Q0.15. Source: TensorFlow Lite Micro, reference kernels of LOGISTIC, TANH and SOFTMAX for int16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from milliwatt.ir import fixedpoint as fx

# A table entry of the logistic is 1/24 apart, and an argument of 1 is 3 * 4096.
ENTRIES_A_UNIT, UNIT = 24, 3 * 4096
# The multiplier has 15 bits.
LARGEST_SCALE = 32767 / UNIT
# Entries of a table over all int16 values: one every 128 values, and one after the last.
STEPS = 512


@functools.cache
def sigmoid_table() -> np.ndarray:
    """logistic(i / 24) * 65536, s64 [256].

    Entries are raised by half of what a straight line to the next one lacks in its middle; the last
    is the saturated value.
    """
    at = np.arange(256)

    def value(x: np.ndarray) -> np.ndarray:
        return 65536 / (1 + np.exp(-x / ENTRIES_A_UNIT))

    lack = value(at + 0.5) - (value(at) + value(at + 1)) / 2
    table: np.ndarray = np.floor(value(at) + lack / 2 + 0.5).astype(np.int64)
    table[255] = 65535
    table.setflags(write=False)
    return table


def _is_power_of_two(scale: float) -> tuple[bool, int]:
    """Whether log2 of the scale is within 0.001 of an integer, and that integer; in float32."""
    log2 = np.log(np.float32(scale)) * (np.float32(1) / np.log(np.float32(2)))
    whole = fx.round_half_away(float(log2))
    return bool(abs(log2 - np.float32(whole)) < np.float32(1e-3)), whole


def _argument(scale: float, shifts: tuple[int, ...]) -> tuple[int, int]:
    """(multiplier, right shift) that brings stored values to steps of 1 / UNIT.

    Scales of 2**-12 shifted by one of `shifts` take the short way without rounding.
    """
    exact, log2 = _is_power_of_two(scale)
    if exact and log2 + 12 in shifts:
        return 3 << (log2 + 12), 0
    real, shift = scale * UNIT, 0
    while real <= 32767 / 2 and shift <= 30:
        real, shift = real * 2, shift + 1
    return int(real), shift


def logistic_argument(scale: float) -> tuple[int, int]:
    """(multiplier, right shift) of logistic for an input of `scale`."""
    return _argument(scale, (0,))


def tanh_argument(scale: float) -> tuple[int, int]:
    """(multiplier, right shift) of tanh for an input of `scale`."""
    return _argument(scale, (0, 1))


def _interpolated(size: np.ndarray, bits: int, beyond: int) -> np.ndarray:
    """The logistic table at `size` / 2**bits, times 2**bits; `beyond` from its last entry on."""
    table, whole = sigmoid_table(), size >> bits
    low = table[np.minimum(whole, 254)]
    high = table[np.minimum(whole, 254) + 1]
    between = (low << bits) + (size & ((1 << bits) - 1)) * (high - low)
    return np.where(whole >= 255, beyond, between)


def _moved(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    product = x.astype(np.int64) * multiplier
    return (product + ((1 << shift) >> 1)) >> shift


def logistic(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """1 / (1 + exp(-x)) of s16 `x`, Q0.15; multiplier and shift of `logistic_argument`."""
    argument = _moved(x, multiplier, shift)
    size = _interpolated(np.abs(argument), 9, 0x7FFF << 10)
    total = np.where(argument >= 0, size + 512, (1 << 25) - size + 511)
    return (total >> 10).astype(np.int16)


def tanh(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """tanh(x) = 2 logistic(2 x) - 1 of s16 `x`, Q0.15; multiplier and shift of `tanh_argument`."""
    argument = _moved(x, multiplier, shift)
    size = _interpolated(np.abs(argument), 8, 0xFFFF << 8) - (1 << 23)
    total = np.where(argument >= 0, size + 128, 127 - size)
    return (total >> 8).astype(np.int16)


def _table(function: Callable[[np.ndarray], np.ndarray], low: float, high: float) -> np.ndarray:
    """`function` times 32768 at 513 places from `low` to `high`, float32 as in TFLite.

    Entries are lowered by half of what a straight line to the next one exceeds in its middle.
    """
    one = np.float32
    first, last = one(low), one(high)
    step = (last - first) / one(STEPS)
    at = np.arange(STEPS).astype(np.float32)
    # One is 65536 steps of a result from -32768 / 32767.5 to 32767 / 32767.5.
    unit = one(2) / one(65535)
    scaling = one(65536) / (unit * one(32767) - unit * one(-32768))

    def rounded(values: np.ndarray) -> np.ndarray:
        whole: np.ndarray = np.copysign(np.floor(np.abs(values) + one(0.5)), values)
        return whole

    begin, end = function(first + at * step), function(first + (at + one(1)) * step)
    middle = function(first + at * step + step / one(2))
    sample = rounded(begin * scaling)
    line = rounded((end * scaling + sample) / one(2))
    excess = rounded((line - rounded(middle * scaling)) / one(2))
    entries = np.append(sample - excess, rounded(function(np.array([last])) * scaling))
    table: np.ndarray = np.clip(entries, -32768, 32767).astype(np.int64)
    table.setflags(write=False)
    return table


@functools.cache
def exp_table() -> np.ndarray:
    """exp(x) for x from -10 to 0 in Q0.15, s64 [513]."""
    unit = np.float32(10) / np.float32(65535)
    return _table(_exp_f32, float(unit * np.float32(-65535)), 0.0)


def _exp_f32(x: np.ndarray) -> np.ndarray:
    return np.exp(x.astype(np.float64)).astype(np.float32)


@functools.cache
def reciprocal_table() -> np.ndarray:
    """1 / (1 + x) for x from 0 to 1 in Q0.15, s64 [513]."""
    unit = np.float32(1) / np.float32(65535)
    return _table(lambda x: np.float32(1) / (np.float32(1) + x), 0.0, float(unit * 65535))


def _look_up(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """A table over all int16 values at `values`, by interpolation."""
    index = 256 + (values >> 7)
    slope = table[index + 1] - table[index]
    found: np.ndarray = table[index] + ((slope * (values & 127) + 64) >> 7)
    return found


def softmax(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """Softmax of s16 over the last axis, Q0.15; differences scaled to steps of 10 / 65535."""
    wide = x.astype(np.int64)
    diff = wide - wide.max(axis=-1, keepdims=True)
    scaled = fx.multiply_by_quantized_multiplier(diff, multiplier, shift) + 32767
    exps = _look_up(np.clip(scaled, -32768, 32767), exp_table())
    total = exps.sum(axis=-1, keepdims=True)
    # total is 2**bits or more: (1 + x) * 2**bits with x in [0, 1).
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64) - 1
    fraction = ((total << (30 - bits)) + (1 << 13)) >> 14
    centred = np.clip(fraction - (1 << 16) - (1 << 15), -32768, 32767)
    values = exps * _look_up(centred, reciprocal_table())
    rounded = (values + (np.int64(1) << (bits - 1))) >> bits
    shares: np.ndarray = np.clip(rounded, 0, 32767)
    return shares.astype(np.int16)
