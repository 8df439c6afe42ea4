"""Static memory planning: which bytes of the one arena hold which value, and when.

A value lives from the step that makes it to the last step that reads it. Values that alias (a
reshape, an operator that may overwrite its operand) share one `Block`. Offsets come from best-fit
placement under several orders, stopped at the lower bound: the largest sum of blocks alive at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace

from milliwatt.compiler.bind import bind
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op

ALIGN = 8
_TRIES = 400
_SEED = 1


@dataclass(frozen=True)
class Block:
    """Arena bytes in use from step `first` to step `last`, both included (-1: before the run)."""

    name: str
    nbytes: int
    first: int
    last: int
    offset: int = 0

    def meets(self, other: Block) -> bool:
        """True where the two are alive at one step."""
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Plan:
    """Execution order, and where each value and workspace lies in the arena (offsets in bytes)."""

    order: tuple[Node, ...]
    blocks: tuple[Block, ...]
    values: dict[Node, int]
    workspaces: dict[Node, int]
    arena_bytes: int
    lower_bound_bytes: int

    def offset(self, node: Node) -> int:
        """Arena offset of the value of `node`."""
        return self.blocks[self.values[root(node)]].offset

    def workspace_offset(self, node: Node) -> int:
        """Arena offset of the scratch bytes of `node`'s kernel; 0 where it needs none."""
        return self.blocks[self.workspaces[node]].offset if node in self.workspaces else 0


def root(node: Node) -> Node:
    """The node whose bytes `node` stands for: a reshape is its operand under another type."""
    while node.op is Op.RESHAPE and not node.src[0].is_constant:
        node = node.src[0]
    return node


def plan_memory(graph: Graph) -> Plan:
    """Choose an execution order and place every value in one arena."""
    order = schedule(graph)
    blocks, values, workspaces = _lifetimes(graph, order)
    bound = _live_peak(blocks)
    placed = _place(blocks, bound)
    arena = max((b.offset + b.nbytes for b in placed), default=0)
    return Plan(order, placed, values, workspaces, arena, bound)


def live_peak(graph: Graph) -> int:
    """The lower bound of the arena: the largest number of bytes alive at one step."""
    return _live_peak(_lifetimes(graph, schedule(graph))[0])


def schedule(graph: Graph) -> tuple[Node, ...]:
    """The nodes that run, in order: of two depth-first orders the one of smaller live peak."""
    orders = (_steps(graph.nodes()), _steps(_heavy_first(graph)))
    return min(orders, key=lambda order: _live_peak(_lifetimes(graph, order)[0]))


def _steps(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(n for n in nodes if n.op not in (Op.INPUT, Op.CONSTANT) and root(n) is n)


def _heavy_first(graph: Graph) -> list[Node]:
    """Depth first, the branch with the largest value first (after Sethi and Ullman, 1970)."""
    weight: dict[Node, int] = {}
    for node in graph.nodes():
        below = max((weight[s] for s in node.src), default=0)
        weight[node] = max(below, 0 if node.is_constant else node.type.nbytes)
    order: list[Node] = []
    seen: set[Node] = set()
    stack = [(node, False) for node in reversed(graph.outputs)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((s, False) for s in sorted(node.src, key=lambda s: weight[s]))
    return order


def _last_reads(graph: Graph, order: tuple[Node, ...]) -> dict[Node, int]:
    """For each root, the last step that reads it; graph outputs are read after the end."""
    last = {root(n): -1 for n in graph.inputs}
    for i, node in enumerate(order):
        last.setdefault(node, i)
        for operand in node.src:
            last[root(operand)] = i
    for node in graph.outputs:
        last[root(node)] = len(order)
    return last


def _lifetimes(
    graph: Graph, order: tuple[Node, ...]
) -> tuple[list[Block], dict[Node, int], dict[Node, int]]:
    """All blocks under `order`; for each root its block, for each node its workspace's block."""
    last = _last_reads(graph, order)
    blocks: list[Block] = []
    values: dict[Node, int] = {}
    workspaces: dict[Node, int] = {}

    def add(name: str, nbytes: int, first: int, until: int) -> int:
        blocks.append(Block(name, -(-nbytes // ALIGN) * ALIGN, first, until))
        return len(blocks) - 1

    for node in graph.inputs:
        values[node] = add(node.name, node.type.nbytes, -1, last[node])
    for i, node in enumerate(order):
        call = bind(node)
        variable = [root(node.src[k]) for k in call.operands if not node.src[k].is_constant]
        host = _overwritable(variable, call.inplace, i, last)
        if host is None or blocks[values[host]].nbytes < node.type.nbytes:
            values[node] = add(node.name, node.type.nbytes, i, last[node])
        else:
            values[node] = values[host]
            blocks[values[host]] = replace(blocks[values[host]], last=last[node])
        if call.workspace_bytes:
            workspaces[node] = add(f"{node.name}/workspace", call.workspace_bytes, i, i)
    return blocks, values, workspaces


def _overwritable(
    operands: list[Node], inplace: tuple[int, ...], step: int, last: dict[Node, int]
) -> Node | None:
    """First operand whose bytes the result may take: read by one operand only, and not again."""
    for index in inplace:
        host = operands[index]
        if last[host] == step and operands.count(host) == 1:
            return host
    return None


def _live_peak(blocks: list[Block]) -> int:
    """Largest sum of sizes alive at a step; lifetimes are intervals, so some `first` meets it."""
    return max(
        (
            sum(b.nbytes for b in blocks if b.first <= at <= b.last)
            for at in {b.first for b in blocks}
        ),
        default=0,
    )


def _place(blocks: list[Block], bound: int) -> tuple[Block, ...]:
    """Best-fit placement in fixed orders, then random swaps of the best, until the bound is met."""
    indices = range(len(blocks))
    keys = (
        lambda i: (-blocks[i].nbytes, blocks[i].first),
        lambda i: (blocks[i].first, -blocks[i].nbytes),
        lambda i: (-(blocks[i].last - blocks[i].first), -blocks[i].nbytes),
        lambda i: (-blocks[i].nbytes * (blocks[i].last - blocks[i].first + 1),),
    )
    best: tuple[int, list[int], list[Block]] | None = None

    def offer(order: list[int]) -> bool:
        nonlocal best
        placed = _best_fit(blocks, order)
        height = max((b.offset + b.nbytes for b in placed), default=0)
        if best is None or height <= best[0]:
            best = (height, order, placed)
        return best[0] <= bound

    if not any(offer(sorted(indices, key=key)) for key in keys):
        chance = random.Random(_SEED)
        for _ in range(_TRIES):
            assert best is not None
            order = list(best[1])
            a, b = chance.sample(indices, 2)
            order[a], order[b] = order[b], order[a]
            if offer(order):
                break
    assert best is not None
    return tuple(best[2])


def _best_fit(blocks: list[Block], order: list[int]) -> list[Block]:
    """Place blocks one by one, each in the smallest gap among those alive with it that holds it."""
    offsets: dict[int, int] = {}
    for index in order:
        block = blocks[index]
        taken = sorted(
            (offsets[j], offsets[j] + blocks[j].nbytes) for j in offsets if blocks[j].meets(block)
        )
        choice, slack, free = None, None, 0
        for start, stop in taken:
            gap = start - free
            if gap >= block.nbytes and (slack is None or gap < slack):
                choice, slack = free, gap
            free = max(free, stop)
        offsets[index] = free if choice is None else choice
    return [replace(block, offset=offsets[i]) for i, block in enumerate(blocks)]


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
