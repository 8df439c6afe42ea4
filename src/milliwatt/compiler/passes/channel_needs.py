"""Which channels of which values anything needs: liveness, channel by channel, backwards.

A channel is an index of the last axis. A *product* (conv2d, fully_connected) computes each output
channel alone, and does without an input channel that is constant or meets only zero weights. An
operator that *couples* channels (elementwise, pools, depthwise, concat, ...) has a result channel
where its operand has one, and none where it has none. All other operators need every channel, and
so do the graph's inputs, outputs and states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Concat, Conv2d, FullyConnected, Pad
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.intervals import UNARY, Interval, borders, channels, filters, keeps_channels
from milliwatt.ir.intervals import readable as has_filters
from milliwatt.ir.ops import Op

Coupling = tuple[tuple[int, np.ndarray], ...]
"""(operand, the operand's channel behind each result channel, -1 for none); one of several."""

_PLAIN = UNARY | {Op.MAX_POOL2D, Op.AVERAGE_POOL2D, Op.RESIZE_BILINEAR, Op.RESIZE_NEAREST}
_JOINS = (Op.ADD, Op.SUB, Op.MUL)
_MIXES = (Op.CONV2D, Op.FULLY_CONNECTED)


@dataclass(frozen=True, eq=False)
class Mix:
    """What a product reads: `used` bool [outputs, inputs]; `known` [inputs] goes into the bias."""

    used: np.ndarray
    known: np.ndarray


def input_term(node: Node, values: np.ndarray) -> np.ndarray:
    """What a product's bias takes for each unit of weight of an input that is always `values`."""
    assert isinstance(node.attrs, Conv2d | FullyConnected)
    # A folded bias has the zero point's share already: it must lose the dropped weights' part.
    return values if node.attrs.folded else values - node.src[0].type.zero_point


def needed_channels(graph: Graph, known: Mapping[Node, Interval]) -> dict[Node, np.ndarray]:
    """For every value but constants, bool [channels]: what must be computed. At least one is.

    `known` are the intervals of the graph. Takes time in proportion to weights and values.
    """
    return _Needs(graph, known).solve()


class _Needs:
    """The needs found so far, and those whose consequences are still to be drawn."""

    def __init__(self, graph: Graph, known: Mapping[Node, Interval]) -> None:
        self.graph = graph
        self.users = graph.users()
        self.needed = {
            node: np.zeros(channels(node.type), bool) for node in self.users if not node.is_constant
        }
        self.mixes: dict[Node, Mix] = {}
        self.couplings: dict[Node, Coupling] = {}
        self.queue: list[tuple[Node, np.ndarray]] = []
        for node in self.needed:
            alone = len(node.src) < 2 or len(self.users[node.src[1]]) == 1
            if node.op in _MIXES and has_filters(node) and alone:
                self.mixes[node] = _mix(node, known)
            elif (found := _COUPLED.get(node.op, _none)(node)) is not None and (
                alone or node.op is not Op.DEPTHWISE_CONV2D
            ):
                self.couplings[node] = found

    def solve(self) -> dict[Node, np.ndarray]:
        """Spread the needs of what the caller sees and of what cannot do with less."""
        graph = self.graph
        fixed = {*graph.inputs, *graph.outputs, *(n for pair in graph.updates for n in pair)}
        for node in self.needed:
            if node in fixed:
                self._need(node, True)
            if node not in self.mixes and node not in self.couplings:
                for value in (node, *node.src):
                    self._need(value, True)
        self._spread()
        for node in reversed(self.needed):
            # A value of no channels is none: one stays where all are constant or unread.
            if not self.needed[node].any():
                self._need(node, np.arange(channels(node.type)) == 0)
                self._spread()
        return self.needed

    def _need(self, node: Node, mask: np.ndarray | bool) -> None:
        if node.is_constant:
            return
        fresh = mask & ~self.needed[node]
        if fresh.any():
            self.needed[node] |= fresh
            self.queue.append((node, fresh))

    def _spread(self) -> None:
        while self.queue:
            node, fresh = self.queue.pop()
            mix = self.mixes.get(node)
            if mix is not None:
                self._need(node.src[0], mix.used[fresh].any(axis=0) & ~mix.known)
            for index, reads in self.couplings.get(node, ()):
                operand = node.src[index]
                mask = np.zeros(channels(operand.type), bool)
                mask[reads[fresh & (reads >= 0)]] = True
                self._need(operand, mask)
            for user in self.users[node]:
                for index, reads in self.couplings.get(user, ()):
                    if user.src[index] is node:
                        self._need(user, (reads >= 0) & fresh[reads])


def _mix(node: Node, known: Mapping[Node, Interval]) -> Mix:
    """Which inputs of a product could go into its bias: constant ones, exactly at borders too."""
    weight = filters(node)
    used: np.ndarray = (weight != 0).any(axis=(1, 2))
    x = node.src[0]
    if x.is_constant:
        return Mix(used, np.zeros(channels(x.type), bool))
    span = known[x]
    patterns = borders(node)
    inside = patterns is not None and all(len(each) == 1 and each.all() for each in patterns)
    # Padding reads as the zero point: a channel of another value differs at the borders.
    fits = span.constant & (inside | (span.low == x.type.zero_point))
    sums = np.abs(weight.sum(axis=(1, 2)).astype(np.int64))
    terms = np.where(fits, np.abs(input_term(node, span.low)), 0)
    reach = sums @ terms
    if len(node.src) > 2:
        reach += np.abs(node.src[2].value.astype(np.int64))
    return Mix(used, fits if (reach <= fx.INT32_MAX).all() else np.zeros_like(fits))


def _none(node: Node) -> Coupling | None:
    return None


def _whole(node: Node) -> Coupling | None:
    """Result channel c is of operand channel c alone."""
    same = channels(node.src[0].type) == channels(node.type)
    return _of_first(node, np.arange(channels(node.type))) if same else None


def _of_first(node: Node, reads: np.ndarray) -> Coupling | None:
    return None if node.src[0].is_constant else ((0, reads),)


def _join(node: Node) -> Coupling:
    """add, sub, mul: an operand of one channel serves however many the result has."""
    count = channels(node.type)
    return tuple((i, np.arange(count)) for i, s in enumerate(node.src) if channels(s.type) == count)


def _broadcast(node: Node) -> Coupling | None:
    """A row of constants that repeats can lose some of them."""
    same = channels(node.src[0].type) == channels(node.type)
    return ((0, np.arange(channels(node.type))),) if node.src[0].type.shape and same else None


def _depthwise(node: Node) -> Coupling | None:
    if not has_filters(node):
        return None
    count, inputs = channels(node.type), channels(node.src[0].type)
    if inputs == 1:
        return ()
    return _of_first(node, np.arange(count) // (count // inputs))


def _concat(node: Node) -> Coupling | None:
    assert isinstance(node.attrs, Concat)
    count = channels(node.type)
    if node.attrs.axis != len(node.type.shape) - 1:
        return tuple((index, np.arange(count)) for index in range(len(node.src)))
    parts, first = [], 0
    for index, operand in enumerate(node.src):
        reads = np.arange(count) - first
        first += channels(operand.type)
        parts.append((index, np.where(np.arange(count) < first, np.maximum(reads, -1), -1)))
    return tuple(parts)


def _reshape(node: Node) -> Coupling | None:
    """Several positions side by side, as before a fully_connected: channel c, then c again."""
    count, inputs = channels(node.type), channels(node.src[0].type)
    if not node.src[0].type.shape or count % inputs:
        return None
    return _of_first(node, np.arange(count) % inputs)


def _pad(node: Node) -> Coupling | None:
    assert isinstance(node.attrs, Pad)
    return _whole(node) if node.attrs.paddings and not any(node.attrs.paddings[-1]) else None


def _slice(node: Node) -> Coupling | None:
    assert isinstance(node.attrs, StridedSlice)
    untouched = node.attrs.strides and node.attrs.begin[-1] == 0 and node.attrs.strides[-1] == 1
    return _whole(node) if untouched else None


def _kept(node: Node) -> Coupling | None:
    return _whole(node) if keeps_channels(node) else None


_COUPLED: dict[Op, Callable[[Node], Coupling | None]] = {
    **dict.fromkeys(_PLAIN, _whole),
    **dict.fromkeys(_JOINS, _join),
    Op.DEPTHWISE_CONV2D: _depthwise,
    Op.BROADCAST_TO: _broadcast,
    Op.CONCAT: _concat,
    Op.RESHAPE: _reshape,
    Op.PAD: _pad,
    Op.STRIDED_SLICE: _slice,
    Op.TRANSPOSE: _kept,
    Op.MEAN: _kept,
}
