"""Grids of the family `reduce`: every set of axes, ties, special values, suppression."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from kernels.cases_core import Case, grid, quantized
from milliwatt.ir.attrs import NO_CLAMP, RELU, Attrs, Pool2d
from milliwatt.ir.attrs.reduce import Arg, CumSum, Detection, Reduce, Sum
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant
from support.ops.core import same_padding
from support.ops.reduce import detection

F32, S8, S16, S32, BOOL = DType.F32, DType.S8, DType.S16, DType.S32, DType.BOOL
_SHAPES = ((), (1,), (7,), (3, 5), (2, 3, 4), (2, 1, 3, 5), (2, 3, 1, 2, 3))
_SPECIAL = (np.inf, -np.inf, np.nan, 3e38, -3e38, 1e-42, -0.0, 0.0, 1.0)


def _input(dtype: DType, shape: tuple[int, ...], number: int = 0) -> Node:
    zero = (-128, 127, 0, 7, -101)[number % 5]
    return graph_input(shape, dtype, "x", quantized(dtype, zero))


def _specials(rows: int, row: int) -> Node:
    """f32 [rows,row] of infinities, NaN, the largest and the least."""
    rng = np.random.default_rng(rows)
    values = rng.choice(np.array(_SPECIAL, np.float32), (rows, row))
    # A row of NaN alone, and of -infinity.
    values[0], values[1] = np.nan, -np.inf
    return constant(values, "x")


def _sets(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Every set of axes, none among them."""
    for count in range(len(shape) + 1):
        yield from itertools.combinations(range(len(shape)), count)


def sums(op: Op, dtype: DType) -> Iterator[Node]:
    """Every set of axes of every shape; results that saturate and that do not."""
    number = 0
    for shape in _SHAPES:
        for axes in _sets(shape):
            number += 1
            x = _input(dtype, shape, number)
            quant = quantized(dtype, (3, -128)[number % 2], (0.05, 0.7)[number % 2])
            yield Node(op, (x,), Sum(axes, number % 3 == 0, quant), "y")
    if dtype is F32:
        yield Node(op, (_specials(20, 3),), Sum((1,)), "y")


def extrema(op: Op, dtype: DType) -> Iterator[Node]:
    """Every set of axes of every shape."""
    for number, shape in enumerate(_SHAPES):
        for axes in _sets(shape):
            yield Node(op, (_input(dtype, shape, number),), Reduce(axes, number % 2 == 0), "y")
    if dtype is F32:
        yield Node(op, (_specials(200, 2),), Reduce((1,)), "y")
    if dtype is S32:
        limits = constant(np.array([[-(2**31)] * 2, [2**31 - 1] * 2], np.int32), "x")
        yield Node(op, (limits,), Reduce((1,)), "y")


def places(op: Op, dtype: DType) -> Iterator[Node]:
    """Every axis; many equal values."""
    for number, shape in enumerate(_SHAPES):
        for axis in range(len(shape)):
            yield Node(op, (_input(dtype, shape, number),), Arg(axis), "y")
    if dtype is F32:
        yield Node(op, (_specials(200, 4),), Arg(1), "y")
    else:
        few = np.random.default_rng(0).integers(-2, 2, (50, 9)).astype(dtype.numpy)
        yield Node(op, (constant(few, "x", quantized(dtype, 0)),), Arg(1), "y")


def cumulative(op: Op, dtype: DType) -> Iterator[Node]:
    """Every axis, both ways; in s8 also sums that wrap."""
    for number, shape in enumerate((*_SHAPES, (90,))):
        for axis in range(len(shape)):
            for exclusive, reverse in itertools.product((False, True), repeat=2):
                quant = quantized(dtype, 5, (0.05, 0.9)[number % 2])
                attrs = CumSum(axis, exclusive, reverse, quant)
                yield Node(op, (_input(dtype, shape, number),), attrs, "y")


