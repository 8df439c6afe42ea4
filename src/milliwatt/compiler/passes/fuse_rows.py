"""Run two windowed operators row by row, where that lowers the peak of memory."""

from __future__ import annotations

from milliwatt.compiler.by_rows import ROW_ALIGN, row_bytes
from milliwatt.compiler.memory import alive_at_peak, live_peak
from milliwatt.compiler.passes.names import joined
from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, Pool2d
from milliwatt.ir.attrs.by_rows import ByRows
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op

_OPS = (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.MAX_POOL2D, Op.AVERAGE_POOL2D)
_TRIES = 64
_WORK = 10_000
"""Fusions tried, and nodes planned for them, as in fuse_add."""


def fuse_rows(graph: Graph, target: Target = PORTABLE) -> Graph:
    """Make `second(first(x))` one `by_rows` while the peak of memory falls by it.

    A convolution, depthwise convolution or pool whose only reader is another one, such as a
    pointwise convolution before a depthwise one, or a convolution before a pool. Exact: the same
    kernels run, for a few rows at a time.
    """
    tries = min(_TRIES, _WORK // max(len(list(graph.nodes())), 1))
    if not tries or not _candidates(graph):
        return graph
    peak = live_peak(graph, target)
    while tries:
        alive = alive_at_peak(graph, target)
        better = None
        for second in [n for n in _candidates(graph) if n in alive or n.src[0] in alive][:tries]:
            tries -= 1
            try:
                fused = _fuse(graph, second)
                fused_peak = live_peak(fused, target)
            except UnsupportedOp:
                continue  # a kernel that does not run a strip
            if fused_peak < peak:
                better, peak = fused, fused_peak
                break
        if better is None:
            break
        graph = better
    return graph


def _candidates(graph: Graph) -> list[Node]:
    """Second operators whose operand nobody else reads."""
    users = graph.users()
    kept = {*graph.outputs, *(new for _, new in graph.updates)}
    return [
        node
        for node in users
        if _windowed(node)
        and _windowed(node.src[0])
        and len(users[node.src[0]]) == 1
        and node.src[0] not in kept
        and all(
            row_bytes(n.type) % ROW_ALIGN == 0 for n in (node, node.src[0], *node.src[0].src[:1])
        )
    ]


def _windowed(node: Node) -> bool:
    return (
        node.op in _OPS
        and not node.src[0].is_constant
        and all(s.is_constant for s in node.src[1:])
        and node.src[0].type.shape[0] == 1
        and node.type.shape[1] > 1
        and node.src[0].type.dtype == node.type.dtype
    )


def _fuse(graph: Graph, second: Node) -> Graph:
    first = second.src[0]
    assert isinstance(first.attrs, Conv2d | Pool2d)
    assert isinstance(second.attrs, Conv2d | Pool2d)
    attrs = ByRows(str(first.op), first.attrs, len(first.src) - 1, str(second.op), second.attrs)
    fused = Node(Op.BY_ROWS, (*first.src, *second.src[1:]), attrs, joined(graph, first, second))
    return graph.rewrite(lambda node: fused if node is second else None)
