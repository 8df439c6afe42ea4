"""Many samples at once give what one at a time gives."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import BadData, InvalidGraph
from milliwatt.ir.attrs import (
    Attrs,
    Concat,
    Elementwise,
    Mean,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.attrs.move import BroadcastTo, Gather, StridedSlice
from milliwatt.ir.attrs.pointwise import Cast, Pointwise
from milliwatt.ir.batch import batch_size, run_batches, run_samples, run_sequences, with_batch
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session, run
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.random_graphs import random_graph
from support.single_ops import random_inputs


@pytest.mark.parametrize("dtype", [DType.F32, DType.S8], ids=str)
def test_samples_equal_single_runs(dtype) -> None:
    """Random graphs: batched where they can be, one by one elsewhere, never a different value."""
    batched = 0
    for seed in range(40):
        graph = random_graph(seed, dtype)
        singles = [random_inputs(graph, 100 * seed + k) for k in range(3)]
        stacked = [np.concatenate(column) for column in zip(*singles, strict=True)]
        wanted = [run(graph, inputs) for inputs in singles]
        got = run_samples(graph, stacked)
        batched += batch_size(graph) > 1
        for index, node in enumerate(graph.outputs):
            rows = [values[index] for values in wanted]
            has_batch = node.type.shape[:1] == (1,)
            expected = np.concatenate(rows) if has_batch else np.stack(rows)
            if dtype.is_float:  # matrix products of other sizes may sum in another order
                scale = max(float(np.abs(expected).max()), 1.0)
                np.testing.assert_allclose(got[index], expected, rtol=1e-5, atol=1e-6 * scale)
            else:
                np.testing.assert_array_equal(got[index], expected)
    assert 5 < batched < 40


def test_with_batch_keeps_names_and_verifies() -> None:
    """Every activation has the samples on axis 0."""
    x = graph_input((1, 2, 3), DType.F32, "x")
    flat = Node(Op.RESHAPE, (x,), Reshape((1, 6)), "flat")
    graph = Graph((x,), (Node(Op.TANH, (flat,), Unary(), "y"),))
    five = verify(with_batch(graph, 5))
    assert [(n.name, n.type.shape) for n in five.nodes()] == [
        ("x", (5, 2, 3)),
        ("flat", (5, 6)),
        ("y", (5, 6)),
    ]


@pytest.mark.parametrize(
    ("op", "attrs", "wrong"),
    [
        (
            Op.RESHAPE,
            Reshape((6, 1)),
            r"y \(reshape\): f32\[1,2,3\] does not reshape|y \(reshape\): f32\[4,2,3\] does not",
        ),
        (Op.MEAN, Mean((0,)), r"y \(mean\): f32\[2,3\] becomes f32\[2,3\]"),
        (Op.TRANSPOSE, Transpose((1, 0, 2)), r"y \(transpose\)"),
    ],
    ids=["reshape", "mean", "transpose"],
)
def test_no_batch_axis(op, attrs, wrong) -> None:
    """Operators that mix axis 0 with others are named, and run sample by sample."""
    x = graph_input((1, 2, 3), DType.F32, "x")
    graph = Graph((x,), (Node(op, (x,), attrs, "y"),))
    with pytest.raises(InvalidGraph, match=wrong):
        with_batch(graph, 4)
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    expected = np.stack([run(graph, [values[k : k + 1]])[0] for k in range(4)])
    np.testing.assert_array_equal(run_samples(graph, [values])[0], expected)


def test_input_without_batch_axis() -> None:
    """Inputs whose axis 0 is not 1 are stacked on a new axis."""
    x = graph_input((4, 3), DType.F32, "x")
    graph = Graph((x,), (Node(Op.TANH, (x,), Unary(), "y"),))
    values = np.random.default_rng(0).standard_normal((5, 4, 3)).astype(np.float32)
    assert run_samples(graph, [values])[0].shape == (5, 4, 3)


def test_memory_is_bounded() -> None:
    """A graph of large activations runs fewer samples at once."""
    small = graph_input((1, 8), DType.F32, "x")
    large = graph_input((1, 1 << 20), DType.F32, "x")
    sizes = [batch_size(Graph((x,), (Node(Op.TANH, (x,), Unary(), "y"),))) for x in (small, large)]
    assert sizes[0] == 32
    assert sizes[1] == 1


def test_unequal_numbers_of_samples() -> None:
    """Two inputs must hold as many samples."""
    a, b = (graph_input((1, 2), DType.F32, name) for name in "ab")
    graph = Graph((a, b), (Node(Op.TANH, (a,), Unary(), "y"), Node(Op.TANH, (b,), Unary(), "z")))
    with pytest.raises(BadData, match=r"inputs hold \[3, 2\] samples"):
        next(run_batches(graph, [np.zeros((3, 2), np.float32), np.zeros((2, 2), np.float32)]))


def _picked(x: Node, attrs: Gather) -> Node:
    """gather by an index computed from x itself: its sign, 0 or 1."""
    first = Node(Op.STRIDED_SLICE, (x,), StridedSlice((0, 0), (1, 1), (1, 1)), "first")
    whole = Node(Op.CAST, (Node(Op.SIGN, (first,), Pointwise(), "s"),), Cast(DType.S32), "index")
    return Node(Op.GATHER, (x, whole), attrs, "y")


def _table(x: Node) -> Node:
    """Rows of a constant table, chosen by the sign of every element of x."""
    sign = Node(Op.SIGN, (x,), Pointwise(), "s")
    indices = Node(Op.CAST, (sign,), Cast(DType.S32), "index")
    rows = constant(np.arange(4, dtype=np.float32).reshape(2, 2), "rows")
    return Node(Op.GATHER, (rows, indices), Gather(), "y")


def _updated(x: Node) -> Node:
    """The first element of x replaced by a constant."""
    fresh = constant(np.full((1, 1), 9, np.float32), "fresh")
    start = constant(np.zeros(2, np.int32), "start")
    return Node(Op.DYNAMIC_UPDATE_SLICE, (x, fresh, start), Attrs(), "y")


def _lower_rank(x: Node) -> Node:
    """x [1,2] beside a reshape [1,2,2] of its own: its axis 0 stands beside axis 1."""
    twice = Node(Op.CONCAT, (x, x), Concat(1), "twice")
    high = Node(Op.RESHAPE, (twice,), Reshape((1, 2, 2)), "high")
    return Node(Op.ADD, (x, high), Elementwise(), "y")


MIXING = {
    "gather along axis 0": lambda x: _picked(x, Gather(0)),
    "gather_nd": lambda x: Node(
        Op.GATHER_ND, (x, constant(np.zeros((1, 2), np.int32), "zero")), Attrs(), "y"
    ),
    "constant update": _updated,
    "operand of fewer axes": _lower_rank,
    "softmax of a vector": lambda x: Node(
        Op.SOFTMAX,
        (Node(Op.RESHAPE, (Node(Op.MEAN, (x,), Mean((1,)), "m"),), Reshape((1,)), "r"),),
        Softmax(),
        "y",
    ),
}
APART = {
    "rows of a table": _table,
    "gather along another axis": lambda x: Node(
        Op.GATHER, (x, constant(np.array([1, 0, 1], np.int32), "order")), Gather(1), "y"
    ),
    "gather of its own": lambda x: _picked(x, Gather(1, 1)),
    "strided slice": lambda x: Node(
        Op.STRIDED_SLICE, (x,), StridedSlice((0, 1), (1, 2), (-1, -1)), "y"
    ),
    "broadcast": lambda x: Node(
        Op.BROADCAST_TO,
        (Node(Op.MEAN, (x,), Mean((1,), True), "m"),),
        BroadcastTo((1, 3)),
        "y",
    ),
}


@pytest.mark.parametrize("make", [*MIXING.values(), *APART.values()], ids=[*MIXING, *APART])
def test_samples_stay_apart(make) -> None:
    """Operators that would mix samples run one by one; what can be batched is; all values hold."""
    x = graph_input((1, 2), DType.F32, "x")
    graph = Graph((x,), (make(x),))
    assert (batch_size(graph) > 1) == (make in APART.values())
    values = np.random.default_rng(0).standard_normal((6, 2)).astype(np.float32)
    wanted = [run(graph, [values[k : k + 1]])[0] for k in range(6)]
    has_batch = graph.outputs[0].type.shape[:1] == (1,)
    got = run_samples(graph, [values])[0]
    np.testing.assert_array_equal(got, np.concatenate(wanted) if has_batch else np.stack(wanted))


@pytest.mark.parametrize("shape", [(1, 2), (2,)])
def test_sequences_keep_their_states(shape) -> None:
    """Every sequence is a session of its own, side by side where there is a batch axis."""
    x = graph_input(shape, DType.F32, "x")
    held = state(np.ones(shape, np.float32), "held")
    total = Node(Op.ADD, (x, held), Elementwise(), "total")
    graph = Graph((x,), (total,), ((held, total),))
    assert (batch_size(graph) > 1) == (shape == (1, 2))
    data = np.random.default_rng(0).standard_normal((5, 4, 2)).astype(np.float32)
    wanted = np.empty((5, 4, 2), np.float32)
    for index, frames in enumerate(data):
        session = Session(graph)
        for at, frame in enumerate(frames):
            wanted[index, at] = session.run([frame.reshape(shape)])[0].reshape(2)
    got = np.empty_like(wanted)
    for rows, frame, values in run_sequences(graph, [data]):
        got[rows, frame] = values["total"]
    np.testing.assert_array_equal(got, wanted)
