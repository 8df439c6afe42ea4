"""Make a ring buffer one operator that works in place, instead of a join, a cut and a copy."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.attrs import Concat
from milliwatt.ir.attrs.control import State
from milliwatt.ir.attrs.move import ShiftIn, StridedSlice
from milliwatt.ir.graph import Graph, Node, state
from milliwatt.ir.ops import Op


def fuse_shift(graph: Graph) -> Graph:
    """Where a state joined with new positions is cut to be the next state, keep the joined value.

    window = concat(old, fresh), next old = window[fresh:] becomes window = shift_in(state, fresh),
    next state = window: it is read where it lies, and nothing is copied at the end of a run. Exact:
    the same bytes.
    """
    users = graph.users()
    windows: dict[Node, Node] = {}
    for old, new in graph.updates:
        joined = new.src[0] if new.op is Op.STRIDED_SLICE else None
        if joined is not None and users[old] == [joined] and _is_ring(old, new, joined):
            windows[joined] = _shifted(old, joined)
    if not windows:
        return graph
    return _rebuilt(graph, windows)


def _is_ring(old: Node, new: Node, joined: Node) -> bool:
    """True for new = concat(old, fresh)[fresh:] along one axis."""
    cut, join = new.attrs, joined.attrs
    if not isinstance(join, Concat) or not isinstance(cut, StridedSlice):
        return False
    if len(joined.src) != 2 or joined.src[0] is not old or joined.src[1] is old:
        return False
    fresh = joined.src[1].type.shape[join.axis]
    begin = tuple(fresh if axis == join.axis else 0 for axis in range(len(cut.begin)))
    return cut.begin == begin and cut.size == old.type.shape and set(cut.strides) == {1}


def _shifted(old: Node, joined: Node) -> Node:
    """shift_in on a state of the joined value's size; what leaves first is of no account."""
    assert isinstance(old.attrs, State) and isinstance(joined.attrs, Concat)
    axis, value = joined.attrs.axis, old.attrs.value
    fresh = joined.src[1].type.shape[axis]
    # Repeating the oldest position keeps a buffer of equal bytes one of equal bytes.
    filler = np.repeat(np.take(value, [0], axis), fresh, axis)
    window = state(np.concatenate([filler, value], axis), old.name, old.type.quant, old.attrs.dtype)
    return Node(Op.SHIFT_IN, (window, joined.src[1]), ShiftIn(axis), joined.name)


def _rebuilt(graph: Graph, windows: dict[Node, Node]) -> Graph:
    """The graph with every joined value replaced, and the new states updated by it."""
    done: dict[Node, Node] = {}
    for node in graph.nodes():
        made = windows.get(node)
        if made is not None:
            done[node] = Node(Op.SHIFT_IN, (made.src[0], done[node.src[1]]), made.attrs, made.name)
            continue
        src = tuple(done[s] for s in node.src)
        done[node] = node if src == node.src else Node(node.op, src, node.attrs, node.name)
    updates = []
    for old, new in graph.updates:
        joined = new.src[0] if new.src else None
        if joined in windows and joined is not None and joined.src[0] is old:
            updates.append((done[joined].src[0], done[joined]))
        else:
            updates.append((done[old], done[new]))
    outputs = tuple(done[n] for n in graph.outputs)
    return Graph(tuple(done[n] for n in graph.inputs), outputs, tuple(updates), graph.name)
