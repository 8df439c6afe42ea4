"""Moving operators of the IR: what they mean at the edges and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.move import BroadcastTo, Gather, MirrorPad, Resize, StridedSlice
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant

F32, S8, S32 = DType.F32, DType.S8, DType.S32


def value(op: Op, attrs: Attrs, *arrays: np.ndarray) -> np.ndarray:
    """What the operator makes of arrays."""
    nodes = tuple(constant(array, f"c{at}") for at, array in enumerate(arrays))
    return run(Graph((), (Node(op, nodes, attrs, "y"),)), [])[0]


def test_slices_walk_backwards_to_the_first_element() -> None:
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    attrs = StridedSlice((2, 3), (3, 2), (-1, -3))
    assert value(Op.STRIDED_SLICE, attrs, x).tolist() == x[::-1, ::-3].tolist()


def test_mirrors_on_and_behind_the_edge() -> None:
    x = np.array([1, 2, 3], np.int8)
    assert value(Op.MIRROR_PAD, MirrorPad(((2, 1),)), x).tolist() == [3, 2, 1, 2, 3, 2]
    both = MirrorPad(((2, 1),), symmetric=True)
    assert value(Op.MIRROR_PAD, both, x).tolist() == [2, 1, 1, 2, 3, 3]


def test_indices_outside_are_moved_to_the_ends() -> None:
    x = np.arange(6, dtype=np.float32).reshape(3, 2)
    far = np.array([-1, 2**62, 1], np.int64)
    assert value(Op.GATHER, Gather(0), x, far).tolist() == [[0, 1], [4, 5], [2, 3]]
    pairs = np.array([[5, -7], [-9, 1]], np.int32)
    assert value(Op.GATHER_ND, Attrs(), x, pairs).tolist() == [4, 1]


def test_updates_that_would_leave_are_moved_inside() -> None:
    x, update = np.zeros((2, 3), np.int8), np.ones((1, 2), np.int8)
    wanted = [[0, 0, 0], [0, 1, 1]]
    for start in ([5, 5], [1, 1], [2**31 - 1, 1]):
        got = value(Op.DYNAMIC_UPDATE_SLICE, Attrs(), x, update, np.array(start, np.int32))
        assert got.tolist() == wanted


@pytest.mark.parametrize("dtype", [S8, F32], ids=str)
@pytest.mark.parametrize(("align", "half"), [(False, False), (True, False), (False, True)])
def test_one_cell_fills_any_image(dtype: DType, align: bool, half: bool) -> None:
    """The rounded step leads past a single cell at 70 times its size."""
    x = np.array([-77, 5], dtype.numpy).reshape(1, 1, 1, 2)
    got = value(Op.RESIZE_BILINEAR, Resize((70, 200), align, half), x)
    assert (got == np.broadcast_to(x, (1, 70, 200, 2))).all()


X = graph_input((2, 3), F32, "x")
INDEX = graph_input((2,), S32, "i")
IMAGE = graph_input((1, 2, 2, 1), F32, "image")
REFUSED = {
    "entries": (Op.STRIDED_SLICE, StridedSlice((0,), (1,), (1,)), (X,), r"\[1, 1, 1\] entries"),
    "outside": (
        Op.STRIDED_SLICE,
        StridedSlice((0, 1), (2, 2), (1, 2)),
        (X,),
        "axis 1 takes 2 elements from 1 in steps of 2; 1 or more elements inside 0 to 2 wanted",
    ),
    "stride 0": (Op.STRIDED_SLICE, StridedSlice((0, 0), (1, 1), (1, 0)), (X,), "in steps of 0"),
    "shrinks": (Op.BROADCAST_TO, BroadcastTo((3,)), (X,), r"does not broadcast to \[3\]"),
    "empty": (Op.BROADCAST_TO, BroadcastTo((0, 2, 3)), (X,), "does not broadcast"),
    "mirror": (Op.MIRROR_PAD, MirrorPad(((2, 0), (0, 0))), (X,), "0 to 1 wanted"),
    "axis": (Op.GATHER, Gather(2), (X, INDEX), r"axis is 2; an axis of f32\[2,3\] wanted"),
    "batch": (Op.GATHER, Gather(0, 1), (X, INDEX), "1 batch axes"),
    "depth": (Op.GATHER_ND, Attrs(), (X, graph_input((4, 3), S32, "i")), "1 to 2 wanted"),
    "start": (
        Op.DYNAMIC_UPDATE_SLICE,
        Attrs(),
        (X, X, graph_input((3,), S32, "i")),
        r"start is s32\[3\] for f32\[2,3\]; 2 numbers wanted",
    ),
    "update": (
        Op.DYNAMIC_UPDATE_SLICE,
        Attrs(),
        (X, graph_input((3, 3), F32, "u"), INDEX),
        r"update is f32\[3,3\]; one that fits",
    ),
    "rank": (Op.RESIZE_NEAREST, Resize((1, 1)), (X,), "4 axes"),
    "size": (Op.RESIZE_NEAREST, Resize((0, 1)), (IMAGE,), "heights and widths of 1"),
    "corners": (Op.RESIZE_BILINEAR, Resize((1, 1), True, True), (IMAGE,), "one of them wanted"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    op, attrs, src, message = REFUSED[name]
    with pytest.raises(InvalidGraph, match=rf"y \({op}\): .*{message}"):
        Node(op, src, attrs, "y")


def test_types_that_cannot_be_moved() -> None:
    """Scales that would have to move too, values that share a byte, indices that are no indices."""
    rows = graph_input((2, 3), S8, "x", Quant.per_axis(np.array([1.0, 2.0]), 0))
    with pytest.raises(UnsupportedOp, match="quantized per axis"):
        Node(Op.BROADCAST_TO, (rows,), BroadcastTo((2, 2, 3)), "y")
    half_bytes = graph_input((2, 3), DType.S4, "x")
    with pytest.raises(UnsupportedOp, match="two values a byte; s8 wanted"):
        Node(Op.GATHER, (half_bytes, INDEX), Gather(), "y")
    with pytest.raises(UnsupportedOp, match=r"indices is s8\[2\]; s32 or s64 wanted"):
        Node(Op.GATHER, (X, graph_input((2,), S8, "i")), Gather(), "y")
