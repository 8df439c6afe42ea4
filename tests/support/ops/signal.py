"""Draws of the family `signal`; magnitudes over all octaves, since the kernels count bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir.attrs import Attrs
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
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.filter_bank import GAIN_ENTRIES, subtraction_parts
from milliwatt.ir.ops.signal import auto_scale_parts, overlap_add_parts
from milliwatt.ir.types import DType, Type
from support.ops.core import Draw, Rng, random_values, size

LENGTHS = (4, 8, 16, 32, 64, 128, 256, 512, 6, 10, 12, 18, 20, 24, 30, 48, 50, 60, 90, 120, 400)


def octaves(rng: Rng, count: int, dtype: DType) -> np.ndarray:
    """`count` integers whose numbers of bits are equally likely, some at the limits."""
    low, high = dtype.limits
    values = rng.integers(low, high, count, dtype.numpy, endpoint=True)
    shifted = values >> rng.integers(0, dtype.bits, count).astype(dtype.numpy)
    limit = rng.choice(np.array([low, high], dtype.numpy), count)
    return np.where(rng.random(count) < 0.1, limit, shifted).astype(dtype.numpy)


def _given(rng: Rng, name: str, count: int, dtype: DType) -> Node:
    """An operand: an input, whose values fill their type, or a constant of all magnitudes."""
    if rng.random() < 0.4:
        return graph_input((count,), dtype, name)
    return constant(octaves(rng, count, dtype), name)


def _graph(bundle: Node, types: Sequence[Type], names: Sequence[str], outputs: int = 2) -> Graph:
    """The first results of an operator that makes a bundle; a state becomes the second."""
    made = parts(bundle, types, names)
    inputs = tuple(node for node in bundle.src if node.op is Op.INPUT)
    updates = tuple((node, made[1]) for node in bundle.src if node.op is Op.STATE)
    return Graph(inputs, made[:outputs], updates, name=str(bundle.op))


def _window(rng: Rng, dtype: DType) -> Node:
    row = size(rng, 1, 40)
    x = graph_input((*((size(rng, 1, 3),) if rng.random() < 0.5 else ()), row), dtype, "x")
    weights = constant(random_values(rng, Type((row,), dtype)), "weights")
    return Node(Op.WINDOW, (x, weights), Window(size(rng, 0, 16)), "y")


def _auto_scale(rng: Rng, dtype: DType) -> Graph:
    x = _given(rng, "x", size(rng, 1, 20), dtype)
    bundle = Node(Op.FFT_AUTO_SCALE, (x,), Attrs(), "bundle")
    return _graph(bundle, auto_scale_parts(x.type), ("scaled", "bits"))


def _length(rng: Rng) -> int:
    return LENGTHS[size(rng, 0, len(LENGTHS) - 1)]


def _outer(rng: Rng) -> tuple[int, ...]:
    return (size(rng, 1, 3),) if rng.random() < 0.3 else ()


def _rfft(rng: Rng, dtype: DType) -> Node:
    length = _length(rng)
    given = length if rng.random() < 0.5 else size(rng, 1, length)
    x = graph_input((*_outer(rng), given), dtype, "x")
    return Node(Op.RFFT, (x,), Rfft(length), "y")


def _irfft(rng: Rng, dtype: DType) -> Node:
    length = _length(rng)
    x = graph_input((*_outer(rng), length + 2), dtype, "x")
    return Node(Op.IRFFT, (x,), Irfft(length), "y")


def _energy(rng: Rng, dtype: DType) -> Node:
    """All frequencies: TFLM leaves the others as they happen to be."""
    count = size(rng, 1, 40)
    x = graph_input((2 * count,), dtype, "x")
    return Node(Op.ENERGY, (x,), Energy(0, count), "y")


def bands(rng: Rng, frequencies: int) -> list[Node]:
    """The five tables of a filter bank: bands that overlap, bands that are empty."""
    channels, entries = size(rng, 1, 8), size(rng, 8, 40)
    widths = rng.integers(0, min(frequencies, entries) + 1, channels + 1)
    starts, places = (
        [size(rng, 0, room - width) for width in widths] for room in (frequencies, entries)
    )
    tables = {
        "weights": rng.integers(0, 1 << 15, entries),
        "unweights": rng.integers(0, 1 << 15, entries),
        "starts": starts,
        "places": places,
        "widths": widths,
    }
    return [constant(np.asarray(table, np.int16), name) for name, table in tables.items()]


def _filter_bank(rng: Rng, dtype: DType) -> Node:
    x = _given(rng, "x", size(rng, 4, 40), dtype)
    return Node(Op.FILTER_BANK, (x, *bands(rng, x.type.size)), Attrs(), "y")


def _square_root(rng: Rng, dtype: DType) -> Node:
    """Squares and their neighbours among the values."""
    values = octaves(rng, size(rng, 1, 40), dtype)
    root = np.sqrt(values.astype(np.float64)).astype(np.uint64) & np.uint64(0xFFFFFFFF)
    near = root * root + rng.integers(-1, 2, values.size).astype(np.uint64)
    x = constant(np.where(rng.random(values.size) < 0.5, near, values), "x")
    bits = constant(np.array(size(rng, 0, 16), np.int32), "bits")
    return Node(Op.FILTER_BANK_SQUARE_ROOT, (x, bits), Attrs(), "y")


def _subtraction(rng: Rng, dtype: DType) -> Graph:
    x = _given(rng, "x", size(rng, 1, 20), dtype)
    bits = size(rng, 0, 20)
    factors = [size(rng, 0, 1 << bits) for _ in range(5)]
    attrs = SpectralSubtraction(
        *factors[:4], size(rng, 0, 16), factors[4], bits, bool(rng.random() < 0.5)
    )
    noise = state(np.zeros(x.type.shape, np.uint32), "noise")
    bundle = Node(Op.SPECTRAL_SUBTRACTION, (x, noise), attrs, "bundle")
    return _graph(bundle, subtraction_parts(x.type), ("left", "estimate"))


def _pcan(rng: Rng, dtype: DType) -> Node:
    count = size(rng, 1, 40)
    x, noise = (_given(rng, name, count, dtype) for name in ("x", "noise"))
    table = random_values(rng, Type((GAIN_ENTRIES,), DType.S16))
    shift = size(rng, 0, 40)
    return Node(Op.PCAN, (x, noise, constant(table, "gains")), Pcan(shift), "y")


def _log(rng: Rng, dtype: DType) -> Node:
    x = _given(rng, "x", size(rng, 1, 40), dtype)
    attrs = FilterBankLog(size(rng, 0, 1 << size(rng, 0, 20)), size(rng, 0, 8))
    return Node(Op.FILTER_BANK_LOG, (x,), attrs, "y")


def _overlap_add(rng: Rng, dtype: DType) -> Graph:
    outer, count, frame = _outer(rng), size(rng, 1, 4), size(rng, 2, 17)
    step = size(rng, 1, frame - 1)
    frames = graph_input((*outer, count, frame), dtype, "frames")
    tail = state(np.zeros((*outer, frame - step), dtype.numpy), "tail")
    bundle = Node(Op.OVERLAP_ADD, (frames, tail), OverlapAdd(step), "bundle")
    types = overlap_add_parts(frames.type, step)
    return _graph(bundle, types, ("done", "next_tail"), outputs=1)


OPERATORS: dict[str, Draw] = {
    "window": _window,
    "fft_auto_scale": _auto_scale,
    "rfft": _rfft,
    "irfft": _irfft,
    "energy": _energy,
    "filter_bank": _filter_bank,
    "filter_bank_square_root": _square_root,
    "spectral_subtraction": _subtraction,
    "pcan": _pcan,
    "filter_bank_log": _log,
    "overlap_add": _overlap_add,
}
_FFT_TYPES = (DType.S16, DType.S32, DType.F32)
# (operator, element type of its activations): what is compared with TensorFlow Lite Micro.
GRID: list[tuple[str, DType]] = [
    *((name, DType.S16) for name in ("window", "fft_auto_scale", "energy", "overlap_add")),
    ("overlap_add", DType.F32),
    *((name, dtype) for name in ("rfft", "irfft") for dtype in _FFT_TYPES),
    *(
        (name, DType.U32)
        for name in ("filter_bank", "spectral_subtraction", "pcan", "filter_bank_log")
    ),
    ("filter_bank_square_root", DType.U64),
]
