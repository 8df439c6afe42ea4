"""The ladder over aims: whatever kernels a search chooses, the board is exact."""

from __future__ import annotations

import pytest

import milliwatt as mw
from milliwatt.compiler.aim import AIMS
from milliwatt.debug.inputs import random_inputs
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.types import DType
from support.random_graphs import random_graph


def joined(seeds: range) -> Graph:
    """Some random networks side by side: one firmware for all."""
    inputs: list[Node] = []
    outputs: list[Node] = []
    for seed in seeds:
        graph = random_graph(seed, DType.S8, steps=6)
        own = graph.rewrite(lambda n, seed=seed: Node(n.op, n.src, n.attrs, f"{seed}/{n.name}"))
        inputs += own.inputs
        outputs += own.outputs
    return Graph(tuple(inputs), tuple(outputs), name="joined")


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("board", ["nucleo-l4r5zi", "disco-f746ng", "cortex-m0plus"])
def test_every_aim_is_exact(aim: str, board: str) -> None:
    graph = joined(range(8))
    firmware = mw.build(graph, board=board, optimize=aim)
    assert firmware.check(random_inputs(graph))


def test_a_budget_is_exact_and_kept() -> None:
    graph = joined(range(4))
    loose = mw.build(graph)
    least = mw.build(graph, optimize="ram")
    budget = (loose.static_ram_bytes + least.static_ram_bytes) // 2 + 2048 + 8
    firmware = mw.build(graph, ram=budget)
    assert firmware.static_ram_bytes + 2048 <= budget
    assert firmware.check(random_inputs(graph))
