"""Rewrites that fold constants, batch normalization and activations into the nodes before them.

Each is `Graph -> Graph` and keeps meaning: up to float rounding where weights are multiplied
(`fold_batch_norm`, f32 only), bit for bit everywhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from milliwatt.ir.attrs import (
    NO_CLAMP,
    Attrs,
    Clamp,
    ClampAttrs,
    Conv2d,
    ConvAdd,
    Elementwise,
    FullyConnected,
    Pool2d,
)
from milliwatt.ir.attrs.control import Control
from milliwatt.ir.attrs.matrix import TransposeConv2d
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.common import clamp_range

# Bytes, and 8 for each product: references line up what they multiply in float64.
_MOST_WORK = 1 << 27
# Output-channel axis of the weight, by operator.
WEIGHT_AXIS = {Op.CONV2D: 0, Op.DEPTHWISE_CONV2D: 3, Op.FULLY_CONNECTED: 0}


def fold_constants(graph: Graph) -> Graph:
    """Replace nodes whose operands are all constants by their values (exact).

    A value more than four times its operands' size is left to be computed on the device, and so is
    what takes a computer long: more than _MOST_WORK in all, control flow, and detections, where the
    boxes are compared with each other.
    """
    work = 0

    def rule(node: Node) -> Node | None:
        nonlocal work
        if not node.src or not all(s.is_constant for s in node.src):
            return None
        if isinstance(node.attrs, Control) or node.op is Op.DETECTION_POSTPROCESS:
            return None
        types = [s.type for s in node.src]
        # A broadcast or a pad that grows the constants would cost more flash than it saves time.
        if node.type.nbytes > 4 * sum(t.nbytes for t in types) + 1024:
            return None
        work += node.type.nbytes + 8 * OPS[node.op].macs(node.attrs, node.type, types)
        if work > _MOST_WORK:
            return None
        values = [s.value for s in node.src]
        with np.errstate(all="ignore"):
            value = OPS[node.op].reference(node.attrs, node.type, types, values)
        if not np.isfinite(value).all():
            return None  # no constant may say so
        return constant(value, node.name, node.type.quant, node.type.dtype)

    return graph.rewrite(rule)


def fold_batch_norm(graph: Graph) -> Graph:
    """Fold mul, add and sub by per-channel constants into the convolution or matrix product before.

    That is how batch normalization in evaluation mode looks: y = conv(x) * c + d. Only f32, only
    where nothing else reads the product. The node keeps the convolution's name, and its value
    becomes the folded node's, equal up to float32 rounding. Source: Jacob et al., "Quantization and
    Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018, 3.2.
    """
    return unique_names(_rewrite_single_use(graph, _fold_affine))


def fuse_activation(graph: Graph) -> Graph:
    """Move a clamp node (ReLU, ReLU6) into the node before it, where nothing else reads that node.

    Bit-exact. Integer clamps are moved only where the clamp keeps its operand's quantization. The
    result keeps the producer's name, its value becomes the clamp's.
    """
    return _rewrite_single_use(graph, _fuse_clamp)


def unique_names(graph: Graph) -> Graph:
    """Rename every node whose name an earlier node has already: `w` becomes `w.2`, `w.3`, ..."""
    taken: set[str] = set()
    counts: dict[str, int] = {}

    def rule(node: Node) -> Node | None:
        name, count = node.name, counts.get(node.name, 1)
        while name in taken:
            count += 1
            name = f"{node.name}.{count}"
        counts[node.name] = count
        taken.add(name)
        return None if name == node.name else Node(node.op, node.src, node.attrs, name)

    return graph.rewrite(rule)


def _rewrite_single_use(graph: Graph, fuse: Callable[[Node, Node], Node | None]) -> Graph:
    """Offer (node, operand) to `fuse` for every operand that only `node` reads."""
    reads = Counter(operand.name for node in graph.nodes() for operand in node.src)
    reads.update(node.name for node in graph.outputs)
    reads.update(node.name for pair in graph.updates for node in pair)
    # A fused node stands for its consumer, so the consumer's readers are the ones that count.
    stands_for: dict[Node, str] = {}

    def rule(node: Node) -> Node | None:
        for operand in node.src:
            if reads[stands_for.get(operand, operand.name)] == 1:
                fused = fuse(node, operand)
                if fused is not None:
                    stands_for[fused] = node.name
                    return fused
        return None

    return graph.rewrite(rule)


def _fold_affine(node: Node, product: Node) -> Node | None:
    if node.op not in (Op.MUL, Op.ADD, Op.SUB) or product.op not in WEIGHT_AXIS:
        return None
    assert isinstance(product.attrs, Conv2d | FullyConnected)
    assert isinstance(node.attrs, Elementwise)
    other = node.src[1] if node.src[0] is product else node.src[0]
    constants = (*product.src[1:], other)
    if not node.type.dtype.is_float or not all(c.is_constant for c in constants):
        return None
    if product.attrs.clamp != NO_CLAMP or node.type.shape != product.type.shape:
        return None
    channels = product.type.shape[-1]
    if other.type.size != (other.type.shape or (1,))[-1]:
        return None  # varies along another axis than the channels
    term = np.broadcast_to(other.value.astype(np.float64).reshape(-1), (channels,))
    weight, bias = product.src[1].value.astype(np.float64), np.zeros(channels)
    if len(product.src) > 2:
        bias = product.src[2].value.astype(np.float64)
    factor = np.ones(channels)
    if node.op is Op.MUL:
        factor, bias = term, bias * term
    elif node.op is Op.ADD:
        bias = bias + term
    elif node.src[0] is product:
        bias = bias - term
    else:
        factor, bias = -factor, term - bias
    return _with_weights(product, node.attrs.clamp, factor, weight, bias)


def _with_weights(
    product: Node, clamp: Clamp, factor: np.ndarray, weight: np.ndarray, bias: np.ndarray
) -> Node | None:
    """`product` with its weight times `factor` per output channel; None where float32 overflows."""
    shape = [1] * weight.ndim
    shape[WEIGHT_AXIS[product.op]] = -1
    with np.errstate(over="ignore"):
        arrays = (weight * factor.reshape(shape)).astype(np.float32), bias.astype(np.float32)
    if not all(np.isfinite(a).all() for a in arrays):
        return None
    assert isinstance(product.attrs, Conv2d | FullyConnected)
    x, old_weight = product.src[:2]
    bias_name = product.src[2].name if len(product.src) > 2 else f"{product.name}.bias"
    same = bool(np.all(factor == 1))
    folded = old_weight if same else constant(arrays[0], old_weight.name)
    src = (x, folded, constant(arrays[1], bias_name))
    return Node(product.op, src, replace(product.attrs, clamp=clamp), product.name)


def _fuse_clamp(node: Node, producer: Node) -> Node | None:
    if not isinstance(node.attrs, ClampAttrs) or node.type != producer.type:
        return None
    attrs = producer.attrs
    if isinstance(attrs, ConvAdd):
        have = attrs.add.clamp
    elif isinstance(attrs, Conv2d | FullyConnected | TransposeConv2d | Pool2d | Elementwise):
        have = attrs.clamp
    else:
        return None
    low, high = node.attrs.bounds
    # clip(clip(x, a, b), low, high) = clip(x, clip(a, low, high), clip(b, low, high))
    both = (min(max(have[0], low), high), min(max(have[1], low), high))
    if not node.type.dtype.is_float and not _same_integers(have, node.attrs.bounds, both, node):
        return None
    fused: Attrs
    if isinstance(attrs, ConvAdd):
        fused = replace(attrs, add=replace(attrs.add, clamp=both))
    else:
        fused = replace(attrs, clamp=both)
    return Node(producer.op, producer.src, fused, producer.name)


def _same_integers(first: Clamp, second: Clamp, both: Clamp, node: Node) -> bool:
    """True where one clamp by `both` equals the two in turn for every integer before clamping.

    Between two of their bounds each side either stays or grows by one a step, so that they are
    equal everywhere if they are at the bounds and one beside them.
    """
    least, most = node.type.dtype.limits
    ranges = [clamp_range(clamp, node.type) for clamp in (first, second, both)]
    bounds = {least, most, *(bound for pair in ranges for bound in pair)}
    values = np.array(sorted({bound + step for bound in bounds for step in (-1, 0, 1)}))
    in_turn = values
    for low, high in ranges[:2]:
        in_turn = np.minimum(np.maximum(in_turn, low), high)
    low, high = ranges[2]
    return bool(np.array_equal(in_turn, np.minimum(np.maximum(values, low), high)))
