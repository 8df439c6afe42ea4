"""The memory plan, checked by an independent machine: every byte of the arena knows its owner."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from milliwatt.compiler.aim import AIMS, Aim
from milliwatt.compiler.alias import root
from milliwatt.compiler.bind import Binder, bind
from milliwatt.compiler.memory import Plan, draw_plan, plan_memory
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.placement import ALIGN
from milliwatt.compiler.search import search
from milliwatt.emulate.boards import board
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.random_graphs import random_graph
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf

FREE = -1


def place(plan: Plan, node: Node) -> slice:
    """The bytes of a value."""
    start = plan.offset(node)
    return slice(start, start + node.type.nbytes)


def execute(graph: Graph, plan: Plan, choose: Binder = bind) -> None:
    """Walk the steps; each operand must still be whole, and nothing may be written over it.

    `choose` gives the calls that the plan is for.

    Raises AssertionError naming the node whose operand was lost or that overwrites what is needed.
    """
    ids = {root(n): i for i, n in enumerate(graph.nodes())}
    owner = np.full(plan.arena_bytes, FREE)
    for node in graph.inputs:
        owner[place(plan, node)] = ids[node]
    for node in plan.order:
        call = choose(node)
        out = place(plan, node)
        assert out.start % ALIGN == 0, node
        assert out.stop <= plan.arena_bytes, node
        variable = [node.src[i] for i in call.operands if not root(node.src[i]).is_constant]
        for index, operand in enumerate(variable):
            where = place(plan, operand)
            assert (owner[where] == ids[root(operand)]).all(), f"{node}: {operand} was overwritten"
            overlaps = out.start < where.stop and where.start < out.stop
            assert not overlaps or index in call.inplace, f"{node} overwrites {operand} it reads"
            assert not overlaps or out.start == where.start, f"{node} overlaps {operand} sideways"
        if call.workspace_bytes:
            start = plan.workspace_offset(node)
            scratch = slice(start, start + call.workspace_bytes)
            for other in [*(place(plan, s) for s in variable), out]:
                assert scratch.stop <= other.start or other.stop <= scratch.start, node
            owner[scratch] = FREE
        owner[out] = ids[node]
    for node in graph.outputs:
        if not root(node).is_constant:
            assert (owner[place(plan, node)] == ids[root(node)]).all(), f"output {node} was lost"


def assert_tight(plan: Plan) -> None:
    """At or above the lower bound and within 5 % of it; blocks that meet do not overlap."""
    assert plan.lower_bound_bytes <= plan.arena_bytes <= 1.05 * plan.lower_bound_bytes
    for a, b in itertools.combinations(plan.blocks, 2):
        apart = a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= a.offset
        assert apart or not a.meets(b), (a, b)


@pytest.mark.parametrize("dtype", [DType.F32, DType.S8], ids=str)
def test_random_graphs(dtype: DType) -> None:
    """Two hundred networks, deep and branched."""
    for seed in range(200):
        graph = run_passes(random_graph(seed, dtype, steps=4 + seed % 16))
        plan = plan_memory(graph)
        execute(graph, plan)
        assert_tight(plan)


@pytest.mark.parametrize("aim", AIMS)
def test_searched_plans(aim: str) -> None:
    """Whatever kernels an aim chooses, with results in the first bytes of larger operands or not,
    no value is lost that is still needed."""
    shrunk = 0
    for seed in range(24):
        program = search(
            random_graph(seed, DType.S8, steps=4 + seed % 12), board("cortex-m4"), Aim(aim)
        ).program
        calls = {step.node: step.call for step in program.steps}
        execute(program.graph, program.plan, calls.__getitem__)
        assert_tight(program.plan)
        for node, call in calls.items():
            variable = [node.src[i] for i in call.operands if not root(node.src[i]).is_constant]
            given = [variable[i] for i in call.inplace]
            shrunk += any(
                value.type.nbytes > node.type.nbytes
                and program.plan.offset(value) == program.plan.offset(node)
                for value in given
            )
    assert shrunk or aim != "ram"


@pytest.mark.parametrize("model", [*INT8_MODELS.values(), *FLOAT_MODELS.values()])
def test_models(model: str) -> None:
    """The MLPerf Tiny models."""
    graph = run_passes(read_tflite(mlperf(model)))
    plan = plan_memory(graph)
    execute(graph, plan)
    assert_tight(plan)


def test_lower_bound_counts_what_is_alive() -> None:
    """The bound is at least operands plus result of every step that cannot work in place."""
    for seed in range(50):
        graph = run_passes(random_graph(seed, DType.S8))
        plan = plan_memory(graph)
        for node in plan.order:
            operands = {root(s) for s in node.src if not root(s).is_constant}
            alive = sum(n.type.nbytes for n in operands)
            if not bind(node).inplace:
                alive += node.type.nbytes
            assert plan.lower_bound_bytes >= alive, node


def test_plan_is_deterministic_and_draws_every_block() -> None:
    """The same graph gives the same plan, and its drawing has a row a block."""
    graph = run_passes(random_graph(5, DType.S8))
    one, other = plan_memory(graph), plan_memory(graph)
    assert one.blocks == other.blocks
    rows = draw_plan(one).splitlines()
    assert rows[0].startswith(
        f"arena {one.arena_bytes} bytes, lower bound {one.lower_bound_bytes} "
    )
    assert len(rows) == 1 + len(one.blocks)


def test_reshape_takes_no_bytes() -> None:
    """A reshape is its operand under another type."""
    for seed in range(50):
        graph = run_passes(random_graph(seed, DType.S8))
        plan = plan_memory(graph)
        for node in graph.nodes():
            if node.op is Op.RESHAPE and not root(node).is_constant:
                assert node not in plan.order
                assert plan.offset(node) == plan.offset(node.src[0])
