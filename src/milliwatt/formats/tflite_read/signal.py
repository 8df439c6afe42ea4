"""The audio front end's custom operators: .tflite operators as nodes.

Framer, delay, stacker and circular buffer are views of what they have seen: states, joined with the
new values and cut. What TFLM leaves unwritten while a valid flag is false, is what they hold here.
"""

from __future__ import annotations

import math

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import Attrs, Concat, Reshape
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.attrs.pointwise import Pointwise
from milliwatt.ir.attrs.signal import (
    Energy,
    FilterBankLog,
    Irfft,
    OverlapAdd,
    Pcan,
    Rfft,
    SpectralSubtraction,
    Window,
)
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.filter_bank import check_bands, subtraction_parts
from milliwatt.ir.ops.signal import auto_scale_parts, overlap_add_parts
from milliwatt.ir.types import DType, Type

MAX_STATE_BYTES = 1 << 20
"""Most bytes that one operator may keep: far above what microcontrollers spare for it."""
MAX_FRAMES = 1 << 10
"""Most frames that a framer may make in one run; each is a slice."""
_TYPE_NUMBERS = {0: DType.F32, 2: DType.S32, 7: DType.S16}


def _options(site: Site, *names: str) -> list[int]:
    """The integer or boolean options called `names`, all of which must be there."""
    held = site.custom_options()
    values = []
    for name in names:
        value = held.get(name)
        if not isinstance(value, int) or not -(1 << 31) <= value < 1 << 31:
            site.fail(f"option {name} is {value!r}; an integer of 32 bits wanted")
        values.append(int(value))
    return values


def _state(site: Site, shape: tuple[int, ...], like: Type, suffix: str) -> Node:
    """A new state of `shape`, real zeros at first, with the element type of `like`."""
    nbytes = math.prod(shape) * like.dtype.itemsize
    if nbytes > MAX_STATE_BYTES:
        site.unsupported(
            f"keeps {nbytes:,} bytes from run to run; at most {MAX_STATE_BYTES:,} wanted"
        )
    zeros = np.full(shape, like.zero_point, like.dtype.numpy)
    return site.memory.state(site.name + suffix, zeros, like.quant)


def _window(site: Site) -> Node:
    return site.node(
        Op.WINDOW, (site.operand(0), site.operand(1)), Window(*_options(site, "shift"))
    )


def _auto_scale(site: Site) -> tuple[Node, ...]:
    x = site.operand(0)
    return site.parts(Op.FFT_AUTO_SCALE, (x,), Attrs(), auto_scale_parts(x.type))


def _check_type(site: Site) -> None:
    (number,) = _options(site, "T")
    found = site.operand(0).type.dtype
    if _TYPE_NUMBERS.get(number) is not found:
        wanted = _TYPE_NUMBERS.get(number, "0 (f32), 2 (s32) or 7 (s16)")
        site.fail(f"option T is {number}, the input {found}; {wanted} wanted")


def _rfft(site: Site) -> Node:
    _check_type(site)
    return site.node(Op.RFFT, (site.operand(0),), Rfft(*_options(site, "fft_length")))


def _irfft(site: Site) -> Node:
    _check_type(site)
    return site.node(Op.IRFFT, (site.operand(0),), Irfft(*_options(site, "fft_length")))


def _energy(site: Site) -> Node:
    return site.node(
        Op.ENERGY, (site.operand(0),), Energy(*_options(site, "start_index", "end_index"))
    )


def _filter_bank(site: Site) -> Node:
    (channels,) = _options(site, "num_channels")
    src = tuple(site.operand(index) for index in range(6))
    for table in src[1:]:
        if not table.is_constant:
            site.unsupported(f"{table.name} is computed at run time; a constant wanted")
    node = site.node(Op.FILTER_BANK, src, Attrs())
    if node.type.size != channels:
        site.fail(f"num_channels is {channels}, the tables are for {node.type.size}")
    try:
        tables = [table.value for table in src[3:]]
        check_bands(src[0].type.size, src[1].type.size, tables)
    except InvalidGraph as error:
        site.fail(str(error))
    return node


def _square_root(site: Site) -> Node:
    return site.node(Op.FILTER_BANK_SQUARE_ROOT, (site.operand(0), site.operand(1)), Attrs())


def _spectral_subtraction(site: Site) -> tuple[Node, ...]:
    x = site.operand(0)
    channels, clamping, even, even_rest, odd, odd_rest, raised, least, bits = _options(
        site,
        *("num_channels", "clamping", "smoothing", "one_minus_smoothing", "alternate_smoothing"),
        *("alternate_one_minus_smoothing", "smoothing_bits", "min_signal_remaining"),
        "spectral_subtraction_bits",
    )
    if x.type.size != channels:
        site.fail(f"num_channels is {channels}, the signal {x.type.short}; as many wanted")
    noise = _state(site, x.type.shape, Type((), DType.U32), ".noise")
    attrs = SpectralSubtraction(even, even_rest, odd, odd_rest, raised, least, bits, bool(clamping))
    made = site.parts(Op.SPECTRAL_SUBTRACTION, (x, noise), attrs, subtraction_parts(x.type))
    site.memory.update(noise, made[1])
    return made


