"""A graph in TFLite's operators: what only milliwatt has is said in several of them, exactly.

Padding that is neither SAME nor VALID becomes a PAD before the window, a bias that passes folded
is unfolded, a fused residual add is an add again, a shifted buffer is a slice and a join, a bias
without a scale gets its scale; clamps that are no activations are maxima and minima, tables are
gathered from, scans are unrolled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from milliwatt.formats.tflite_write.core import CLAMP_NAME, FUSED, scheme
from milliwatt.formats.tflite_write.unroll import unrolled
from milliwatt.ir.attrs import (
    NO_CLAMP,
    Clamp,
    ClampAttrs,
    Concat,
    Conv2d,
    ConvAdd,
    Elementwise,
    FullyConnected,
    Lookup,
    Pad,
    Pool2d,
    Quantize,
    Reshape,
)
from milliwatt.ir.attrs.move import Gather, ShiftIn, StridedSlice
from milliwatt.ir.attrs.pointwise import Cast, Pointwise
from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.common import clamp_range
from milliwatt.ir.ops.conv import fold_offset
from milliwatt.ir.types import DType, Quant

_NO_PADDING = (0, 0, 0, 0)


def in_vocabulary(graph: Graph) -> Graph:
    """The same function in operators that TFLite has; nodes it has already stay as they are.

    Only nodes that no reader makes are changed, so that a file read and written is the same graph.
    """
    return unrolled(graph).rewrite(_rule)


def _rule(node: Node) -> Node | None:
    made = node
    if isinstance(made.attrs, ConvAdd):
        conv = Node(Op.CONV2D, made.src[:-1], made.attrs.conv, f"{made.name}.conv")
        conv = _window(_scaled_bias(_unfolded(conv)))
        return _clamped(Node(Op.ADD, (conv, made.src[-1]), made.attrs.add, made.name))
    if isinstance(made.attrs, ShiftIn):
        return _joined(made, made.attrs.axis)
    if isinstance(made.attrs, Lookup):
        return _gathered(made, made.attrs)
    made = _clamped(_window(_scaled_bias(_unfolded(made))))
    return None if made is node else made


def _joined(node: Node, axis: int) -> Node:
    """A shifted buffer as a slice of the old one joined with what is new."""
    buffer, fresh = node.src
    new, shape = fresh.type.shape[axis], buffer.type.shape
    if new == shape[axis]:
        return Node(Op.CONCAT, (fresh,), Concat(axis), node.name)
    begin = tuple(new if a == axis else 0 for a in range(len(shape)))
    size = tuple(n - new if a == axis else n for a, n in enumerate(shape))
    cut = StridedSlice(begin, size, (1,) * len(shape))
    kept = Node(Op.STRIDED_SLICE, (buffer,), cut, f"{node.name}.kept")
    return Node(Op.CONCAT, (kept, fresh), Concat(axis), node.name)


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
    """The node with the scale of its bias stated, which interpreters check: x's times weight's.

    The same node where float32 cannot hold that.
    """
    attrs = node.attrs
    if not isinstance(attrs, Conv2d | FullyConnected) or len(node.src) < 3:
        return node
    x, weight, bias = node.src
    if bias.type.quant or not bias.is_constant or not (x.type.quant and weight.type.quant):
        return node
    with np.errstate(over="ignore"):
        products = np.float32(x.type.scale) * weight.type.quant.scales
    if not (np.isfinite(products) & (products > 0)).all():
        return node
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


def _clamped(node: Node) -> Node:
    """The node with maxima and minima in place of a clamp that is no activation of TFLite."""
    attrs: Any = node.attrs
    if isinstance(attrs, ClampAttrs):
        if attrs.bounds in CLAMP_NAME:
            return node
        x = node.src[0]
        if node.type.quant is not None and node.type.quant != x.type.quant:
            scaled = Quantize(node.type.dtype, node.type.quant)
            x = Node(Op.REQUANTIZE, (x,), scaled, f"{node.name}.scaled")
        return _limited(x, attrs.bounds, node)
    clamp = getattr(attrs, "clamp", NO_CLAMP)
    if clamp in FUSED:
        return node
    free = Node(node.op, node.src, replace(attrs, clamp=NO_CLAMP), f"{node.name}.unclamped")
    return _limited(free, clamp, node)


def _limited(x: Node, bounds: Clamp, node: Node) -> Node:
    """x between bounds, under the name of `node`, whose type it has."""
    kind = node.type
    widest: tuple[float, float] = NO_CLAMP
    limits: tuple[float, float] = bounds
    if not kind.dtype.is_float:
        widest, limits = kind.dtype.limits, clamp_range(bounds, kind)
    for op, limit, free, suffix in zip(
        (Op.MAXIMUM, Op.MINIMUM), limits, widest, (".low", ".high"), strict=True
    ):
        if limit != free:
            value = np.array([limit], kind.dtype.numpy)
            held = constant(value, f"{node.name}{suffix}", kind.quant)
            x = Node(op, (x, held), Pointwise(kind.quant), f"{node.name}{suffix}_applied")
    if x.name.startswith(f"{node.name}."):
        return Node(x.op, x.src, x.attrs, node.name)
    return Node(Op.RESHAPE, (x,), Reshape(kind.shape), node.name)


def _gathered(node: Node, attrs: Lookup) -> Node:
    """table[x + 128] as CAST, ADD and GATHER."""
    whole = Node(Op.CAST, node.src, Cast(DType.S32), f"{node.name}.whole")
    offset = constant(np.array([128], np.int32), f"{node.name}.offset")
    index = Node(Op.ADD, (whole, offset), Elementwise(), f"{node.name}.index")
    table = constant(attrs.table, f"{node.name}.table", attrs.quant)
    return Node(Op.GATHER, (table, index), Gather(), node.name)