def l2_pool(op: Op, dtype: DType) -> Iterator[Node]:
    """Windows, strides, padding; sums that overflow."""
    for option in grid(
        24,
        size=((1, 1), (4, 4), (5, 7), (9, 6)),
        kernel=((1, 1), (2, 2), (3, 3), (2, 4)),
        stride=((1, 1), (2, 1), (3, 2)),
        channels=(1, 2, 5),
        clamp=(NO_CLAMP, RELU, (0.0, 6.0)),
    ):
        padding = same_padding(option["size"], option["kernel"], option["stride"], (1, 1))
        x = _input(dtype, (2, *option["size"], option["channels"]))
        attrs = Pool2d(option["kernel"], option["stride"], padding, option["clamp"])
        yield Node(op, (x,), attrs, "y")
    large = constant(np.full((1, 2, 2, 1), 3e20, np.float32), "x")
    yield Node(op, (large,), Pool2d((2, 2), (1, 1)), "y")


def norms(op: Op, dtype: DType) -> Iterator[Node]:
    """Short and long rows, steps of all sizes, rows of nearly nothing and of the most."""
    for row, scale in itertools.product((1, 2, 3, 17, 300), (1e-6, 0.001, 0.05, 0.4, 3.0, 40.0)):
        zero = (-128, 127, 0, 40)[row % 4]
        quant = Quant.per_tensor(scale, zero) if dtype is S8 else None
        yield Node(op, (graph_input((4, row), dtype, "x", quant),), Attrs(), "y")
    if dtype is F32:
        for size in (0.0, 1e-30, 1e-7, 1e10, 1e19):
            values = np.array([[1, -2, 3], [0, 0, 1]], np.float32) * np.float32(size)
            yield Node(op, (constant(values, "x"),), Attrs(), "y")
        return
    for zero in (-128, 0, 127):
        quant = Quant.per_tensor(0.05, zero)
        inward = -1 if zero > 0 else 1
        one = np.full((3, 9), zero)
        one[1, 2], one[2, :5] = zero + inward, zero + inward
        for values in (one, np.full((2, 2000), -zero if zero else -128)):
            held = constant(np.clip(values, -128, 127).astype(np.int8), "x", quant)
            yield Node(op, (held,), Attrs(), "y")


def detections(op: Op, dtype: DType) -> Iterator[Node]:
    """Draws of both ways, and equal scores, boxes without area, scores that are no number."""
    for seed in range(40):
        rng = np.random.default_rng([seed, 3])
        yield detection(rng, regular=seed % 2 == 0)[0]
    for regular in (False, True):
        count = 12
        boxes = np.zeros((1, count, 4), np.float32)
        boxes[0, 3:6, 2:] = -np.inf
        scores = np.full((1, count, 3), 0.5, np.float32)
        scores[0, 2, 1], scores[0, 8, 2], scores[0, 9] = 0.9, 0.8, np.nan
        scores[0, 10, 1], scores[0, 11, 2] = np.nan, np.nan
        anchors = np.tile(np.array([[0, 0, 1, 1]], np.float32), (count, 1))
        anchors[::2, 0] = 3
        src = tuple(
            constant(v, n)
            for v, n in zip((boxes, scores, anchors), ("boxes", "scores", "anchors"), strict=True)
        )
        for most, each in ((1, 5), (4, 1), (30, 100)):
            attrs = Detection(most, 2, 0.3, 0.5, (1.0, 2.0, 3.0, 4.0), regular, each)
            yield Node(op, src, attrs, "y")


_GRIDS: tuple[tuple[Op, tuple[DType, ...], Callable[[Op, DType], Iterator[Node]]], ...] = (
    (Op.SUM, (F32, S8, S16), sums),
    (Op.REDUCE_MAX, (F32, S8, S16, S32, BOOL), extrema),
    (Op.REDUCE_MIN, (F32, S8, S16, S32), extrema),
    (Op.REDUCE_ALL, (BOOL,), extrema),
    (Op.ARG_MAX, (F32, S8, S32), places),
    (Op.ARG_MIN, (F32, S8, S32), places),
    (Op.CUMSUM, (F32, S8), cumulative),
    (Op.L2_POOL2D, (F32,), l2_pool),
    (Op.L2_NORMALIZATION, (F32, S8), norms),
    (Op.LOG_SOFTMAX, (F32, S8), norms),
    (Op.DETECTION_POSTPROCESS, (F32,), detections),
)
CASES: tuple[Case, ...] = tuple(
    (f"{op}-{dtype}-{number}", node)
    for op, dtypes, make in _GRIDS
    for dtype in dtypes
    for number, node in enumerate(make(op, dtype))
)