def _pcan(site: Site) -> Node:
    src = tuple(site.operand(index) for index in range(3))
    return site.node(Op.PCAN, src, Pcan(*_options(site, "snr_shift")))


def _log(site: Site) -> Node:
    attrs = FilterBankLog(*_options(site, "output_scale", "input_correction_bits"))
    return site.node(Op.FILTER_BANK_LOG, (site.operand(0),), attrs)


def _cut(site: Site, x: Node, begin: int, size: int, suffix: str) -> Node:
    """`size` elements from `begin` on the last axis, all of the others."""
    shape = x.type.shape
    if (begin, size) == (0, shape[-1]):
        return x
    starts = (*(0 for _ in shape[:-1]), begin)
    attrs = StridedSlice(starts, (*shape[:-1], size), tuple(1 for _ in shape))
    return site.node(Op.STRIDED_SLICE, (x,), attrs, suffix)


def _line(site: Site, x: Node, held: int) -> Node:
    """The last `held` values of each row, zeros at first, then x: a delay line along the last axis.

    Its state keeps the last `held` of all.
    """
    if held == 0:
        return x
    state = _state(site, (*x.type.shape[:-1], held), x.type, ".held")
    line = site.node(Op.CONCAT, (state, x), Concat(len(x.type.shape) - 1), ".line")
    site.memory.update(state, _cut(site, line, x.type.shape[-1], held, ".kept"))
    return line


def _valid(site: Site, first: int, period: int) -> Node:
    """The second result: true in run number `first`, then every `period` runs.

    A shift register of the runs to come: what leaves it comes back `period` later.
    """
    name = site.names[1]
    if (first, period) == (0, 1):
        return constant(np.array(True), name)
    flags = np.arange(first + period) == first
    state = site.memory.state(f"{name}.runs", flags, None)
    rest = _cut(site, state, 1, first + period - 1, ".rest")
    again = _cut(site, state, first, 1, ".again")
    site.memory.update(state, site.node(Op.CONCAT, (rest, again), Concat(0), ".next"))
    now = _cut(site, state, 0, 1, ".now")
    return site.node(Op.RESHAPE, (now,), Reshape(()), result=1)


def _rows(site: Site, results: int) -> Node:
    """The samples that framer, delay and stacker take; they have as many `results`."""
    if len(site.outs) != results:
        site.fail(f"{len(site.outs)} results; {results} wanted")
    x = site.operand(0)
    if x.type.dtype is not DType.S16 or not x.type.shape:
        site.unsupported(f"input is {x.type.short}; s16 of 1 axis or more wanted")
    return x


