"""The reference executor: the slow, plain definition that every other rung is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.attrs.control import State
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS
from milliwatt.ir.types import Type

States = Mapping[Node, np.ndarray]


def check_input(value: np.ndarray, wanted: Type, name: str) -> np.ndarray:
    """Return `value` as an array of exactly the input's shape and dtype, or raise BadData."""
    array = np.asarray(value)
    if array.shape != wanted.shape or array.dtype != wanted.dtype.numpy:
        raise BadData(
            f"input {name}: {array.dtype}{list(array.shape)} given; {wanted.short} wanted"
        )
    return array


def first_states(graph: Graph) -> dict[Node, np.ndarray]:
    """What every state of the graph holds before the first run."""
    return {node: node.attrs.value for node, _ in graph.updates if isinstance(node.attrs, State)}


def run_all(
    graph: Graph, inputs: Sequence[np.ndarray], states: States | None = None
) -> dict[Node, np.ndarray]:
    """Run the graph and return the value of every node, for comparison layer by layer.

    `states` holds the value of every state before the run; their first values by default.
    """
    if len(inputs) != len(graph.inputs):
        raise BadData(f"{graph.name}: {len(inputs)} inputs given; {len(graph.inputs)} wanted")
    values = {
        node: check_input(value, node.type, node.name)
        for node, value in zip(graph.inputs, inputs, strict=True)
    }
    values |= first_states(graph) if states is None else states
    for node in graph.nodes():
        if node not in values:
            args = [values[s] for s in node.src]
            types = [s.type for s in node.src]
            try:
                values[node] = OPS[node.op].reference(node.attrs, node.type, types, args)
            except BadData as error:
                raise BadData(f"{node.name} ({node.op}): {error}") from None
    return values


def run(graph: Graph, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Run the graph once on one set of inputs (arrays in its types) and return its outputs.

    States hold their first values; to go on from run to run use a Session.
    """
    return Session(graph).run(inputs)


class Session:
    """The graph run by run: `states` go on from where the run before left them."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.states: States = first_states(graph)

    def reset(self) -> None:
        """Put every state back to its first value."""
        self.states = first_states(self.graph)

    def run(self, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """One run on one set of inputs; returns the outputs and keeps the new states."""
        values = run_all(self.graph, inputs, self.states)
        self.states = {state: values[new] for state, new in self.graph.updates}
        return tuple(values[node] for node in self.graph.outputs)
