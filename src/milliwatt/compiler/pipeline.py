"""The compiler as a table of contents: the passes, in order, that make a graph ready to bind."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace

from milliwatt.compiler.passes.drop_constant_channels import drop_constant_channels
from milliwatt.compiler.passes.drop_identities import drop_identities
from milliwatt.compiler.passes.fold_input_offset import fold_input_offset
from milliwatt.compiler.passes.fold_pad import fold_pad
from milliwatt.compiler.passes.fold_requantize import fold_requantize
from milliwatt.compiler.passes.fuse_add import fuse_add
from milliwatt.compiler.passes.fuse_rows import fuse_rows
from milliwatt.compiler.passes.fuse_shift import fuse_shift
from milliwatt.compiler.passes.keep_f16 import keep_f16
from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.ir.attrs.control import Control
from milliwatt.ir.fold import fold_batch_norm, fold_constants, fuse_activation
from milliwatt.ir.graph import Graph, Node

Pass = Callable[[Graph, Target], Graph]


def _anywhere(step: Callable[[Graph], Graph]) -> Pass:
    """A pass that is the same for every target."""
    return lambda graph, target: step(graph)


PASSES: tuple[tuple[str, Pass], ...] = (
    # what is known before the program runs
    ("keep_f16", _anywhere(keep_f16)),
    ("fold_constants", _anywhere(fold_constants)),
    ("drop_identities", _anywhere(drop_identities)),
    ("fold_batch_norm", _anywhere(fold_batch_norm)),
    # what the next kernel does for nothing
    ("fold_pad", _anywhere(fold_pad)),
    # what is known channel by channel: after pads are in the convolutions, whose borders say what a
    # channel may do, and before fusions, which count readers: a layer that goes frees its operands
    ("drop_constant_channels", _anywhere(drop_constant_channels)),
    ("fuse_activation", _anywhere(fuse_activation)),
    ("fold_requantize", _anywhere(fold_requantize)),
    # integer arithmetic
    ("fold_input_offset", _anywhere(fold_input_offset)),
    # memory
    ("fuse_shift", _anywhere(fuse_shift)),
    ("fuse_add", fuse_add),
)

TRADES: tuple[tuple[str, Pass], ...] = (("fuse_add", fuse_add), ("fuse_rows", fuse_rows))
"""Passes that give time for memory or the other way round: a search tries each and leaves each."""


def variants(graph: Graph, target: Target = PORTABLE) -> tuple[Graph, ...]:
    """The graphs that the passes make with and without each of TRADES; the plainest first.

    The graphs inside `if` and `while` are as `run_passes` makes them.
    """
    graph = graph.rewrite(functools.partial(_inside, target=target))
    trades = [name for name, _ in TRADES]
    for name, step in PASSES:
        if name not in trades:
            graph = step(graph, target)
    found = [graph]
    for _, step in TRADES:
        fused = [(each, step(each, target)) for each in found]
        found += [made for each, made in fused if made is not each]
    return tuple(found)


def run_passes(
    graph: Graph,
    target: Target = PORTABLE,
    on_pass: Callable[[str, Graph], None] | None = None,
) -> Graph:
    """Run every pass in order; `on_pass(name, graph)` sees the graph after each.

    The graphs inside `if` and `while` go through all passes first.
    """
    graph = graph.rewrite(functools.partial(_inside, target=target))
    for name, step in PASSES:
        graph = step(graph, target)
        if on_pass is not None:
            on_pass(name, graph)
    return graph


def _inside(node: Node, target: Target) -> Node | None:
    if not isinstance(node.attrs, Control):
        return None
    graphs = {name: run_passes(graph, target) for name, graph in node.attrs.graphs()}
    return Node(node.op, node.src, replace(node.attrs, **graphs), node.name)
