"""Compiling takes time in proportion to the graph: hostile shapes of thousands of nodes too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from milliwatt.compiler.bind import bind
from milliwatt.compiler.memory import plan_memory
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.placement import ALIGN, Block, live_bytes, place_blocks
from milliwatt.compiler.program import compile_graph, identifiers
from milliwatt.ir.attrs import Attrs, ClampAttrs, Conv2d, Elementwise, Pad, Quantize, Unary
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant
from support.effort import cpu_seconds

Q = Quant.per_tensor(0.05, 3)
NODES = 2000
IMAGE = (1, 4, 4, 2)


def given(shape: tuple[int, ...] = (1, 64)) -> Node:
    return graph_input(shape, DType.S8, "x", Q)


def add(a: Node, b: Node, name: str) -> Node:
    return Node(Op.ADD, (a, b), Elementwise(quant=Q), name)


def conv(x: Node, name: str) -> Node:
    weight = constant(np.ones((2, 1, 1, 2), np.int8), f"{name}.w", Quant.per_axis(np.ones(2), 0))
    return Node(Op.CONV2D, (x, weight), Conv2d(quant=Q), name)


def chain() -> Graph:
    x = y = given()
    for i in range(NODES):
        y = add(y, x, f"n{i}")
    return Graph((x,), (y,))


def fan() -> Graph:
    """All alive at once, then joined one by one."""
    x = given()
    values = [add(x, x, f"n{i}") for i in range(NODES // 2)]
    total = values[0]
    for i, value in enumerate(values[1:]):
        total = add(total, value, f"sum{i}")
    return Graph((x,), (total,))


def residuals() -> Graph:
    x = y = given(IMAGE)
    for i in range(NODES // 3):
        y = add(conv(y, f"c{i}"), y, f"n{i}")
    return Graph((x,), (y,))


def pads() -> Graph:
    """Many convolutions at the end of one chain of pads."""
    x = y = given(IMAGE)
    for i in range(NODES // 2):
        amount = (1, 0) if i % 64 == 0 else (0, 0)
        y = Node(Op.PAD, (y,), Pad(((0, 0), (0, 0), amount, (0, 0))), f"p{i}")
    return Graph((x,), tuple(conv(y, f"c{i}") for i in range(NODES // 4)))


def detours() -> Graph:
    """Many results at the end of one chain of float operators."""
    x = given()
    y = Node(Op.DEQUANTIZE, (x,), Attrs(), "real")
    for i in range(NODES // 2):
        y = Node(Op.TANH, (y,), Unary(), f"t{i}")
    ends = [Node(Op.QUANTIZE, (y,), Quantize(DType.S8, Q), f"q{i}") for i in range(NODES // 2)]
    return Graph((x,), tuple(ends))


def clamps() -> Graph:
    x = y = given()
    for i in range(NODES // 2):
        y = add(y, x, f"n{i}")
        y = Node(Op.CLAMP, (y,), ClampAttrs((0.0, 3.0), Q), f"c{i}")
    return Graph((x,), (y,))


def circle() -> Graph:
    """Every state takes its neighbour's value, in one circle."""
    held = [state(np.zeros((1, 8), np.int8), f"s{i}", Q) for i in range(NODES)]
    x = given((1, 8))
    turned = zip(held, [*held[1:], held[0]], strict=True)
    return Graph((x,), (add(held[0], x, "y"),), tuple(turned))


@pytest.mark.parametrize("make", [chain, fan, residuals, pads, detours, clamps, circle])
def test_compiling_is_linear(make: Callable[[], Graph]) -> None:
    """A square of 2,000 is some seconds in Python; these take less than one on an idle machine."""
    graph = make()
    seconds, program = cpu_seconds(lambda: compile_graph(graph), 2.5)
    assert seconds < 2.5
    assert program.arena_bytes == program.plan.lower_bound_bytes


def test_planning_a_chain_is_quick() -> None:
    graph = run_passes(chain())
    seconds, plan = cpu_seconds(lambda: plan_memory(graph), 1)
    assert seconds < 1
    assert plan.arena_bytes == 128
    assert sum(bind(node).kernel == "mw_add_s8" for node in plan.order) == NODES


@pytest.mark.parametrize(("count", "length"), [(3000, 3), (3000, 400), (20_000, 20_000)])
def test_placing_is_quick_and_never_overlaps(count: int, length: int) -> None:
    """Few neighbours, many, and all blocks alive at once."""
    rng = np.random.default_rng(count + length)
    sizes = rng.integers(1, 50, count) * ALIGN
    firsts = rng.integers(0, count, count)
    lasts = firsts + rng.integers(0, length, count)
    rows = zip(sizes.tolist(), firsts.tolist(), lasts.tolist(), strict=True)
    blocks = [Block(str(i), *row) for i, row in enumerate(rows)]
    bound, _ = live_bytes(blocks)
    seconds, placed = cpu_seconds(lambda: place_blocks(blocks, bound), 2.5)
    assert seconds < 2.5
    assert max(b.offset + b.nbytes for b in placed) <= 1.35 * bound
    events = sorted([(b.first, 1, b) for b in placed] + [(b.last + 1, 0, b) for b in placed],
                    key=lambda event: event[:2])  # fmt: skip
    owner: dict[int, Block] = {}
    for _, begins, block in events[:4000]:
        for at in range(block.offset, block.offset + block.nbytes, ALIGN):
            if begins:
                assert owner.setdefault(at, block) is block
            else:
                del owner[at]


def test_equal_names_are_told_apart_quickly() -> None:
    names = [f"{i}/" + "z" * 60 for i in range(20_000)]
    seconds, found = cpu_seconds(lambda: identifiers(names), 2)
    assert seconds < 2
    assert len(set(found)) == 20_000
    x = given()
    many = Graph((x,), tuple(add(x, x, "same") for _ in range(5000)))
    seconds, renamed = cpu_seconds(lambda: unique_names(many), 2)
    assert seconds < 2
    assert len({node.name for node in renamed.outputs}) == 5000
