"""Static memory planning: which bytes of the one arena hold which value, and when.

An execution order is chosen, it says what lives when (`lifetimes`), and every block of bytes gets
its offset (`placement`). States lie at the bottom of the arena, so that its first bytes are all
that a model keeps from run to run.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from milliwatt.compiler.alias import locate
from milliwatt.compiler.bind import Binder, bind
from milliwatt.compiler.lifetimes import Lifetimes
from milliwatt.compiler.placement import Block, live_bytes, place_blocks
from milliwatt.compiler.schedule import best_order
from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.ir.graph import Graph, Node


@dataclass(frozen=True)
class Copy:
    """Bytes copied at the end of a run, from an arena offset or a constant that stays in flash."""

    name: str
    to: int
    source: int | Node
    nbytes: int


@dataclass(frozen=True)
class Plan:
    """Execution order, and where each value and workspace lies in the arena (offsets in bytes).

    `outputs` are the offsets of the graph's outputs after `copies` have been done, in order;
    `state_bytes` is where the states end that begin at offset 0.
    """

    order: tuple[Node, ...]
    blocks: tuple[Block, ...]
    values: dict[Node, int]
    workspaces: dict[Node, int]
    outputs: tuple[int, ...]
    copies: tuple[Copy, ...]
    state_bytes: int
    arena_bytes: int
    lower_bound_bytes: int

    def offset(self, node: Node) -> int:
        """Arena offset of the value of `node`."""
        base, at = locate(node)
        return self.values[base] + at

    def workspace_offset(self, node: Node) -> int:
        """Arena offset of the scratch bytes of `node`'s kernel; 0 where it needs none."""
        return self.workspaces.get(node, 0)


def plan_memory(graph: Graph, choose: Binder = bind) -> Plan:
    """Choose an execution order and place every value in one arena; `choose` gives the calls."""
    lives = best_order(graph, choose)
    bound, _ = live_bytes(lives.blocks)
    blocks, state_bytes = _place(lives)
    arena = max((b.offset + b.nbytes for b in blocks), default=0)

    def offset(place: tuple[int, int]) -> int:
        return blocks[place[0]].offset + place[1]

    return Plan(
        order=lives.order,
        blocks=blocks,
        values={node: offset(place) for node, place in lives.values.items()},
        workspaces={node: blocks[block].offset for node, block in lives.workspaces.items()},
        outputs=tuple(map(offset, lives.outputs)),
        copies=tuple(
            Copy(
                move.name,
                blocks[move.to].offset,
                offset(move.source) if isinstance(move.source, tuple) else move.source,
                move.nbytes,
            )
            for move in lives.moves
        ),
        state_bytes=state_bytes,
        arena_bytes=arena,
        lower_bound_bytes=bound,
    )


def arena_bytes(lives: Lifetimes) -> int:
    """The size of the arena that `lives` is placed in."""
    return max((b.offset + b.nbytes for b in _place(lives)[0]), default=0)


def _place(lives: Lifetimes) -> tuple[tuple[Block, ...], int]:
    """Every block with its offset; the states first, one behind the other, then all else."""
    states, others = lives.blocks[: lives.states], lives.blocks[lives.states :]
    placed, end = [], 0
    for block in states:
        placed.append(block.at(end))
        end += block.nbytes
    found = place_blocks(others, live_bytes(others)[0])
    return (*placed, *(block.at(block.offset + end) for block in found)), end


def live_peak(graph: Graph, target: Target = PORTABLE) -> int:
    """The lower bound of the arena: the largest number of bytes alive at one step."""
    return live_bytes(_first_calls(graph, target).blocks)[0]


def alive_at_peak(graph: Graph, target: Target = PORTABLE) -> frozenset[Node]:
    """The values whose bytes are in use at the first step that needs the most."""
    lives = _first_calls(graph, target)
    _, step = live_bytes(lives.blocks)
    return frozenset(
        node
        for node, (block, _) in lives.values.items()
        if lives.blocks[block].first <= step <= lives.blocks[block].last
    )


def _first_calls(graph: Graph, target: Target) -> Lifetimes:
    """What lives when where the first row of the table runs every node."""
    return best_order(graph, functools.partial(bind, target=target))


def draw_plan(plan: Plan, *, width: int = 72) -> str:
    """The plan as text: one row a block: offset range, lifetime, a bar over the arena's bytes."""
    arena = max(plan.arena_bytes, 1)
    lines = [
        f"arena {plan.arena_bytes} bytes, lower bound {plan.lower_bound_bytes} "
        f"({len(plan.order)} steps, {len(plan.blocks)} blocks)"
    ]
    label = min(max((len(b.name) for b in plan.blocks), default=0), 32)
    for block in sorted(plan.blocks, key=lambda b: (b.first, b.offset)):
        start = block.offset * width // arena
        stop = max(start + 1, -(-(block.offset + block.nbytes) * width // arena))
        bar = " " * start + "#" * (stop - start)
        lines.append(
            f"{block.name[-label:]:<{label}} {block.first:>3}..{block.last:<3} "
            f"{block.offset:>7}+{block.nbytes:<7}|{bar:<{width}}|"
        )
    return "\n".join(lines) + "\n"