def _framer(site: Site) -> tuple[Node, ...]:
    """Frames of `frame_size` samples, `frame_step` apart, each row by itself.

    Prefilled with zeros every frame ends at the newest sample. Otherwise the first ones are not
    valid and a frame begins at a multiple of the step, as TFLM's buffer holds whole steps.
    """
    x = _rows(site, 2)
    size, step, prefill = _options(site, "frame_size", "frame_step", "prefill")
    *outer, samples = x.type.shape
    if size < 1 or step < 1 or samples % step or (prefill and size < step):
        site.fail(
            f"frames of {size} samples every {step} of {samples}, prefill {bool(prefill)}; a step "
            "that divides the input and, where prefilled, is no longer than the frame wanted"
        )
    count, steps = samples // step, -(-size // step)
    if count > MAX_FRAMES:
        site.unsupported(
            f"{count:,} frames a run; at most {MAX_FRAMES:,} wanted, run it more often"
        )
    line = _line(site, x, size - step if prefill else (steps - 1) * step)
    frames = [_cut(site, line, step * f, size, f".frame{f}") for f in range(count)]
    joined = frames[0]
    if count > 1:
        joined = site.node(Op.CONCAT, tuple(frames), Concat(len(outer)), ".frames")
    valid = _valid(site, 0 if prefill else -(-(steps - 1) // count), 1)
    return site.node(Op.RESHAPE, (joined,), Reshape((*outer, count, size))), valid


def _delay(site: Site) -> Node:
    x = _rows(site, 1)
    (length,) = _options(site, "delay_length")
    if length < 0:
        site.fail(f"delay_length is {length}; 0 or more wanted")
    line = _line(site, x, length)
    if line is x:
        return site.node(Op.RESHAPE, (x,), Reshape(x.type.shape))
    return _cut(site, line, 0, x.type.shape[-1], "")


def _stacker(site: Site) -> tuple[Node, ...]:
    """The last frames side by side; the first frame counts as all those before it."""
    x = _rows(site, 2)
    names = ("num_channels", "stacker_left_context", "stacker_right_context", "stacker_step")
    channels, left, right, step = _options(site, *names)
    count = left + right + 1
    if x.type.shape != (channels,) or min(left, right) < 0 or not 1 <= step <= count:
        site.fail(
            f"{count} frames of {channels} channels ({left} before, {right} behind), every {step}, "
            f"of an input {x.type.short}; as many channels and a step of 1 to {count} wanted"
        )
    frame = site.node(Op.RESHAPE, (x,), Reshape((1, channels)), ".frame")
    stacked = frame
    if count > 1:
        before = held = _state(site, (count - 1, channels), x.type, ".held")
        if left:
            fresh = site.memory.state(f"{site.name}.fresh", np.array([True]), None)
            site.memory.update(fresh, constant(np.array([False]), f"{site.name}.stale"))
            choice = Pointwise(x.type.quant)
            before = site.node(Op.SELECT, (fresh, frame, held), choice, ".before")
        stacked = site.node(Op.CONCAT, (before, frame), Concat(0), ".stacked")
        kept = StridedSlice((1, 0), (count - 1, channels), (1, 1))
        site.memory.update(held, site.node(Op.STRIDED_SLICE, (stacked,), kept, ".kept"))
    made = site.node(Op.RESHAPE, (stacked,), Reshape((count * channels,)))
    return made, _valid(site, right, step)


def _overlap_add(site: Site) -> Node:
    """Frames of a whole step overlap nothing: they stand one behind the other."""
    frames = site.operand(0)
    (step,) = _options(site, "frame_step")
    *outer, count, size = frames.type.shape if len(frames.type.shape) >= 2 else (0, 0)
    if not 1 <= step <= size:
        site.fail(f"frame_step is {step}, the frames {frames.type.short}; 1 to {size} wanted")
    if step == size:
        return site.node(Op.RESHAPE, (frames,), Reshape((*outer, count * size)))
    tail = _state(site, (*outer, size - step), frames.type, ".tail")
    types = overlap_add_parts(frames.type, step)
    names = (site.name, f"{site.name}.next_tail")
    made = site.parts(Op.OVERLAP_ADD, (frames, tail), OverlapAdd(step), types, names)
    site.memory.update(tail, made[1])
    return made[0]


# Slots of the buffers that TFLM runs on every call where the file does not say how often.
_EVERY_CALL = (5, 13, 25)


def _circular_buffer(site: Site) -> Node:
    """The last inputs along the second axis, the newest behind; runs that are left out refused."""
    x = site.operand(0)
    shape = site.out.shape if site.outs else ()
    slots = shape[1] if len(shape) == 4 else 0
    if len(x.type.shape) != 4 or x.type.shape[:2] != (1, 1) or slots < 1:
        site.fail(f"{x.type.short} to shape {list(shape)}; [1,1,W,C] to [1,slots,W,C] wanted")
    cycles = _options(site, "cycles_max")[0] if site.custom else 0
    if cycles <= 0:
        cycles = 1 if slots in _EVERY_CALL else 2
    if cycles != 1:
        site.unsupported(
            f"cycles_max is {cycles}: what follows it runs on every {cycles}. call only; a graph "
            "runs whole: make two models of it, cut here, and call the second less often"
        )
    if slots == 1:
        return site.node(Op.RESHAPE, (x,), Reshape(x.type.shape))
    held = _state(site, (1, slots - 1, *x.type.shape[2:]), x.type, ".held")
    made = site.node(Op.CONCAT, (held, x), Concat(1))
    kept = StridedSlice((0, 1, 0, 0), held.type.shape, (1, 1, 1, 1))
    site.memory.update(held, site.node(Op.STRIDED_SLICE, (made,), kept, ".kept"))
    return made


READERS: dict[str, tuple[int, Reader]] = {
    "CIRCULAR_BUFFER": (0, _circular_buffer),
    "SignalDelay": (0, _delay),
    "SignalEnergy": (0, _energy),
    "SignalFftAutoScale": (0, _auto_scale),
    "SignalFilterBank": (0, _filter_bank),
    "SignalFilterBankLog": (0, _log),
    "SignalFilterBankSpectralSubtraction": (0, _spectral_subtraction),
    "SignalFilterBankSquareRoot": (0, _square_root),
    "SignalFramer": (0, _framer),
    "SignalIrfft": (0, _irfft),
    "SignalOverlapAdd": (0, _overlap_add),
    "SignalPCAN": (0, _pcan),
    "SignalRfft": (0, _rfft),
    "SignalStacker": (0, _stacker),
    "SignalWindow": (0, _window),
}
