"""States in C: sessions on the host give what the reference's session gives, run after run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milliwatt.compiler.build import link
from milliwatt.compiler.emit import emit
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.program import compile_graph
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import machine_for
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.reference import Session
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.random_graphs import random_stateful
from support.single_ops import random_inputs

RUNS = 4


def apart(graph: Graph, seed: int) -> Graph:
    """The graph with names that no other seed's has."""
    return graph.rewrite(lambda n: Node(n.op, n.src, n.attrs, f"{seed}/{n.name}"))


def many(seeds: range) -> Graph:
    """The graphs of some seeds side by side: one firmware for all."""
    graphs = [apart(random_stateful(seed, DType.S8), seed) for seed in seeds]
    joined = Graph((), (), name="many")
    for graph in graphs:
        joined = replace(
            joined,
            inputs=joined.inputs + graph.inputs,
            outputs=joined.outputs + graph.outputs,
            updates=joined.updates + graph.updates,
        )
    return verify(joined)


def assert_same_sessions(graph: Graph, target: str, seed: int) -> None:
    """RUNS runs, a reset, RUNS runs: outputs and states equal the reference's, bit for bit.

    The states are those of the graph that the passes made.
    """
    program = compile_graph(graph)
    machine = machine_for(board(target)).load(link(program, board(target)), count=False)
    wanted, lowered = Session(graph), Session(program.graph)
    for attempt in range(2):
        for run in range(RUNS):
            inputs = random_inputs(graph, seed + attempt * 100 + run)
            found = machine.run(inputs)
            for node, a, b in zip(graph.outputs, found.outputs, wanted.run(inputs), strict=True):
                np.testing.assert_array_equal(a, b, f"output {node.name}, run {run}")
            lowered.run(inputs)
            for (node, b), a in zip(lowered.states.items(), machine.states(), strict=True):
                np.testing.assert_array_equal(a, b, f"state {node.name}, run {run}")
        machine.reset()
        wanted.reset()
        lowered.reset()


def test_sessions_on_the_host() -> None:
    assert_same_sessions(many(range(50)), "host", 0)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(50, 450, 50))
def test_more_sessions_on_the_host(start: int) -> None:
    assert_same_sessions(many(range(start, start + 50)), "host", start)


@pytest.mark.parametrize("seed", range(500, 503))
def test_sessions_of_single_graphs(seed: int) -> None:
    """Alone the planner has other choices than side by side."""
    assert_same_sessions(random_stateful(seed, DType.S8), "host", seed)


def test_sessions_on_an_emulated_core() -> None:
    assert_same_sessions(many(range(900, 920)), "cortex-m4", 900)


def test_passes_keep_states() -> None:
    """After the passes the same states go the same way; the text form keeps them too."""
    for seed in range(60):
        graph = verify(random_stateful(seed, DType.S8))
        lowered = verify(run_passes(graph))
        again = verify(parse_graph(print_graph(graph)))
        sessions = [Session(graph), Session(lowered), Session(again)]
        for run in range(RUNS):
            first, *others = [s.run(random_inputs(graph, seed + run)) for s in sessions]
            for other in others:
                for a, b in zip(first, other, strict=True):
                    np.testing.assert_array_equal(a, b, f"seed {seed}")


def test_both_ways_to_update_are_drawn() -> None:
    """In place, copied, in a circle, kept: a kind that never came up would not be tested."""
    copied = in_place = aside = kept = filled = stored = 0
    for seed in range(200):
        program = compile_graph(random_stateful(seed, DType.S8))
        names = {state.name for state, _ in program.graph.updates}
        moved = {copy.name for copy in program.plan.copies}
        copied += bool(names & moved)
        aside += any(b.name == "states/aside" for b in program.plan.blocks)
        kept += any(state is new for state, new in program.graph.updates)
        in_place += any(
            s.name not in moved
            and s is not new
            and program.plan.offset(new) < program.plan.state_bytes
            for s, new in program.graph.updates
            if not new.is_constant
        )
        filled += "memset" in emit(program)["mw_model.c"]
        stored += program.plan.state_bytes > 0 and any(program.stored_states())
    assert min(copied, in_place, aside, kept, filled, stored) >= 3
