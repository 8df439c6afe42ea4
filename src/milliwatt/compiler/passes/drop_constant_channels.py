"""Drop the channels that are constant or that nothing reads: from weights, memory and work."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from milliwatt.compiler.passes.channel_needs import input_term, needed_channels
from milliwatt.ir.attrs import Concat, Reshape
from milliwatt.ir.attrs.move import BroadcastTo, StridedSlice
from milliwatt.ir.fold import WEIGHT_AXIS, fold_constants
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.intervals import Interval, channels, filters, intervals, readable
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import Quant

_ROUNDS = 8
"""What is left of a layer can be constant where the whole was not; real nets need one round."""


def drop_constant_channels(graph: Graph) -> Graph:
    """Remove s8 channels that always hold one value, or that meet only zero weights (exact).

    A constant channel goes into the biases of the products that read it and disappears from the
    layer that makes it, from all that lies between, and from the products' columns. At a border a
    product reads the zero point, so that a channel of another value stays before a padded one. A
    layer of nothing but constants becomes a constant. Not for s16 and float products.
    """
    if not any(readable(node) for node in graph.nodes()):
        return graph
    for _ in range(_ROUNDS):
        less = _round(graph)
        if less is graph:
            break
        graph = less
    return graph


def _round(graph: Graph) -> Graph:
    """One look at all layers; the same object where nothing goes."""
    known = intervals(graph)
    fixed = _fixed(known)
    if fixed:
        graph = fold_constants(_rebuilt(graph, lambda node, src: fixed.get(node)))
        known = intervals(graph)
    needed = needed_channels(graph, known)
    if all(mask.all() for mask in needed.values()):
        return graph
    return _rebuilt(graph, lambda node, src: _shrunk(node, src, needed, known))


def removed(before: Graph, after: Graph) -> str:
    """One line for reports: what the pass took away between two graphs; empty if nothing."""
    counts = []
    for graph in (before, after):
        nodes = [node for node in graph.nodes() if node.src]
        values = sum(channels(node.type) for node in nodes)
        macs = sum(OPS[n.op].macs(n.attrs, n.type, [s.type for s in n.src]) for n in nodes)
        weights = {s: s.type.nbytes for n in nodes for s in n.src if s.is_constant}
        counts.append((values, macs, sum(weights.values())))
    (values, macs, nbytes), (values_left, macs_left, nbytes_left) = counts
    if counts[0] == counts[1]:
        return ""
    return (
        f"{values - values_left:,} of {values:,} channels are constant or unread: "
        f"{macs:,} -> {macs_left:,} MACs, {nbytes:,} -> {nbytes_left:,} bytes of constants"
    )


def _fixed(known: Mapping[Node, Interval]) -> dict[Node, Node]:
    """The nodes whose every channel is constant, each as a row that repeats.

    Where that row is better kept repeated, `fold_constants` says.
    """
    found = {}
    for node, span in known.items():
        repeats = node.op is Op.BROADCAST_TO and node.src[0].is_constant
        if not node.src or repeats or not span.constant.all():
            continue
        row = span.low.astype(np.int8).reshape(node.type.shape[-1:])
        name = node.name if row.shape == node.type.shape else f"{node.name}/row"
        found[node] = constant(row, name, node.type.quant)
        if row.shape != node.type.shape:
            attrs = BroadcastTo(node.type.shape)
            found[node] = Node(Op.BROADCAST_TO, (found[node],), attrs, node.name)
    return found


def _rebuilt(graph: Graph, change: Callable[[Node, tuple[Node, ...]], Node | None]) -> Graph:
    """The graph with `change(node, its operands rebuilt)` in each node's place; None keeps it.

    A rewrite that sees both the node as it was and what has become of its operands.
    """
    done: dict[Node, Node] = {}
    for node in graph.nodes():
        src = tuple(done[operand] for operand in node.src)
        kept = node if src == node.src else None
        done[node] = change(node, src) or kept or Node(node.op, src, node.attrs, node.name)
    updates = tuple((done[state], done[new]) for state, new in graph.updates)
    inputs, outputs = (tuple(done[n] for n in nodes) for nodes in (graph.inputs, graph.outputs))
    return Graph(inputs, outputs, updates, graph.name)


def _shrunk(
    node: Node,
    src: tuple[Node, ...],
    needed: Mapping[Node, np.ndarray],
    known: Mapping[Node, Interval],
) -> Node | None:
    """`node` with its needed channels alone, on operands that have theirs alone."""
    mask = needed.get(node)
    if mask is None or not node.src:
        return None
    if node.op in WEIGHT_AXIS and readable(node):
        return _product(node, src, mask, needed, known)
    if mask.all():
        return None
    return _coupled(node, src, np.flatnonzero(mask))


def _product(
    node: Node,
    src: tuple[Node, ...],
    mask: np.ndarray,
    needed: Mapping[Node, np.ndarray],
    known: Mapping[Node, Interval],
) -> Node | None:
    """A product with fewer filters, and what it no longer reads in its bias."""
    x, weight = node.src[:2]
    rows, value = np.flatnonzero(mask), weight.value
    columns = needed.get(x, np.ones(channels(x.type), bool))
    bias = node.src[2].value[rows].astype(np.int64) if len(node.src) > 2 else None
    if node.op is Op.DEPTHWISE_CONV2D:
        value = value[..., rows]
    else:
        value = value[rows][..., columns]
        if not columns.all():
            lost = filters(node)[rows][..., ~columns].sum(axis=(1, 2)).astype(np.int64)
            term = lost @ input_term(node, known[x].low[~columns])
            if bias is not None or term.any():
                bias = term + (0 if bias is None else bias)
    if mask.all() and columns.all():
        return None
    parameters = [constant(value, weight.name, _taken(weight.type.quant, rows), weight.type.dtype)]
    if bias is not None:
        name = node.src[2].name if len(node.src) > 2 else f"{node.name}/bias"
        parameters.append(constant(bias.astype(np.int32), name))
    return Node(node.op, (src[0], *parameters), node.attrs, node.name)


def _taken(quant: Quant | None, rows: np.ndarray) -> Quant | None:
    """The scales of some output channels."""
    if quant is None or quant.axis is None:
        return quant
    scales, points = (tuple(each[row] for row in rows) for each in (quant.scale, quant.zero_point))
    return Quant(scales, points, quant.axis)


def _coupled(node: Node, src: tuple[Node, ...], kept: np.ndarray) -> Node:
    """An operator whose result has its operands' channels; constant operands lose theirs here."""
    attrs, count, first = node.attrs, channels(node.type), 0
    if isinstance(attrs, Reshape | BroadcastTo):
        attrs = replace(attrs, shape=(*attrs.shape[:-1], len(kept)))
    elif isinstance(attrs, StridedSlice):
        attrs = replace(attrs, size=(*attrs.size[:-1], len(kept)))
    operands = []
    beside = isinstance(attrs, Concat) and attrs.axis == len(node.type.shape) - 1
    for was, now in zip(node.src, src, strict=True):
        size = channels(was.type)
        picked = kept[(kept >= first) & (kept < first + size)] - first if beside else kept
        first += size
        if not (was.is_constant and (beside or size == count)):
            operands.append(now)
        elif len(picked):
            left = was.value[..., picked]
            operands.append(constant(left, was.name, was.type.quant, was.type.dtype))
    return Node(node.op, tuple(operands), attrs, node.name)
