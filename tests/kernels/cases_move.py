"""Grids of the family `move`: walks, tables, indices inside and outside, places between cells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import numpy as np

from kernels.cases_core import Case, grid, quantized
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.move import BroadcastTo, Gather, MirrorPad, Resize, ShiftIn, StridedSlice
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_SHAPES = ((1,), (7,), (3, 5), (2, 3, 4), (2, 3, 2, 5), (2, 1, 3, 2, 3))
_ANY = (DType.S8, DType.F32, DType.BOOL, DType.S16, DType.S64)


def _input(dtype: DType, shape: tuple[int, ...], name: str = "x") -> Node:
    return graph_input(shape, dtype, name, quantized(dtype, 3) if dtype is DType.S8 else None)


def strided_slice(dtype: DType) -> Iterator[Node]:
    """Whole axes, parts of them, steps of both signs on each axis in turn."""
    for shape in _SHAPES:
        whole = [(0, dim, 1) for dim in shape]
        for axis, dim in enumerate(shape):
            for cell in {(0, dim, 1), (dim - 1, dim, -1), (dim // 2, 1, 3), (0, -(-dim // 2), 2)}:
                cells = [*whole[:axis], cell, *whole[axis + 1 :]]
                yield _slice(dtype, shape, cells)
        yield _slice(dtype, shape, [(dim - 1, -(-dim // 2), -2) for dim in shape])


def _slice(dtype: DType, shape: tuple[int, ...], cells: list[tuple[int, int, int]]) -> Node:
    begin, size, strides = zip(*cells, strict=True)
    attrs = StridedSlice(begin, size, strides)
    return Node(Op.STRIDED_SLICE, (_input(dtype, shape),), attrs, "y")


def broadcast_to(dtype: DType) -> Iterator[Node]:
    """Every set of repeated axes of a shape of three, and axes that the operand lacks."""
    for thin in itertools.product((1, 4), (1, 3), (1, 5)):
        yield Node(Op.BROADCAST_TO, (_input(dtype, thin),), BroadcastTo((4, 3, 5)), "y")
    for shape in ((), (1,), (5,), (3, 1)):
        yield Node(Op.BROADCAST_TO, (_input(dtype, shape),), BroadcastTo((2, 3, 5)), "y")
    yield Node(Op.BROADCAST_TO, (_input(dtype, ()),), BroadcastTo(()), "y")


def mirror_pad(dtype: DType) -> Iterator[Node]:
    """Both mirrors with the least and the largest paddings on every axis."""
    for shape, symmetric in itertools.product(_SHAPES, (False, True)):
        most = [dim if symmetric else dim - 1 for dim in shape]
        for axis in range(len(shape)):
            for pair in ((most[axis], 0), (0, most[axis]), (most[axis], most[axis])):
                paddings = tuple(pair if at == axis else (0, 0) for at in range(len(shape)))
                attrs = MirrorPad(paddings, symmetric)
                yield Node(Op.MIRROR_PAD, (_input(dtype, shape),), attrs, "y")
        attrs = MirrorPad(tuple((m // 2, m) for m in most), symmetric)
        yield Node(Op.MIRROR_PAD, (_input(dtype, shape),), attrs, "y")


def _indices(shape: tuple[int, ...], dim: int, kind: DType, way: str) -> Node:
    """Computed ones take any value of their type: most lie outside."""
    if way == "computed":
        return graph_input(shape, kind, "indices")
    margin = 3 if way == "outside" else 0
    rng = np.random.default_rng([*shape, dim])
    return constant(rng.integers(-margin, dim + margin, shape).astype(kind.numpy), "indices")


def gather(dtype: DType) -> Iterator[Node]:
    """Every axis and number of batch axes; s32 and s64 indices, inside, outside, computed."""
    ways = ("inside", "outside", "computed")
    tails = ((), (1,), (4,), (2, 3))
    turn = itertools.cycle(itertools.product(ways, (DType.S32, DType.S64)))
    for shape in _SHAPES:
        for axis in range(len(shape)):
            for batch, tail in itertools.product(range(axis + 1), tails):
                way, kind = next(turn)
                indices = _indices((*shape[:batch], *tail), shape[axis], kind, way)
                src = (_input(dtype, shape), indices)
                yield Node(Op.GATHER, src, Gather(axis, batch), "y")


def gather_nd(dtype: DType) -> Iterator[Node]:
    """Every depth; s32 and s64 indices, inside, outside, computed."""
    ways = ("inside", "outside", "computed")
    for shape, way, kind in itertools.product(_SHAPES, ways, (DType.S32, DType.S64)):
        for depth in range(1, len(shape) + 1):
            indices = _indices((3, depth), min(shape[:depth]), kind, way)
            yield Node(Op.GATHER_ND, (_input(dtype, shape), indices), Attrs(), "y")


def dynamic_update_slice(dtype: DType) -> Iterator[Node]:
    """Updates of one element, of a part and of everything, from anywhere, also over x itself."""
    ways = ("inside", "outside", "computed")
    for shape, way, kind in itertools.product(_SHAPES, ways, (DType.S32, DType.S64)):
        for part in ((1,) * len(shape), tuple(-(-dim // 2) for dim in shape), shape):
            start = _indices((len(shape),), max(shape), kind, way)
            x, update = _input(dtype, shape), _input(dtype, part, "update")
            yield Node(Op.DYNAMIC_UPDATE_SLICE, (x, update, start), Attrs(), "y")
    x, start = _input(dtype, (3, 4)), _indices((2,), 3, DType.S32, "inside")
    yield Node(Op.DYNAMIC_UPDATE_SLICE, (x, x, start), Attrs(), "y")


def resize(op: Op) -> Callable[[DType], Iterator[Node]]:
    """Sizes up and down, whole factors among them, with every way of placing cells."""

    def make(dtype: DType) -> Iterator[Node]:
        for option in grid(
            60,
            size=((1, 1), (4, 4), (5, 3), (2, 7), (9, 6)),
            to=((1, 1), (8, 8), (10, 6), (3, 5), (4, 21), (70, 2)),
            placed=((False, False), (True, False), (False, True)),
            batches=(1, 2),
            channels=(1, 2, 3, 9),
        ):
            shape = (option["batches"], *option["size"], option["channels"])
            yield Node(op, (_input(dtype, shape),), Resize(option["to"], *option["placed"]), "y")
        for factors in ((1, 1), (2, 2), (3, 1)):
            to = (4 * factors[0], 5 * factors[1])
            yield Node(op, (_input(dtype, (2, 4, 5, 3)),), Resize(to), "y")

    return make


def shift_in(dtype: DType) -> Iterator[Node]:
    """A buffer of several rows, of one; some, all and one of its positions new."""
    for shape, axis, fresh in (
        ((1, 5, 3), 1, 1),
        ((2, 4, 2), 1, 3),
        ((7,), 0, 2),
        ((3, 2), 1, 2),
        ((2, 3, 40), 2, 39),
    ):
        new = (*shape[:axis], fresh, *shape[axis + 1 :])
        src = (
            _input(dtype, shape),
            graph_input(new, dtype, "fresh", _input(dtype, new).type.quant),
        )
        yield Node(Op.SHIFT_IN, src, ShiftIn(axis), "y")


_GRIDS: dict[str, Callable[[DType], Iterator[Node]]] = {
    "shift_in": shift_in,
    "strided_slice": strided_slice,
    "broadcast_to": broadcast_to,
    "mirror_pad": mirror_pad,
    "gather": gather,
    "gather_nd": gather_nd,
    "dynamic_update_slice": dynamic_update_slice,
    "resize_nearest": resize(Op.RESIZE_NEAREST),
}
CASES: tuple[Case, ...] = tuple(
    (f"{name}-{dtype}-{number}", node)
    for name, make in (*_GRIDS.items(), ("resize_bilinear", resize(Op.RESIZE_BILINEAR)))
    for dtype in (_ANY if name in _GRIDS else (DType.S8, DType.S16, DType.F32))
    for number, node in enumerate(make(dtype))
)
