"""The compiler as a table of contents: the passes, in order, that make a graph ready to bind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from milliwatt.compiler.passes.drop_identities import drop_identities
from milliwatt.compiler.passes.fold_input_offset import fold_input_offset
from milliwatt.compiler.passes.fold_pad import fold_pad
from milliwatt.compiler.passes.fold_requantize import fold_requantize
from milliwatt.compiler.passes.fuse_add import fuse_add
from milliwatt.compiler.passes.fuse_shift import fuse_shift
from milliwatt.compiler.passes.keep_f16 import keep_f16
from milliwatt.ir.attrs.control import Control
from milliwatt.ir.fold import fold_batch_norm, fold_constants, fuse_activation
from milliwatt.ir.graph import Graph, Node

Pass = Callable[[Graph], Graph]

PASSES: tuple[tuple[str, Pass], ...] = (
    # what is known before the program runs
    ("keep_f16", keep_f16),
    ("fold_constants", fold_constants),
    ("drop_identities", drop_identities),
    ("fold_batch_norm", fold_batch_norm),
    # what the next kernel does for nothing
    ("fold_pad", fold_pad),
    ("fuse_activation", fuse_activation),
    ("fold_requantize", fold_requantize),
    # integer arithmetic
    ("fold_input_offset", fold_input_offset),
    # memory
    ("fuse_shift", fuse_shift),
    ("fuse_add", fuse_add),
)


def run_passes(graph: Graph, on_pass: Callable[[str, Graph], None] | None = None) -> Graph:
    """Run every pass in order; `on_pass(name, graph)` sees the graph after each.

    The graphs inside `if` and `while` go through all passes first.
    """
    graph = graph.rewrite(_inside)
    for name, step in PASSES:
        graph = step(graph)
        if on_pass is not None:
            on_pass(name, graph)
    return graph


def _inside(node: Node) -> Node | None:
    if not isinstance(node.attrs, Control):
        return None
    graphs = {name: run_passes(graph) for name, graph in node.attrs.graphs()}
    return Node(node.op, node.src, replace(node.attrs, **graphs), node.name)
