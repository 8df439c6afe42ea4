"""The rungs below the reference: many files in one firmware, on any board.

A firmware for each file would spend all its time in the linker, so that many share one: many
inputs, many outputs, nothing in between shared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from milliwatt.compiler.build import build
from milliwatt.compiler.program import compile_graph
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import Session, machine_for
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.types import DType
from support.conformance import Case, Outputs

_ALIGN = 8


def refusal(case: Case) -> str | None:
    """Why the compiler has no kernel for a case, None where it has."""
    try:
        compile_graph(case.graph)
    except UnsupportedOp as error:
        return str(error)
    return None


def bundle(chosen: Sequence[Case]) -> Graph:
    """The cases side by side in one graph; one more input, the last, that nothing reads.

    That input is as large as all results, so that the arena's lower bound is met by the first
    placement: the planner's search for a better one grows with the square of the graphs.
    """
    inputs: list[Node] = []
    outputs: list[Node] = []
    updates: list[tuple[Node, Node]] = []
    for number, case in enumerate(chosen):
        prefix = f"{case.name}-{case.dtype}-{case.seed}-{number}"
        own = case.graph.rewrite(
            lambda node, prefix=prefix: Node(node.op, node.src, node.attrs, f"{prefix}/{node.name}")
        )
        inputs += own.inputs
        outputs += own.outputs
        updates += own.updates
    room = sum(-(-node.type.nbytes // _ALIGN) * _ALIGN for node in outputs)
    inputs.append(graph_input((room,), DType.S8, "room"))
    return Graph(tuple(inputs), tuple(outputs), tuple(updates), name="bundle")


def started(graph: Graph, board: str) -> Session:
    """`graph` compiled and linked for a board, loaded into its machine, not counting cycles."""
    target = find_board(board)
    return machine_for(target).load(build(graph, target), count=False)


def results(chosen: Sequence[Case], board: str) -> Iterator[tuple[Case, list[Outputs]]]:
    """Every case with its outputs, run by run, that one firmware of them all gives on a board.

    Cases of fewer runs than others are run on with their last inputs, whose results are dropped.
    """
    graph = bundle(chosen)
    session = started(graph, board)
    room = np.zeros(graph.inputs[-1].type.shape, np.int8)
    runs = []
    for number in range(max(len(case.frames) for case in chosen)):
        values = [v for case in chosen for v in case.frames[min(number, len(case.frames) - 1)]]
        runs.append(session.run([*values, room]).outputs)
    at = 0
    for case in chosen:
        end = at + len(case.graph.outputs)
        yield case, [run[at:end] for run in runs[: len(case.frames)]]
        at = end
