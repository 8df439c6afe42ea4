"""Names of operators that are made of two."""

from __future__ import annotations

from milliwatt.ir.graph import Graph, Node

JOINT = ";"
"""Between two names, as converters to TFLite write it too."""


def joined(graph: Graph, first: Node, second: Node) -> str:
    """`first;second`; only the second's name where it is an output's or both together are taken."""
    both = f"{first.name}{JOINT}{second.name}"
    if second in graph.outputs or any(node.name == both for node in graph.nodes()):
        return second.name
    return both
