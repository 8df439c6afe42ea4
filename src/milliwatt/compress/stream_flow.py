"""Values on their way through time: what of a window is new in this run, and ring buffers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import Concat
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node, state
from milliwatt.ir.ops import Op


@dataclass(frozen=True, eq=False)
class Flow:
    """A value of which every run makes `step` new positions along `axis`.

    `node` holds the new ones, `whole` is the value in the graph of the whole window. The new ones
    are the positions from `first` on: of the window that ends now where a window slides, of the
    sequence in its first run where a sequence passes. `lead` positions at the start of the window
    depend on padding; `blame` names the layers that padded.
    """

    node: Node
    whole: Node
    axis: int
    step: int
    first: int
    lead: int = 0
    blame: tuple[str, ...] = ()

    @property
    def length(self) -> int:
        """Positions of the whole window."""
        return self.whole.type.shape[self.axis]

    @property
    def end(self) -> int:
        """The first position that is not known yet."""
        return self.first + self.step


class TooFew(InvalidGraph):
    """A stride along time that the new positions are no multiple of: `factor` times as many are."""

    def __init__(self, message: str, factor: int) -> None:
        super().__init__(message)
        self.factor = factor


class Streamer:
    """The streaming graph while it is built: what became of every node, and the ring buffers.

    `silence` holds every value of the window graph for inputs of real zeros where a window slides;
    None where a sequence passes.
    """

    def __init__(self, graph: Graph, silence: Mapping[Node, np.ndarray] | None) -> None:
        self.done: dict[Node, Flow | Node] = {}
        self.sliding = silence is not None
        self._silence = silence or {}
        self._old = dict(graph.updates)
        self._updates: list[tuple[Node, Node]] = []
        self._windows: dict[tuple[Node, int, int], Node] = {}

    def fresh(self, node: Node) -> Node:
        """What stands for `node` in the streaming graph: all of it, or its new positions."""
        value = self.done[node]
        return value if isinstance(value, Node) else value.node

    def updates(self) -> tuple[tuple[Node, Node], ...]:
        """The states of ring buffers and those that the graph had, each with its next value."""
        old = tuple((self.fresh(s), self.fresh(n)) for s, n in self._old.items())
        return (*old, *self._updates)

    def next_value(self, node: Node) -> Node | None:
        """What a state of the window graph holds after a run; None for other nodes."""
        return self._old.get(node)

    def refuse(self, node: Node, flow: Flow, what: str) -> NoReturn:
        """UnsupportedOp: `node` does `what` with positions of `flow` that padding decides."""
        layers = ", ".join(dict.fromkeys(flow.blame)) or node.name
        raise UnsupportedOp(
            f"{node.name} ({node.op}): {what}; padded along time: {layers}; to stream, train them "
            "without padding along time ('valid'), or with padding before the first frame only "
            "(causal) and results that keep the time axis"
        )

    def whole(self, node: Node, user: Node) -> Node:
        """All positions of the value of `node`, for `user`, which mixes them."""
        value = self.done[node]
        if isinstance(value, Node):
            return value
        if not self.sliding:
            raise UnsupportedOp(
                f"{user.name} ({user.op}): mixes all positions along time; a sequence of results "
                "needs layers that look back only"
            )
        return self.window(value, 0, value.length, user)

    def window(self, flow: Flow, first: int, count: int, user: Node) -> Node:
        """Positions `first` to `first + count` of `flow`; old ones come from a ring buffer."""
        if first + count > flow.end:
            self.refuse(user, flow, "looks ahead of the newest frame")
        if self.sliding and first < flow.lead:
            self.refuse(user, flow, "reads positions that depend on the start of the window")
        key = (flow.node, first, count)
        if key not in self._windows:
            self._windows[key] = self._window(flow, first, count)
        return self._windows[key]

    def _window(self, flow: Flow, first: int, count: int) -> Node:
        back, name = flow.first - first, flow.node.name
        if back <= 0:
            return self._cut(flow.node, flow.axis, -back, count, f"{name}.part")
        buffer = state(self._history(flow, back), f"{name}.history", flow.whole.type.quant)
        self.done[buffer] = buffer
        joined = Node(Op.CONCAT, (buffer, flow.node), Concat(flow.axis), f"{name}.window")
        recent = self._cut(joined, flow.axis, flow.step, back, f"{name}.recent")
        self._updates.append((buffer, recent))
        return self._cut(joined, flow.axis, 0, count, f"{name}.part")

    def _cut(self, node: Node, axis: int, begin: int, count: int, name: str) -> Node:
        """`count` positions from `begin` on along `axis`."""
        shape = node.type.shape
        if count == shape[axis]:
            return node
        starts = tuple(begin if a == axis else 0 for a in range(len(shape)))
        sizes = tuple(count if a == axis else n for a, n in enumerate(shape))
        attrs = StridedSlice(starts, sizes, (1,) * len(shape))
        return Node(Op.STRIDED_SLICE, (node,), attrs, name)

    def _history(self, flow: Flow, count: int) -> np.ndarray:
        """What the last `count` positions before the first run hold: those of silence."""
        kind = flow.whole.type
        shape = (*kind.shape[: flow.axis], count, *kind.shape[flow.axis + 1 :])
        if not self.sliding:
            return np.full(shape, kind.zero_point, kind.dtype.numpy)
        newest = np.take(self._silence[flow.whole], [flow.end - 1], flow.axis)
        return np.broadcast_to(newest, shape)
