"""Fold explicit zero padding into the convolution that follows it."""

from __future__ import annotations

from dataclasses import replace

from milliwatt.ir.attrs import Conv2d, Pad
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.shape import pad_value

_MOST = 16
"""Pads before one convolution that are folded into it: nobody writes more, but hostile files."""


def fold_pad(graph: Graph) -> Graph:
    """Fold `conv(pad(x))` into `conv(x)` with more padding, where the pad is real zeros on H and W.

    Exact: a padded cell of a convolution reads as real 0 too. Other users of the pad keep it.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op not in (Op.CONV2D, Op.DEPTHWISE_CONV2D):
        return None
    conv = node.attrs
    assert isinstance(conv, Conv2d)
    x, padding = node.src[0], conv.padding
    for _ in range(_MOST):
        if (more := _zeros(x)) is None:
            break
        top, bottom, left, right = (a + b for a, b in zip(padding, more, strict=True))
        x, padding = x.src[0], (top, bottom, left, right)
    if padding == conv.padding:
        return None
    return Node(node.op, (x, *node.src[1:]), replace(conv, padding=padding), node.name)


def _zeros(node: Node) -> tuple[int, int, int, int] | None:
    """Rows and columns of real zeros that a pad adds: top, bottom, left, right; None for others."""
    if node.op is not Op.PAD:
        return None
    assert isinstance(node.attrs, Pad)
    if len(node.attrs.paddings) != 4:
        return None
    batch, height, width, channels = node.attrs.paddings
    if any((*batch, *channels)) or pad_value(node.attrs, node.type) != node.type.zero_point:
        return None
    return (*height, *width)
