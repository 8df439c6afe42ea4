"""Draws of the family `move`: what TensorFlow Lite Micro's limits of rank allow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.move import BroadcastTo, Gather, MirrorPad, Resize, StridedSlice
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.ops.core import Draw, Rng, size, some_input, some_shape


def some_slice(rng: Rng, shape: tuple[int, ...]) -> StridedSlice:
    """Any slice of a value of `shape`: strides of both signs, whole axes among the others."""
    cells = []
    for dim in shape:
        if rng.random() < 0.3:
            cells.append((0, dim, 1))
            continue
        begin, step = size(rng, 0, dim - 1), size(rng, 1, 3) * int(rng.choice([1, 1, -1]))
        most = (begin if step < 0 else dim - 1 - begin) // abs(step) + 1
        cells.append((begin, size(rng, 1, most), step))
    begin, count, strides = zip(*cells, strict=True)
    return StridedSlice(begin, count, strides)


def _strided_slice(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    return Node(Op.STRIDED_SLICE, (x,), some_slice(rng, x.type.shape), "y")


def _broadcast_to(rng: Rng, dtype: DType) -> Node:
    full = some_shape(rng, (1, 5))
    thin = tuple(1 if rng.random() < 0.5 else d for d in full)
    x = some_input(rng, dtype, thin[size(rng, 0, len(thin) - 1) :])
    return Node(Op.BROADCAST_TO, (x,), BroadcastTo(full), "y")


def _mirror_pad(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    symmetric = bool(rng.random() < 0.5)
    most = [d if symmetric else d - 1 for d in x.type.shape]
    paddings = tuple((size(rng, 0, m), size(rng, 0, m)) for m in most)
    return Node(Op.MIRROR_PAD, (x,), MirrorPad(paddings, symmetric), "y")


def _gather(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    axis = size(rng, 0, len(x.type.shape) - 1)
    batch = size(rng, 0, axis) if rng.random() < 0.4 else 0
    # TFLM reads the first index of a scalar's shape as its size: at least one axis.
    shape = x.type.shape[:batch] + some_shape(rng, (1, 2))
    indices = rng.integers(0, x.type.shape[axis], shape).astype(np.int32)
    return Node(Op.GATHER, (x, constant(indices, "indices")), Gather(axis, batch), "y")


def _gather_nd(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    depth = size(rng, 1, len(x.type.shape))
    shape = some_shape(rng, (1, 2))
    columns = [rng.integers(0, d, shape) for d in x.type.shape[:depth]]
    indices = np.stack(columns, -1).astype(np.int32)
    return Node(Op.GATHER_ND, (x, constant(indices, "indices")), Attrs(), "y")


def _dynamic_update_slice(rng: Rng, dtype: DType) -> Node:
    """The start is an input of any value: TFLM moves it inside."""
    x = some_input(rng, dtype, some_shape(rng))
    shape = tuple(size(rng, 1, d) for d in x.type.shape)
    update = graph_input(shape, dtype, "update", x.type.quant)
    wide = DType.S64 if rng.random() < 0.3 else DType.S32
    start: Node
    if rng.random() < 0.5:
        start = graph_input((len(shape),), wide, "start")
    else:
        values = rng.integers(-2, 8, len(shape)).astype(wide.numpy)
        start = constant(values, "start")
    return Node(Op.DYNAMIC_UPDATE_SLICE, (x, update, start), Attrs(), "y")


def _resize(op: Op) -> Callable[[Rng, DType], Node]:
    def draw(rng: Rng, dtype: DType) -> Node:
        shape = (size(rng, 1, 2), size(rng, 1, 12), size(rng, 1, 12), size(rng, 1, 6))
        x = some_input(rng, dtype, shape)
        to = (size(rng, 1, 24), size(rng, 1, 24))
        if rng.random() < 0.3:
            to = (shape[1] * size(rng, 1, 3), shape[2] * size(rng, 1, 3))
        align, half = bool(rng.random() < 0.4), bool(rng.random() < 0.4)
        half = half and not (align and op is Op.RESIZE_BILINEAR)
        return Node(op, (x,), Resize(to, align, half), "y")

    return draw


OPERATORS: dict[str, Draw] = {
    "strided_slice": _strided_slice,
    "broadcast_to": _broadcast_to,
    "mirror_pad": _mirror_pad,
    "gather": _gather,
    "gather_nd": _gather_nd,
    "dynamic_update_slice": _dynamic_update_slice,
    "resize_bilinear": _resize(Op.RESIZE_BILINEAR),
    "resize_nearest": _resize(Op.RESIZE_NEAREST),
}
_WIDE = ("strided_slice", "broadcast_to", "dynamic_update_slice")
_LITERT = ("gather", "gather_nd", "mirror_pad")
# What TensorFlow Lite Micro lacks.
ORACLE: dict[tuple[str, DType], str] = {
    **{(name, dtype): "litert" for name in _LITERT for dtype in (DType.S16, DType.S32)},
    ("resize_bilinear", DType.S16): "litert",
}
# (operator, element type of its activations): what is compared with TensorFlow Lite Micro.
GRID: list[tuple[str, DType]] = [
    *((name, dtype) for name in OPERATORS for dtype in (DType.S8, DType.F32)),
    *((name, dtype) for name in _WIDE for dtype in (DType.S16, DType.S32)),
    ("strided_slice", DType.BOOL),
    ("broadcast_to", DType.BOOL),
    ("broadcast_to", DType.S64),
    ("resize_nearest", DType.S16),
    *ORACLE,
]
