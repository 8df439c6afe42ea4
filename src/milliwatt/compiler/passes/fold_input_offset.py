"""Fold the input zero point of integer convolutions and matrix products into their bias."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from milliwatt.ir.attrs import Conv2d, FullyConnected
from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops.conv import fold_offset, is_plain
from milliwatt.ir.types import DType


def fold_input_offset(graph: Graph) -> Graph:
    """Replace sum((x - z) * w) + b by sum(x * w) + (b - z * sum(w)), with padding that reads as z.

    Exact in 32-bit wrapping arithmetic. Only for what the fast s8 kernels take; the general ones
    subtract the zero points themselves. Source: Jacob et al., CVPR 2018, section 2.3.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    axis = WEIGHT_AXIS.get(node.op)
    if axis is None or node.type.dtype is not DType.S8:
        return None
    attrs = node.attrs
    assert isinstance(attrs, Conv2d | FullyConnected)
    x, weight = node.src[0], node.src[1]
    if attrs.folded or not weight.is_constant or not is_plain(node.op, x.type, weight.type):
        return None
    if len(node.src) > 2:
        if not node.src[2].is_constant:
            return None
        bias = node.src[2].value
    else:
        bias = np.zeros(weight.type.shape[axis], np.int32)
    folded = constant(fold_offset(x.type, weight.value, bias, axis), f"{node.name}/bias_folded")
    return Node(node.op, (x, weight, folded), replace(attrs, folded=True), node.name)
