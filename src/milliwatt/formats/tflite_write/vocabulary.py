"""A graph in TFLite's operators: what only milliwatt has is said in several of them, exactly.

Padding that is neither SAME nor VALID becomes a PAD before the window, a bias that passes folded
is unfolded, a fused residual add is an add again, a bias without a scale gets its scale.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from milliwatt.formats.tflite_write.core import scheme
from milliwatt.ir.attrs import Conv2d, ConvAdd, FullyConnected, Pad, Pool2d
from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.conv import fold_offset
from milliwatt.ir.types import Quant

_NO_PADDING = (0, 0, 0, 0)


def in_vocabulary(graph: Graph) -> Graph:
    """The same function in operators that TFLite has; nodes it has already stay as they are.

    Only nodes that no reader makes are changed, so that a file read and written is the same graph.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    made = node
    if isinstance(made.attrs, ConvAdd):
        conv = Node(Op.CONV2D, made.src[:-1], made.attrs.conv, f"{made.name}.conv")
        conv = _window(_scaled_bias(_unfolded(conv)))
        return Node(Op.ADD, (conv, made.src[-1]), made.attrs.add, made.name)
    made = _window(_scaled_bias(_unfolded(made)))
    return None if made is node else made


def _unfolded(node: Node) -> Node:
    """The node with the input's zero point taken out of its bias again (exact in 32 bits)."""
    attrs = node.attrs
    if not isinstance(attrs, Conv2d | FullyConnected) or not attrs.folded:
        return node
    x, weight, bias = node.src
    # Folding subtracts zero_point * sum(weight); folding once more with its negative adds it.
    quant = Quant.per_tensor(x.type.scale, -x.type.zero_point)
    value = fold_offset(
        replace(x.type, quant=quant), weight.value, bias.value, WEIGHT_AXIS[node.op]
    )
    src = (x, weight, constant(value, bias.name))
    return Node(node.op, src, replace(attrs, folded=False), node.name)


def _scaled_bias(node: Node) -> Node:
    """The node with the scale of its bias stated, which interpreters check: x's times weight's."""
    attrs = node.attrs
    if not isinstance(attrs, Conv2d | FullyConnected) or len(node.src) < 3:
        return node
    x, weight, bias = node.src
    if bias.type.quant or not bias.is_constant or not (x.type.quant and weight.type.quant):
        return node
    products = np.float32(x.type.scale) * weight.type.quant.scales
    axis = None if len(products) == 1 else 0
    quant = Quant(tuple(float(p) for p in products), (0,) * len(products), axis)
    scaled = constant(bias.value, bias.name, quant, bias.type.dtype)
    return Node(node.op, (x, weight, scaled), attrs, node.name)


def _window(node: Node) -> Node:
    """The node behind a PAD where its padding is neither SAME nor VALID."""
    attrs: Any = node.attrs
    if node.op not in (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.MAX_POOL2D) or scheme(node) is not None:
        return node
    value = None
    if isinstance(attrs, Pool2d):  # padded cells take no part in a maximum: the least value
        dtype = node.type.dtype
        value = float(np.finfo(dtype.numpy).min if dtype.is_float else dtype.limits[0])
    top, bottom, left, right = attrs.padding
    x = node.src[0]
    pad = Pad(((0, 0), (top, bottom), (left, right), (0, 0)), value)
    padded = Node(Op.PAD, (x,), pad, f"{node.name}.pad")
    return Node(node.op, (padded, *node.src[1:]), replace(attrs, padding=_NO_PADDING), node.name)
