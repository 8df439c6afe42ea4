"""Fuse a residual add into the convolution before it, where that lowers the peak of memory."""

from __future__ import annotations

from milliwatt.compiler.memory import live_peak
from milliwatt.ir.attrs import Conv2d, ConvAdd, Elementwise
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType


def fuse_add(graph: Graph) -> Graph:
    """Make `add(conv(x), skip)` one `conv2d_add` that writes over the skip, if the peak falls.

    Exact: the fused kernel does the same two roundings per element; only the hidden tensor is gone.
    """
    best, best_peak = graph, live_peak(graph)
    for name in [node.name for node in graph.nodes() if node.op is Op.ADD]:
        fused = _fuse(best, name)
        if fused is None:
            continue
        peak = live_peak(fused)
        if peak < best_peak:
            best, best_peak = fused, peak
    return best


def _fuse(graph: Graph, name: str) -> Graph | None:
    """The graph with the add called `name` fused, or None where it cannot be."""
    users = graph.users()
    add = next(n for n in users if n.name == name)
    for index in (0, 1):
        conv, skip = add.src[index], add.src[1 - index]
        alone = len(users[conv]) == 1 and conv not in graph.outputs
        if not (conv.op is Op.CONV2D and alone and _fits(add, conv, skip)):
            continue
        assert isinstance(conv.attrs, Conv2d) and isinstance(add.attrs, Elementwise)
        attrs = ConvAdd(conv.attrs, add.attrs)

        def rule(node: Node, index: int = index, attrs: ConvAdd = attrs) -> Node | None:
            if node.name != name:
                return None
            return Node(
                Op.CONV2D_ADD, (*node.src[index].src, node.src[1 - index]), attrs, node.name
            )

        return graph.rewrite(rule)
    return None


def _fits(add: Node, conv: Node, skip: Node) -> bool:
    same = conv.type.shape == skip.type.shape
    return add.type.dtype is DType.S8 and same and len(conv.src) == 3 and not skip.is_constant
