"""The audio front end: window, FFT, energies, overlap-add. The filter bank is in its own file.

Source: TensorFlow Lite Micro's signal library (the operators that its audio models are made of).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir import fft
from milliwatt.ir.attrs.control import bundle_type, pack_parts
from milliwatt.ir.attrs.core import Attrs
from milliwatt.ir.attrs.signal import Energy, Irfft, OverlapAdd, Rfft, Window
from milliwatt.ir.ops import filter_bank
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]
_SAMPLES = (DType.S16, DType.S32, DType.F32)
MAX_SHIFT = 31
"""Most bits that a product of two 16-bit numbers is moved by."""


def _saturated(x: np.ndarray) -> np.ndarray:
    cut: np.ndarray = np.clip(x, -(1 << 15), (1 << 15) - 1)
    return cut.astype(np.int16)


def _infer_window(attrs: Window, ins: Types) -> Type:
    x, weights = ins
    want_dtype("input", x, DType.S16)
    want_dtype("weights", weights, DType.S16)
    want(0 <= attrs.shift <= MAX_SHIFT, f"shift is {attrs.shift}; 0 to {MAX_SHIFT} wanted")
    want(
        len(weights.shape) == 1 and x.size % weights.size == 0,
        f"weights {weights.short} on input {x.short}; 1 axis whose size divides the input's wanted",
    )
    return Type(x.shape, DType.S16)


def _run_window(attrs: Window, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    products = args[0].reshape(-1, ins[1].size).astype(np.int32) * args[1].astype(np.int32)
    return _saturated(products >> attrs.shift).reshape(out.shape)


def _infer_auto_scale(attrs: Attrs, ins: Types) -> Type:
    want_dtype("input", ins[0], DType.S16)
    want(len(ins[0].shape) == 1, f"input is {ins[0].short}; 1 axis wanted")
    return bundle_type(auto_scale_parts(ins[0]))[0]


def auto_scale_parts(x: Type) -> tuple[Type, Type]:
    """Results of fft_auto_scale of `x`: the scaled samples, the number of bits."""
    return Type(x.shape, DType.S16), Type((), DType.S32)


def _largest(x: np.ndarray) -> int:
    """The largest |x| as 16 bits hold it, which is how TFLM finds it.

    |-32768| is -32768 in 16 bits, below everything: the search starts again behind it.
    """
    lows = np.flatnonzero(x == -(1 << 15))
    if not lows.size:
        return int(np.abs(x).max(initial=0))
    found, at = -(1 << 15), int(lows[-1]) + 1
    while found < 0 and at < x.size:
        value = int(x[at])
        found = value if value > found else max(found, -value)
        at += 1
    return max(found, int(np.abs(x[at:]).max(initial=0))) if found >= 0 else found


def _run_auto_scale(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    largest = _largest(args[0])
    bits = 15 - largest.bit_length() if largest > 0 else 0
    scaled = (args[0].astype(np.int32) << bits).astype(np.int16)
    return pack_parts((scaled, np.array(bits, np.int32)))


def _check_length(length: int) -> None:
    left = length
    for factor in (2, 3, 5):
        while left > 1 and left % factor == 0:
            left //= factor
    want(
        left == 1 and length >= 4 and length % 2 == 0,
        f"FFT of {length} samples; an even product of 2, 3 and 5 from 4 up wanted; "
        "fill the signal up with zeros",
    )


def _infer_rfft(attrs: Rfft, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, *_SAMPLES)
    _check_length(attrs.length)
    want(
        len(x.shape) >= 1 and x.shape[-1] <= attrs.length,
        f"input is {x.short}; at most {attrs.length} samples on its last axis wanted",
    )
    return Type((*x.shape[:-1], attrs.length + 2), x.dtype)


def _run_rfft(attrs: Rfft, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    rows = args[0].reshape(-1, ins[0].shape[-1])
    filled = np.pad(rows, ((0, 0), (0, attrs.length - rows.shape[1])))
    return fft.rfft(filled, out.dtype).reshape(out.shape)


def _infer_irfft(attrs: Irfft, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, *_SAMPLES)
    _check_length(attrs.length)
    want(
        len(x.shape) >= 1 and x.shape[-1] == attrs.length + 2,
        f"input is {x.short}; {attrs.length + 2} numbers on its last axis wanted",
    )
    return Type((*x.shape[:-1], attrs.length), x.dtype)


def _run_irfft(attrs: Irfft, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return fft.irfft(args[0].reshape(-1, attrs.length + 2), out.dtype).reshape(out.shape)


def _fft_macs(attrs: Rfft | Irfft, out: Type, ins: Types) -> int:
    """Three complex products of four a radix-4 butterfly, and one for every other frequency."""
    length = attrs.length
    rows = out.size // out.shape[-1]
    half = length // 2
    steps = (half - 1).bit_length()
    return rows * (half * steps * 12 // 8 + half * 2)


def _infer_energy(attrs: Energy, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, DType.S16)
    want(len(x.shape) == 1 and x.size % 2 == 0, f"input is {x.short}; 1 axis of even size wanted")
    want(
        0 <= attrs.start <= attrs.end <= x.size // 2,
        f"indices {attrs.start} to {attrs.end} of {x.size // 2} frequencies; a range wanted",
    )
    return Type((x.size // 2,), DType.U32)


def _run_energy(attrs: Energy, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    squares = np.square(args[0].astype(np.int64)).reshape(-1, 2).sum(axis=1)
    energies = np.zeros(out.shape, np.uint32)
    chosen = slice(attrs.start, attrs.end)
    energies[chosen] = squares[chosen]
    return energies


def _infer_overlap_add(attrs: OverlapAdd, ins: Types) -> Type:
    frames, tail = ins
    want_dtype("frames", frames, DType.S16, DType.F32)
    want_dtype("tail", tail, frames.dtype)
    want(len(frames.shape) >= 2, f"frames are {frames.short}; 2 axes or more wanted")
    *outer, _, size = frames.shape
    want(1 <= attrs.step < size, f"step is {attrs.step}; 1 to {size - 1} wanted")
    wanted = (*outer, size - attrs.step)
    want(tail.shape == wanted, f"tail is {tail.short}; shape {list(wanted)} wanted")
    return bundle_type(overlap_add_parts(frames, attrs.step))[0]


def overlap_add_parts(frames: Type, step: int) -> tuple[Type, Type]:
    """Results of overlap_add of `frames`: the samples that are done, the new tail."""
    *outer, count, size = frames.shape
    return (
        Type((*outer, count * step), frames.dtype),
        Type((*outer, size - step), frames.dtype),
    )


def _run_overlap_add(attrs: OverlapAdd, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    count, size = ins[0].shape[-2:]
    real = ins[0].dtype.is_float
    frames = args[0].reshape(-1, count, size)
    done = count * attrs.step
    line = np.zeros((len(frames), done + size - attrs.step), np.float32 if real else np.int32)
    line[:, : size - attrs.step] = args[1].reshape(len(frames), -1)
    for index in range(count):
        place = slice(index * attrs.step, index * attrs.step + size)
        total = line[:, place] + frames[:, index]
        line[:, place] = total if real else _saturated(total)
    made = line.astype(ins[0].dtype.numpy)
    return pack_parts((made[:, :done], made[:, done:]))


OPS = {
    Op.WINDOW: OpDef(Window, (2, 2), _infer_window, _run_window, lambda a, out, ins: out.size),
    Op.FFT_AUTO_SCALE: OpDef(Attrs, (1, 1), _infer_auto_scale, _run_auto_scale),
    Op.RFFT: OpDef(Rfft, (1, 1), _infer_rfft, _run_rfft, _fft_macs),
    Op.IRFFT: OpDef(Irfft, (1, 1), _infer_irfft, _run_irfft, _fft_macs),
    Op.ENERGY: OpDef(
        Energy, (1, 1), _infer_energy, _run_energy, lambda a, out, ins: 2 * (a.end - a.start)
    ),
    Op.OVERLAP_ADD: OpDef(OverlapAdd, (2, 2), _infer_overlap_add, _run_overlap_add),
    **filter_bank.OPS,
}
