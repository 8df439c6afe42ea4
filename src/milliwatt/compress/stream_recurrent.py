"""Rules of recurrent layers: scan and lstm take as many steps as there are new frames.

That is exact where their first states are states of the graph that hold their last ones after a
run, so that a window goes on where the one before it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from milliwatt.compress.stream_flow import Flow, Streamer
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs.control import Part, bundle_type
from milliwatt.ir.attrs.recurrent import Lstm, Scan
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.lstm import lstm_parts
from milliwatt.ir.types import Type

LAYERS = (Op.SCAN, Op.LSTM)
"""Layers that carry states from frame to frame by themselves."""


def _sequences(node: Node) -> tuple[Node, ...]:
    """The operands that have a position for every step."""
    return node.src[: node.attrs.sequences if isinstance(node.attrs, Scan) else 1]


def _starts(node: Node) -> tuple[Node, ...]:
    """The operands that are states before the first step."""
    if isinstance(node.attrs, Scan):
        first = node.attrs.sequences
        return node.src[first : first + node.attrs.states]
    return node.src[13:15]


def _results(node: Node) -> tuple[tuple[Type, ...], int]:
    """(types of all results, how many of them have a position for every step)."""
    if isinstance(node.attrs, Scan):
        return node.attrs.results, len(node.attrs.positions)
    assert isinstance(node.attrs, Lstm)
    return lstm_parts(node.attrs, [s.type for s in node.src]), 1


def _time_axis(node: Node) -> int:
    return 0 if isinstance(node.attrs, Lstm) and node.attrs.time_major else 1


def _check_states(streamer: Streamer, node: Node) -> None:
    """UnsupportedOp unless every first state is a state that holds the last one after a run."""
    types, count = _results(node)
    _, offsets = bundle_type(types)
    for start, offset in zip(_starts(node), offsets[count:], strict=True):
        if start.op is not Op.STATE:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): starts every window from {start.name} ({start.op}), so "
                "that frames count by their place in the window; let its state carry on from run "
                "to run: a state of the graph, updated with the layer's last one"
            )
        last = streamer.next_value(start)
        if last is None or not _is_result(last, node, offset):
            found = "nothing" if last is None else last.name
            raise UnsupportedOp(
                f"{node.name} ({node.op}): {start.name} holds {found} after a run; the layer's own "
                "last state wanted"
            )


def _is_result(node: Node, layer: Node, offset: int) -> bool:
    """Whether `node` is the result of `layer` at byte `offset` of its bundle."""
    return isinstance(node.attrs, Part) and node.src[0] is layer and node.attrs.offset == offset


def _layer(streamer: Streamer, node: Node) -> Flow | None:
    """The layer on the new positions; its bundle is no sequence itself, its parts are."""
    _check_states(streamer, node)
    flows = [streamer.done[s] for s in _sequences(node)]
    axis = _time_axis(node)
    if any(not isinstance(f, Flow) or f.axis != axis for f in flows):
        return None
    known = [f for f in flows if isinstance(f, Flow)]
    if len({f.step for f in known}) > 1:
        return None
    for flow in known:
        if flow.first > 0:
            streamer.refuse(node, flow, "computes on padding before the first frame")
        if flow.first < 0:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): {flow.node.name} has no whole window in the first runs, "
                "and the state would keep what it gives then; pad its layers along time before "
                "the first frame (causal)"
            )
    rest = tuple(streamer.whole(s, node) for s in node.src[len(known) :])
    attrs = node.attrs
    if isinstance(attrs, Scan):
        attrs = replace(attrs, steps=known[0].step)
    src = (*(flow.node for flow in known), *rest)
    fresh = Node(node.op, src, attrs, node.name)
    blame = tuple(name for flow in known for name in flow.blame)
    return Flow(fresh, node, 0, known[0].step, 0, 0, blame)


def _part(streamer: Streamer, node: Node) -> Flow | Node | None:
    """A result of such a layer: its new positions, or the states after the newest frame."""
    bundle, whole, attrs = streamer.done[node.src[0]], node.src[0], node.attrs
    if not isinstance(bundle, Flow) or whole.op not in LAYERS or not isinstance(attrs, Part):
        return None
    old, count = _results(whole)
    new, _ = _results(bundle.node)
    at = bundle_type(old)[1].index(attrs.offset)
    part = Part(bundle_type(new)[1][at], new[at])
    fresh = Node(Op.PART, (bundle.node,), part, node.name)
    if at >= count:
        return fresh
    return replace(bundle, node=fresh, whole=node, axis=_time_axis(whole))


RULES: dict[Op, Callable[[Streamer, Node], Flow | Node | None]] = {
    Op.SCAN: _layer,
    Op.LSTM: _layer,
    Op.PART: _part,
}
