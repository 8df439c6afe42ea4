"""Fold explicit zero padding into the convolution that follows it."""

from __future__ import annotations

from dataclasses import replace

from milliwatt.ir.attrs import Conv2d, Pad
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.shape import pad_value


def fold_pad(graph: Graph) -> Graph:
    """Fold `conv(pad(x))` into `conv(x)` with more padding, where the pad is real zeros on H and W.

    Exact: a padded cell of a convolution reads as real 0 too. Other users of the pad keep it.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    folded = None
    while (shorter := _fold_one(folded or node)) is not None:
        folded = shorter
    return folded


def _fold_one(node: Node) -> Node | None:
    if node.op not in (Op.CONV2D, Op.DEPTHWISE_CONV2D) or node.src[0].op is not Op.PAD:
        return None
    pad = node.src[0]
    attrs, conv = pad.attrs, node.attrs
    assert isinstance(attrs, Pad) and isinstance(conv, Conv2d)
    batch, height, width, channels = attrs.paddings
    if any((*batch, *channels)) or pad_value(attrs, pad.type) != pad.type.zero_point:
        return None
    top, bottom, left, right = conv.padding
    padding = (top + height[0], bottom + height[1], left + width[0], right + width[1])
    return Node(node.op, (pad.src[0], *node.src[1:]), replace(conv, padding=padding), node.name)
