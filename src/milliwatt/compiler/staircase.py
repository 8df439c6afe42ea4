"""From the fastest choice of kernels down to the one of the smallest arena, step by step.

Memory is needed step by step, and the arena is as large as the largest step. So only the nodes at
a step above the target need another call; each takes the fastest one that gets below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from milliwatt.compiler.bind import Call
from milliwatt.compiler.lifetimes import Lifetimes
from milliwatt.compiler.placement import live_at
from milliwatt.compiler.schedule import best_order
from milliwatt.ir.graph import Graph, Node

_WORK = 60_000
"""Nodes looked at in all trials of one staircase; hostile graphs get fewer stairs."""


@dataclass(frozen=True)
class Option:
    """A call that a node may be computed by, and the cycles that it is thought to take."""

    call: Call
    cycles: float


Options = Mapping[Node, tuple[Option, ...]]
"""Every node's options, the fastest first; of equals the one that needs less memory."""


@dataclass(frozen=True)
class Stair:
    """One choice for every node. `peak_bytes` is the lower bound of its arena."""

    graph: Graph
    chosen: Mapping[Node, Option]
    lives: Lifetimes
    alive: tuple[int, ...]

    @property
    def peak_bytes(self) -> int:
        """Bytes in use at the step that needs the most."""
        return max(self.alive, default=0)

    @property
    def cycles(self) -> float:
        """Predicted cycles of one inference."""
        return sum(option.cycles for option in self.chosen.values())

    @property
    def peak_node(self) -> Node | None:
        """The node that runs at the step that needs the most."""
        step = self.alive.index(self.peak_bytes) - 1 if self.alive else -1
        return self.lives.order[step] if 0 <= step < len(self.lives.order) else None

    def call(self, node: Node) -> Call:
        """The binder of this choice."""
        return self.chosen[node].call


def stair_of(graph: Graph, chosen: Mapping[Node, Option]) -> Stair:
    """A choice with what it needs."""
    lives = best_order(graph, lambda node: chosen[node].call)
    return Stair(graph, chosen, lives, live_at(lives.blocks, len(lives.order)))


def staircase(graph: Graph, options: Options) -> Iterator[Stair]:
    """Choices from the fastest on, each of a smaller peak than the one before, till none is."""
    stair = stair_of(graph, {node: found[0] for node, found in options.items()})
    many = sum(len(found) > 1 for found in options.values())
    tries = _WORK // max(1, len(options)) if many else 0
    yield stair
    while tries > 0:
        target = stair.peak_bytes - 1
        while stair.peak_bytes > target:
            better, tries = _better(stair, options, target, tries)
            if better is None:
                return
            stair = better
        yield stair


def _better(stair: Stair, options: Options, target: int, tries: int) -> tuple[Stair | None, int]:
    """One node changed so that less is above `target`, and the tries that are left.

    A change that brings the node's step below the target is taken before one that does not, then
    the one that costs fewer cycles.
    """
    excess = _excess(stair, target)
    best: tuple[tuple[bool, float, int], Stair] | None = None
    for node in _movable(stair, options, target):
        for option in options[node]:
            if option is stair.chosen[node]:
                continue
            if tries <= 0:
                return None, 0
            tries -= 1
            found = stair_of(stair.graph, {**stair.chosen, node: option})
            left = _excess(found, target)
            if left >= excess:
                continue
            step = found.lives.order.index(node) + 1
            lost = option.cycles - stair.chosen[node].cycles
            rank = (found.alive[step] > target, lost, left)
            if best is None or rank < best[0]:
                best = rank, found
    return (best[1] if best else None), tries


def _excess(stair: Stair, target: int) -> int:
    return sum(nbytes - target for nbytes in stair.alive if nbytes > target)


def _movable(stair: Stair, options: Options, target: int) -> list[Node]:
    """Nodes with another option that run at a step above the target or lie in memory then."""
    lives = stair.lives
    over = [step - 1 for step, nbytes in enumerate(stair.alive) if nbytes > target]
    found = {lives.order[step]: None for step in over if 0 <= step < len(lives.order)}
    for node, (block, _) in lives.values.items():
        if any(lives.blocks[block].first <= step <= lives.blocks[block].last for step in over):
            found[node] = None
    return [node for node in found if len(options.get(node, ())) > 1]


def equally_fast(options: Options) -> Options:
    """Only the options that lose no cycles; what is equal in speed may still differ in memory."""
    return {
        node: tuple(option for option in found if option.cycles <= found[0].cycles)
        for node, found in options.items()
    }
