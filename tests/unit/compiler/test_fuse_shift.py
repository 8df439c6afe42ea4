"""Ring buffers become one operator that works in place; everything else stays."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compiler.passes.fuse_shift import fuse_shift
from milliwatt.compiler.program import compile_graph
from milliwatt.ir.attrs import Concat, Elementwise
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify

QUANT = Quant.per_tensor(0.5, 3)


def ring(fresh: int = 2, *, kept: int = 5, begin: int | None = None, other: bool = False) -> Graph:
    """A buffer of `kept` positions joined with `fresh` ones; `other` reads the buffer once more."""
    x = graph_input((1, fresh, 3), DType.S8, "x", QUANT)
    first = np.arange(3 * kept, dtype=np.int8).reshape(1, kept, 3)
    old = state(first, "old", QUANT)
    joined = Node(Op.CONCAT, (old, x), Concat(1), "joined")
    start = fresh if begin is None else begin
    cut = StridedSlice((0, start, 0), (1, kept, 3), (1, 1, 1))
    new = Node(Op.STRIDED_SLICE, (joined,), cut, "new")
    out = Node(Op.ADD, (joined, joined), Elementwise(quant=QUANT), "out")
    outputs = (
        (out, Node(Op.ADD, (old, old), Elementwise(quant=QUANT), "again")) if other else (out,)
    )
    return Graph((x,), outputs, ((old, new),))


def runs(graph: Graph, count: int = 6) -> list[tuple[np.ndarray, ...]]:
    """Results of some runs on random frames."""
    rng, session = np.random.default_rng(0), Session(graph)
    shape = graph.inputs[0].type.shape
    return [session.run([rng.integers(-128, 128, shape).astype(np.int8)]) for _ in range(count)]


@pytest.mark.parametrize(("fresh", "kept"), [(1, 1), (1, 4), (2, 5), (5, 2)])
def test_a_ring_buffer_is_shifted_in_place(fresh: int, kept: int) -> None:
    graph = ring(fresh, kept=kept)
    fused = verify(fuse_shift(graph))
    assert [n.op for n in fused.nodes() if n.op in (Op.CONCAT, Op.STRIDED_SLICE)] == []
    ((window, new),) = fused.updates
    assert new.op is Op.SHIFT_IN
    assert window.type.shape == (1, kept + fresh, 3)
    for before, after in zip(runs(graph), runs(fused), strict=True):
        assert np.array_equal(before[0], after[0])
    plan = compile_graph(graph).plan
    assert not plan.copies, "the window is the state: nothing is copied at the end of a run"


@pytest.mark.parametrize("options", [{"begin": 0}, {"begin": 1}, {"other": True}])
def test_other_uses_of_the_state_stay(options: dict[str, int]) -> None:
    graph = ring(**options)
    assert fuse_shift(graph) is graph


def test_a_value_joined_with_itself_is_no_ring() -> None:
    old = state(np.zeros((1, 4), np.int8), "old", QUANT)
    joined = Node(Op.CONCAT, (old, old), Concat(1), "joined")
    cut = StridedSlice((0, 4), (1, 4), (1, 1))
    new = Node(Op.STRIDED_SLICE, (joined,), cut, "new")
    graph = Graph((), (joined,), ((old, new),))
    assert fuse_shift(graph) is graph
