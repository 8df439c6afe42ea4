"""In which order the nodes run: the one that needs the least memory of some."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from milliwatt.compiler.alias import root
from milliwatt.compiler.bind import Binder
from milliwatt.compiler.lifetimes import LEAVES, Lifetimes, changes, homes, lifetimes
from milliwatt.compiler.placement import live_bytes
from milliwatt.ir.graph import Graph, Node


def best_order(graph: Graph, choose: Binder) -> Lifetimes:
    """Of some execution orders the one of smallest live peak, then of fewest bytes copied."""
    orders = [_steps(graph.nodes()), _steps(_heavy_first(graph))]
    if graph.updates:
        orders += [_readers_first(graph, order) for order in orders]
    candidates = (lifetimes(graph, order, choose) for order in dict.fromkeys(orders))
    return min(candidates, key=lambda lives: (live_bytes(lives.blocks)[0], lives.copied_bytes))


def _steps(nodes: Iterable[Node]) -> tuple[Node, ...]:
    return tuple(n for n in nodes if n.op not in LEAVES and root(n) is n)


def _heavy_first(graph: Graph) -> list[Node]:
    """Depth first, the branch with the largest value first (after Sethi and Ullman, 1970)."""
    weight: dict[Node, int] = {}
    for node in graph.nodes():
        below = max((weight[s] for s in node.src), default=0)
        weight[node] = max(below, 0 if node.is_constant else node.type.nbytes)
    order: list[Node] = []
    seen: set[Node] = set()
    roots = (*graph.outputs, *(new for _, new in graph.updates))
    stack = [(node, False) for node in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((s, False) for s in sorted(node.src, key=lambda s: weight[s]))
    return order


def _readers_first(graph: Graph, order: tuple[Node, ...]) -> tuple[Node, ...]:
    """`order`, changed so that what reads a state runs before what makes its next value.

    Then the next value may be written over the old one. Where states wait for each other in a
    circle, the circle is broken at its earliest step.
    """
    place = {node: i for i, node in enumerate(order)}
    after, late = _edges(graph, order)
    needs, waits = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    for edges, counts in ((after, needs), (late, waits)):
        for users in edges.values():
            for user in users:
                counts[user] += 1
    ready = [place[n] for n in order if not needs[n] and not waits[n]]
    stuck = [place[n] for n in order if not needs[n] and waits[n]]
    done: dict[Node, None] = {}
    while ready or stuck:
        node = order[heapq.heappop(ready or stuck)]
        if node in done:
            continue
        done[node] = None
        for edges, counts in ((after, needs), (late, waits)):
            for user in edges[node]:
                counts[user] -= 1
        for user in (*after[node], *late[node]):
            if not needs[user]:
                heapq.heappush(stuck if waits[user] else ready, place[user])
    return tuple(done)


Edges = dict[Node, list[Node]]


def _edges(graph: Graph, order: tuple[Node, ...]) -> tuple[Edges, Edges]:
    """For each step those that need its value, and those that should wait for it to have read."""
    after: Edges = {node: [] for node in order}
    late: Edges = {node: [] for node in order}
    readers: Edges = {}
    for node in order:
        for base in {root(s): None for s in node.src}:
            (after if base in after else readers).setdefault(base, []).append(node)
    for value, state in homes(changes(graph)).items():
        for node in readers.get(state, ()):
            if node is not value:
                late[node].append(value)
    return after, late
