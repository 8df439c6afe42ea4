"""Reductions, searches, norms and detection: what is refused, and fixed-point functions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from milliwatt.compiler.bind import bind
from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Attrs, Pool2d
from milliwatt.ir.attrs.reduce import Arg, CumSum, Detection, Reduce, Sum
from milliwatt.ir.graph import Node, graph_input
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType, Quant, Type

F32, S8, S16, S32 = DType.F32, DType.S8, DType.S16, DType.S32
X = graph_input((2, 3), F32, "x")
Q = graph_input((2, 3), S8, "q", Quant.per_tensor(0.5, -128))
WIDE = graph_input((2, 3), S16, "w", Quant.per_tensor(0.5, 1))
BOXES, SCORES = graph_input((1, 6, 4), F32, "b"), graph_input((1, 6, 3), F32, "s")
ANCHORS = graph_input((6, 4), F32, "a")
PLAIN = Detection(4, 2, 0.1, 0.5, (1.0, 1.0, 1.0, 1.0))

REFUSED: dict[str, tuple[Op, Attrs, tuple[Node, ...], str]] = {
    "axis": (Op.SUM, Sum((2,)), (X,), r"axes are \[2\]; sorted, distinct, 0 to 1 wanted"),
    "order": (Op.REDUCE_MAX, Reduce((1, 0)), (X,), r"axes are \[1, 0\]"),
    "twice": (Op.REDUCE_MIN, Reduce((1, 1)), (X,), r"axes are \[1, 1\]"),
    "no scale": (Op.SUM, Sum((0,)), (Q,), "no quantization"),
    "point": (Op.SUM, Sum((0,), quant=Q.type.quant), (WIDE,), "zero point 1; 0 wanted for s16"),
    "search": (Op.ARG_MAX, Arg(-1), (X,), "axis is -1; 0 to 1 wanted"),
    "cumsum": (Op.CUMSUM, CumSum(2), (X,), "axis is 2; 0 to 1 wanted"),
    "fine": (
        Op.CUMSUM,
        CumSum(0, quant=Quant.per_tensor(2.0**-21)),
        (Q,),
        "result scale is 4.76837e-07; more than 9.53674e-07 wanted",
    ),
    "scalar": (Op.LOG_SOFTMAX, Attrs(), (graph_input((), F32, "x"),), "one axis or more"),
    "step": (
        Op.LOG_SOFTMAX,
        Attrs(),
        (graph_input((4,), S8, "x", Quant.per_tensor(2.0**-26)),),
        "input scale is 1.49012e-08; more than 2.98023e-08 wanted",
    ),
    "rank": (Op.L2_POOL2D, Pool2d((1, 1), (1, 1)), (X,), "4 axes"),
    "boxes": (Op.DETECTION_POSTPROCESS, PLAIN, (X, SCORES, ANCHORS), r"boxes are f32\[2,3\]"),
    "anchors": (Op.DETECTION_POSTPROCESS, PLAIN, (BOXES, SCORES, X), r"\[6,4\] wanted"),
    "scores": (Op.DETECTION_POSTPROCESS, PLAIN, (BOXES, X, ANCHORS), r"\[1,6,2\] wanted"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    op, attrs, src, message = REFUSED[name]
    with pytest.raises(InvalidGraph, match=rf"y \({op}\): .*{message}"):
        Node(op, src, attrs, "y")


def test_types_without_a_meaning() -> None:
    with pytest.raises(UnsupportedOp, match=r"input is s32\[2,3\]; f32 or s8 or s16 wanted"):
        Node(Op.SUM, (graph_input((2, 3), S32, "x"),), Sum((0,)), "y")
    with pytest.raises(UnsupportedOp, match=r"input is f32\[2,3\]; bool wanted"):
        Node(Op.REDUCE_ALL, (X,), Reduce((0,)), "y")
    with pytest.raises(UnsupportedOp, match=r"boxes is s8\[2,3\]; f32 wanted"):
        Node(Op.DETECTION_POSTPROCESS, (Q, SCORES, ANCHORS), PLAIN, "y")


@pytest.mark.parametrize(
    ("op", "attrs", "most", "scale", "message"),
    [
        (Op.L2_NORMALIZATION, Attrs(), (2**31 - 1) // 255**2, 0.5, "rows of 33026 values; at most"),
        (Op.LOG_SOFTMAX, Attrs(), 4095, 0.5, "rows of 4096 values; at most 4095 wanted"),
        (Op.SUM, Sum((0,), quant=Quant.per_tensor(0.6)), (2**31 - 1025) // 255, 0.5, "may reach"),
    ],
)
def test_rows_that_leave_32_bits(
    op: Op, attrs: Attrs, most: int, scale: float, message: str
) -> None:
    """The longest row is bound, one value more is refused."""
    quant = Quant.per_tensor(scale, -128)

    def node(size: int) -> Node:
        return Node(op, (graph_input((size,), S8, "x", quant),), attrs, "y")

    assert bind(node(most)).kernel
    with pytest.raises(UnsupportedOp, match=rf"y \({op}\): .*{message}"):
        bind(node(most + 1))


def test_inverse_square_root_is_one() -> None:
    rng = np.random.default_rng(0)
    edges = [1 << bit for bit in range(31)]
    values = np.array(
        [*edges, *(e - 1 for e in edges[1:]), 2**31 - 1, *rng.integers(2, 2**31, 500)]
    )
    multiplier, shift = fx.inverse_square_root(values)
    real = multiplier / 2.0**31 * 2.0**shift
    assert np.abs(real * np.sqrt(values) - 1).max() < 2e-6  # what five steps reach
    assert fx.inverse_square_root(np.array([0]))[0] == fx.INT32_MAX


def test_log_from_one_is_the_logarithm() -> None:
    rng = np.random.default_rng(0)
    edges = np.array([1 << bit for bit in range(19, 31)])
    values = np.concatenate([edges, edges + 1, rng.integers(1 << 19, 2**31, 2000), [2**31 - 1]])
    logs = fx.log_from_one(values, 12, 5) / 2.0**26
    assert np.abs(logs - np.log(values / 2.0**19)).max() < 1e-6


def reference(op: Op, attrs: Attrs, x: np.ndarray) -> np.ndarray:
    """The result for one f32 operand."""
    node = Node(op, (graph_input(x.shape, F32, "x"),), attrs, "y")
    kinds = [Type(x.shape, F32)]
    return OPS[op].reference(attrs, node.type, kinds, [x.astype(np.float32)])


def test_numbers_that_are_none() -> None:
    """NaN and infinity as in TFLite's loops."""
    rows = np.array([[math.nan, 1, 2], [1, math.nan, 2], [-math.inf] * 3, [math.nan] * 3])
    most = np.finfo(np.float32).max
    assert reference(Op.REDUCE_MAX, Reduce((1,)), rows).tolist() == [2, 2, -most, -most]
    assert reference(Op.REDUCE_MIN, Reduce((1,)), rows).tolist() == [
        1,
        1,
        -math.inf,
        most,
    ]
    assert reference(Op.ARG_MAX, Arg(1), rows).tolist() == [0, 2, 0, 0]
    assert reference(Op.ARG_MIN, Arg(1), rows).tolist() == [0, 0, 0, 0]
