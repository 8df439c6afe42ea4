"""The reference executor: the slow, plain definition that every other rung is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS
from milliwatt.ir.types import Type


def check_input(value: np.ndarray, wanted: Type, name: str) -> np.ndarray:
    """Return `value` as an array of exactly the input's shape and dtype, or raise BadData."""
    array = np.asarray(value)
    if array.shape != wanted.shape or array.dtype != wanted.dtype.numpy:
        raise BadData(
            f"input {name}: {array.dtype}{list(array.shape)} given; {wanted.short} wanted"
        )
    return array


def run_all(graph: Graph, inputs: Sequence[np.ndarray]) -> dict[Node, np.ndarray]:
    """Run the graph and return the value of every node, for comparison layer by layer."""
    if len(inputs) != len(graph.inputs):
        raise BadData(f"{graph.name}: {len(inputs)} inputs given; {len(graph.inputs)} wanted")
    values = {
        node: check_input(value, node.type, node.name)
        for node, value in zip(graph.inputs, inputs, strict=True)
    }
    for node in graph.nodes():
        if node not in values:
            args = [values[s] for s in node.src]
            types = [s.type for s in node.src]
            values[node] = OPS[node.op].reference(node.attrs, node.type, types, args)
    return values


def run(graph: Graph, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Run the graph on one set of inputs (arrays in the graph's types) and return its outputs."""
    values = run_all(graph, inputs)
    return tuple(values[node] for node in graph.outputs)
