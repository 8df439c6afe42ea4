"""When values live: which bytes of the arena are in use from which step to which.

A value lives from the step that makes it to the last step that reads it. Values that alias (a
reshape, a part of a bundle, an operator that may overwrite its operand) share one block. A state
lives all the time. Its next value is written straight into its block where nobody needs the old one
any more; otherwise the end of the run copies it there. All states change at once: what one gives to
another is its old value.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from milliwatt.compiler.alias import locate, root
from milliwatt.compiler.bind import Binder
from milliwatt.compiler.placement import ALIGN, Block
from milliwatt.ir.attrs.control import State
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op

LEAVES = (Op.INPUT, Op.CONSTANT, Op.STATE)

Place = tuple[int, int]
"""Number of a block, and a byte in it."""


@dataclass(frozen=True)
class Move:
    """Bytes to copy at the end of a run, from a place in the arena or from a constant in flash."""

    name: str
    to: int
    source: Place | Node
    nbytes: int


@dataclass
class Lifetimes:
    """The blocks of one execution order, without offsets yet. The states' are the first ones."""

    order: tuple[Node, ...]
    blocks: list[Block] = field(default_factory=list)
    values: dict[Node, Place] = field(default_factory=dict)
    workspaces: dict[Node, int] = field(default_factory=dict)
    outputs: list[Place] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    states: int = 0

    def add(self, name: str, nbytes: int, first: int, last: int) -> int:
        """A new block; its number."""
        self.blocks.append(Block(name, -(-nbytes // ALIGN) * ALIGN, first, last))
        return len(self.blocks) - 1

    def place(self, node: Node) -> Place:
        """Where the value of `node` lies."""
        base, at = locate(node)
        block, start = self.values[base]
        return block, start + at

    @property
    def copied_bytes(self) -> int:
        """Bytes that every run copies at its end."""
        return sum(move.nbytes for move in self.moves)


def fill_byte(value: np.ndarray) -> int | None:
    """The one byte that an array consists of; None where its bytes differ."""
    raw = np.frombuffer(value.tobytes(), np.uint8)
    return int(raw[0]) if raw.size and (raw == raw[0]).all() else None


def first_values(state: Node) -> np.ndarray:
    """The elements, flat, that a state's first value repeats to its end; all of them at worst.

    What a ring buffer holds before the first frame is one position many times over.
    """
    assert isinstance(state.attrs, State)
    value = state.attrs.value
    flat = value.reshape(-1)
    for axis in range(value.ndim - 1, -1, -1):
        rows = flat.reshape(-1, math.prod(value.shape[axis:]))
        if (rows == rows[0]).all():
            flat = rows[0]
            break
    return flat


def changes(graph: Graph) -> dict[Node, Node]:
    """States and their next values, less the states that stay what they are."""
    return {s: new for s, new in graph.updates if locate(new) != (s, 0)}


def homes(updates: dict[Node, Node]) -> dict[Node, Node]:
    """Computed values that may lie where a state does: value -> the state whose next value it is.

    A value that two states take lies where the first does.
    """
    found: dict[Node, Node] = {}
    for state, new in updates.items():
        base, at = locate(new)
        if base.op not in LEAVES and at == 0 and base.type.nbytes == state.type.nbytes:
            found.setdefault(base, state)
    return found


def lifetimes(graph: Graph, order: tuple[Node, ...], choose: Binder) -> Lifetimes:
    """All blocks of `graph` when its nodes run in `order`, each by the call that `choose` gives."""
    lives, updates = Lifetimes(order), changes(graph)
    end = len(order)
    last = _last_reads(graph, order, updates)
    # States that begin as the same byte lie side by side: one memset fills them all.
    fills = {s: fill_byte(s.attrs.value) for s, _ in graph.updates if isinstance(s.attrs, State)}
    for state in sorted(fills, key=lambda s: 256 if (fill := fills[s]) is None else fill):
        lives.values[state] = (lives.add(f"{state.name}/state", state.type.nbytes, -1, end), 0)
    lives.states = len(lives.blocks)
    for node in graph.inputs:
        lives.values[node] = (lives.add(node.name, node.type.nbytes, -1, last[node]), 0)
    settled = set()
    home = homes(updates)
    for i, node in enumerate(order):
        call = choose(node)
        operands = [node.src[k] for k in call.operands if not node.src[k].is_constant]
        free = [index for index in call.inplace if _overwritable(operands, index, i, last)]
        held = home.get(node)
        if held is not None and _replaces(held, operands, free, i, last):
            lives.values[node] = lives.values[held]
            settled.add(held)
        elif hosts := [n for n in map(operands.__getitem__, free) if root(n).op is not Op.STATE]:
            block, _ = lives.values[node] = lives.place(hosts[0])
            until = max(lives.blocks[block].last, last[node])
            lives.blocks[block] = replace(lives.blocks[block], last=until)
        else:
            lives.values[node] = (lives.add(node.name, node.type.nbytes, i, last[node]), 0)
        if call.workspace_bytes:
            workspace = lives.add(f"{node.name}/workspace", call.workspace_bytes, i, i)
            lives.workspaces[node] = workspace
    _finish(graph, lives, {s: new for s, new in updates.items() if s not in settled}, updates)
    return lives


def _last_reads(
    graph: Graph, order: tuple[Node, ...], updates: dict[Node, Node]
) -> dict[Node, int]:
    """For each root the last step that reads it; outputs and next states are read after the end."""
    last = {root(n): -1 for n in (*graph.inputs, *(s for s, _ in graph.updates))}
    for i, node in enumerate(order):
        last.setdefault(node, i)
        for operand in node.src:
            last[root(operand)] = i
    for node in (*graph.outputs, *updates.values()):
        last[root(node)] = len(order)
    return last


def _overwritable(operands: list[Node], index: int, step: int, last: dict[Node, int]) -> bool:
    """True where the result may take an operand's bytes: read through it alone, and not again."""
    host = root(operands[index])
    return last[host] == step and sum(root(other) is host for other in operands) == 1


def _replaces(
    state: Node, operands: list[Node], free: list[int], step: int, last: dict[Node, int]
) -> bool:
    """True where a result may take a state's bytes: all is read, or the kernel works in place."""
    if last[state] < step:
        return True
    return last[state] == step and any(locate(operands[i]) == (state, 0) for i in free)


def _finish(
    graph: Graph, lives: Lifetimes, updates: dict[Node, Node], changing: dict[Node, Node]
) -> None:
    """Outputs that need bytes of their own, and what is copied at the end of a run."""
    end = len(lives.order)

    def source(node: Node) -> Place | Node:
        return node if root(node).is_constant else lives.place(node)

    copies: dict[Node, int] = {}
    for node in graph.outputs:
        base = root(node)
        # The caller reads outputs after the states have changed.
        if base.is_constant or base in changing:
            if node not in copies:
                copies[node] = lives.add(f"{node.name}/output", node.type.nbytes, end, end)
                move = Move(node.name, copies[node], source(node), node.type.nbytes)
                lives.moves.append(move)
            lives.outputs.append((copies[node], 0))
        else:
            lives.outputs.append(lives.place(node))
    moves = [
        Move(state.name, lives.values[state][0], source(new), state.type.nbytes)
        for state, new in updates.items()
    ]
    lives.moves += _one_after_another(moves, lives)


def _one_after_another(moves: list[Move], lives: Lifetimes) -> list[Move]:
    """Moves that happen at once, in an order that does the same one by one.

    A block is written when everything that reads it has been done. What is left then are circles,
    in which each block is read once; each is opened by saving one block aside.
    """
    writer = {move.to: move for move in moves}
    readers = dict.fromkeys(writer, 0)
    for move in moves:
        if isinstance(move.source, tuple) and move.source[0] in readers:
            readers[move.source[0]] += 1
    ready = deque(block for block, count in readers.items() if count == 0)
    done: list[Move] = []
    while ready:
        move = writer.pop(ready.popleft())
        done.append(move)
        if isinstance(move.source, tuple) and move.source[0] in writer:
            readers[move.source[0]] -= 1
            if readers[move.source[0]] == 0:
                ready.append(move.source[0])
    if not writer:
        return done
    end = len(lives.order)
    aside = lives.add("states/aside", max(move.nbytes for move in writer.values()), end, end)
    for first, opened in list(writer.items()):
        if first not in writer:
            continue
        done.append(Move(opened.name, aside, (first, 0), lives.blocks[first].nbytes))
        block = first
        while block in writer:
            move = writer.pop(block)
            assert isinstance(move.source, tuple)
            block, at = move.source
            done.append(replace(move, source=(aside, at)) if block == first else move)
    return done
