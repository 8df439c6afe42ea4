"""The memory planner: no overlap, the lower bound is met, in-place and aliases where legal."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from milliwatt.compiler.memory import draw_plan, plan_memory
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.placement import ALIGN, Block, live_bytes, place_blocks
from milliwatt.ir.attrs import NO_CLAMP, Conv2d, Elementwise, Reshape
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

Q = Quant.per_tensor(0.05, -11)


def overlapping(blocks: tuple[Block, ...]) -> list[tuple[str, str]]:
    """Pairs that are alive together and share bytes."""
    return [
        (a.name, b.name)
        for i, a in enumerate(blocks)
        for b in blocks[:i]
        if a.meets(b) and a.offset < b.offset + b.nbytes and b.offset < a.offset + a.nbytes
    ]


LIFETIMES = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=18
)


@settings(max_examples=150, deadline=None)
@given(LIFETIMES)
def test_no_two_live_blocks_share_a_byte(rows: list[tuple[int, int, int]]) -> None:
    blocks = [
        Block(str(i), size * ALIGN, first, first + length)
        for i, (size, first, length) in enumerate(rows)
    ]
    bound, _ = live_bytes(blocks)
    placed = tuple(place_blocks(blocks, bound))
    assert not overlapping(placed)
    height = max(b.offset + b.nbytes for b in placed)
    assert bound <= height <= sum(b.nbytes for b in blocks)


def conv(x: Node, channels: int, name: str) -> Node:
    """A 3x3 convolution that keeps height and width."""
    weight = np.ones((channels, 3, 3, x.type.shape[3]), np.int8)
    scales = Quant.per_axis(np.full(channels, 0.01), 0)
    attrs = Conv2d(padding=(1, 1, 1, 1), quant=Q)
    return Node(Op.CONV2D, (x, constant(weight, f"{name}.w", scales)), attrs, name)


def add(a: Node, b: Node, name: str) -> Node:
    """A residual sum."""
    return Node(Op.ADD, (a, b), Elementwise(NO_CLAMP, Q), name)


def residual() -> Graph:
    """x -> a -> b -> c, a + c: three values of 16 KiB alive without fusion, two with it."""
    x = graph_input((1, 32, 32, 3), DType.S8, "x", Q)
    a = conv(x, 16, "a")
    return Graph((x,), (add(conv(conv(a, 16, "b"), 16, "c"), a, "sum"),))


def test_fuse_add_saves_the_hidden_tensor() -> None:
    plan = plan_memory(run_passes(residual()))
    assert [str(n.op) for n in plan.order] == ["conv2d", "conv2d", "conv2d_add"]
    assert 2 * 16384 <= plan.arena_bytes < 2 * 16384 + 600
    assert plan.arena_bytes == plan.lower_bound_bytes


def test_reshape_takes_no_bytes_and_add_runs_in_place() -> None:
    x = graph_input((1, 8, 8, 4), DType.S8, "x", Q)
    y = graph_input((1, 256), DType.S8, "y", Q)
    flat = Node(Op.RESHAPE, (x,), Reshape((1, 256)), "flat")
    graph = Graph((x, y), (add(flat, y, "sum"),))
    plan = plan_memory(graph)
    assert plan.arena_bytes == 512
    assert plan.offset(flat) == plan.offset(x)
    assert plan.offset(graph.outputs[0]) in (plan.offset(x), plan.offset(y))


def test_an_operand_that_is_read_again_is_not_overwritten() -> None:
    x = graph_input((1, 256), DType.S8, "x", Q)
    first = add(x, x, "first")
    graph = Graph((x,), (add(first, x, "second"), first))
    plan = plan_memory(graph)
    values = {n.name: plan.offset(n) for n in graph.nodes()}
    assert values["first"] != values["x"]
    assert values["second"] != values["first"], "first is an output and must survive"
    assert not overlapping(plan.blocks)


def test_unused_and_passed_through_inputs_keep_their_own_bytes() -> None:
    x = graph_input((64,), DType.S8, "x", Q)
    idle = graph_input((64,), DType.S8, "idle", Q)
    plan = plan_memory(Graph((x, idle), (x,)))
    assert plan.offset(x) != plan.offset(idle)
    assert plan.order == ()


def test_the_plan_is_drawn_to_scale() -> None:
    plan = plan_memory(run_passes(residual()))
    text = draw_plan(plan, width=60)
    lines = text.splitlines()
    assert lines[0].startswith(f"arena {plan.arena_bytes} bytes, lower bound")
    assert len(lines) == 1 + len(plan.blocks)
    assert all(line.endswith("|") and line.count("#") >= 1 for line in lines[1:])
