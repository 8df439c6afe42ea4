"""The rungs below the reference: many graphs of one operator in one firmware, on any board.

A firmware for each graph would spend all its time in the linker, so that graphs of one family (an
operator and its element type) share one: many inputs, many outputs, nothing in between shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from milliwatt.compiler.build import build
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import Session, machine_for
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.types import DType
from support.single_ops import OPERATORS, random_inputs, single_op

QUANTIZATIONS = ("quantize", "dequantize", "requantize")
MOVES = ("pad", "reshape", "transpose", "concat")
WIDE = {
    DType.S8: tuple(OPERATORS),
    DType.F32: tuple(name for name in OPERATORS if name not in QUANTIZATIONS),
    DType.S16: (*MOVES, *QUANTIZATIONS),
    DType.S32: (*MOVES, "dequantize", "requantize"),
}
_ALIGN = 8


@dataclass(frozen=True)
class Family:
    """One operator with activations of one type."""

    name: str
    dtype: DType

    def __str__(self) -> str:
        return f"{self.name}-{self.dtype}"


FAMILIES = tuple(Family(name, dtype) for dtype, names in WIDE.items() for name in names)


@dataclass(frozen=True)
class Case:
    """One single-operator graph and its inputs."""

    family: Family
    seed: int
    graph: Graph
    inputs: tuple[np.ndarray, ...]


def cases(family: Family, seeds: range) -> tuple[Case, ...]:
    """The graph of every seed."""
    graphs = ((seed, single_op(family.name, family.dtype, seed)) for seed in seeds)
    return tuple(
        Case(family, seed, graph, tuple(random_inputs(graph, seed))) for seed, graph in graphs
    )


def bundle(chosen: tuple[Case, ...]) -> Graph:
    """The cases side by side in one graph; one more input, the last, that nothing reads.

    That input is as large as all results, so that the arena's lower bound is met by the first
    placement: the planner's search for a better one grows with the square of the graphs.
    """
    inputs: list[Node] = []
    outputs: list[Node] = []
    for case in chosen:
        prefix = f"seed{case.seed}"
        own = case.graph.rewrite(
            lambda node, prefix=prefix: Node(node.op, node.src, node.attrs, f"{prefix}/{node.name}")
        )
        inputs += own.inputs
        outputs += own.outputs
    room = sum(-(-node.type.nbytes // _ALIGN) * _ALIGN for node in outputs)
    inputs.append(graph_input((room,), DType.S8, "room"))
    return Graph(tuple(inputs), tuple(outputs), name=f"{chosen[0].family.name}_bundle")


def started(graph: Graph, board: str) -> Session:
    """`graph` compiled and linked for a board, loaded into its machine, not counting cycles."""
    target = find_board(board)
    return machine_for(target).load(build(graph, target), count=False)


def results(chosen: tuple[Case, ...], board: str) -> Iterator[tuple[Case, np.ndarray]]:
    """Every case with the result that one firmware of them all gives on a board."""
    graph = bundle(chosen)
    values = [value for case in chosen for value in case.inputs]
    room = np.zeros(graph.inputs[-1].type.shape, np.int8)
    outputs = started(graph, board).run([*values, room]).outputs
    return zip(chosen, outputs, strict=True)
