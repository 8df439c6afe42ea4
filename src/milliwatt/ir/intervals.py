"""Which integers each channel of an s8 value can hold, whatever the inputs.

A channel is an index of the last axis. `intervals(graph)` goes once through the graph, operands
first; every rule is sound (the true values lie inside) and most are exact at the ends, for they
evaluate the operator's own reference there. An operator without a rule gives the full range.
Source: interval arithmetic, Moore, "Interval Analysis", 1966.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import (
    Clamp,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Pool2d,
    Transpose,
)
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.common import clamp_range, clip
from milliwatt.ir.ops.conv import multipliers, out_size, real_weight
from milliwatt.ir.ops.elementwise import add_multipliers, mul_multiplier
from milliwatt.ir.ops.pool import mean_multiplier
from milliwatt.ir.ops.shape import pad_value
from milliwatt.ir.types import DType, Type

UNARY = frozenset({
    Op.CLAMP, Op.LOGISTIC, Op.TANH, Op.LOOKUP, Op.REQUANTIZE, Op.QUANTIZE, Op.DEQUANTIZE, Op.ABS,
    Op.NEG, Op.SIN, Op.COS, Op.FLOOR, Op.CEIL, Op.ROUND, Op.ELU, Op.HARD_SWISH, Op.LEAKY_RELU,
})  # fmt: skip
"""Operators of one operand that map each element alone."""

MOST_PATTERNS = 1024
_MOST_TAPS = 1 << 20
"""Border patterns, and taps of them along an axis, looked at one by one; else a layer is not."""

_EVERY = np.arange(-128, 128, dtype=np.int16).astype(np.int8)


@dataclass(frozen=True, eq=False)
class Interval:
    """The least and the greatest stored integer of each channel, both s64 [channels]."""

    low: np.ndarray
    high: np.ndarray

    @property
    def constant(self) -> np.ndarray:
        """bool [channels]: the channel holds one value, wherever and whatever the inputs."""
        equal: np.ndarray = self.low == self.high
        return equal

    @property
    def hull(self) -> tuple[int, int]:
        """The least and the greatest integer of all channels."""
        return int(self.low.min()), int(self.high.max())


Known = Sequence[Interval | None]
"""The intervals of a node's operands; None for what is not s8."""


def channels(kind: Type) -> int:
    """Size of the last axis; 1 where there is none."""
    return kind.shape[-1] if kind.shape else 1


def uniform(kind: Type, low: int, high: int) -> Interval:
    """Every channel of a value of type `kind` between the same bounds."""
    count = channels(kind)
    return Interval(np.full(count, low, np.int64), np.full(count, high, np.int64))


def intervals(graph: Graph) -> dict[Node, Interval]:
    """The interval of every s8 value of the graph; other values have none."""
    known: dict[Node, Interval] = {}
    chains = _Chains()
    for node in graph.nodes():
        rule = _RULES.get(node.op)
        found = None
        if node.op in UNARY:
            found = chains.interval(node, known)
        elif rule is not None and node.type.dtype is DType.S8:
            found = rule(node, [known.get(operand) for operand in node.src])
        if node.type.dtype is DType.S8:
            known[node] = found or uniform(node.type, *node.type.dtype.limits)
    return known


class _Chains:
    """Operators of one operand between s8 values, through floats too: tables of 256 results."""

    def __init__(self) -> None:
        self._links: dict[Node, tuple[Node, np.ndarray]] = {}

    def interval(self, node: Node, known: dict[Node, Interval]) -> Interval | None:
        """The interval of `node`, None where it is not s8 or comes from something else."""
        x = node.src[0]
        start, values = self._links.get(x, (x, _EVERY))
        if start.type.dtype is not DType.S8:
            return None
        kinds = [replace(each.type, shape=_EVERY.shape) for each in (node, x)]
        with np.errstate(all="ignore"):
            made = OPS[node.op].reference(node.attrs, kinds[0], [kinds[1]], [values])
        if node.type.dtype is not DType.S8:
            self._links[node] = start, made
            return None
        return _through(made.astype(np.int64), known[start])


def _through(table: np.ndarray, x: Interval) -> Interval:
    """What a table of 256 results makes of an interval."""
    pairs, back = np.unique(np.stack([x.low, x.high], 1), axis=0, return_inverse=True)
    parts = [table[low + 128 : high + 129] for low, high in pairs.tolist()]
    low, high = np.array([(part.min(), part.max()) for part in parts], np.int64).T
    back = back.reshape(-1)
    return Interval(low[back], high[back])


def readable(node: Node) -> bool:
    """A product of s8 by constant weights, without groups: its sums can be bounded and changed."""
    if node.op not in (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.FULLY_CONNECTED):
        return False
    x, weight = node.src[:2]
    if x.type.dtype is not DType.S8 or not all(p.is_constant for p in node.src[1:]):
        return False
    return node.op is not Op.CONV2D or weight.type.shape[3] == x.type.shape[3]


def filters(node: Node) -> np.ndarray:
    """Weights of a readable product without their zero point: f64 [outputs, KH, KW, inputs].

    Those of a depthwise convolution have one input each.
    """
    weight = real_weight(node.src[1].value, node.src[1].type)
    if node.op is Op.FULLY_CONNECTED:
        return weight[:, None, None, :]
    return weight.transpose(3, 1, 2, 0) if node.op is Op.DEPTHWISE_CONV2D else weight


def borders(node: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """Which taps lie inside the input: distinct rows [patterns, KH] and columns [patterns, KW].

    Every row pattern meets every column pattern. A product that never reads outside has one of
    each, all ones. None where there are too many to look at.
    """
    if not isinstance(node.attrs, Conv2d):
        return np.ones((1, 1)), np.ones((1, 1))
    rows, columns = _axis_borders(node, node.attrs, 0), _axis_borders(node, node.attrs, 1)
    if rows is None or columns is None or len(rows) * len(columns) > MOST_PATTERNS:
        return None
    return rows, columns


def _axis_borders(node: Node, attrs: Conv2d, axis: int) -> np.ndarray | None:
    size, taps = node.src[0].type.shape[1 + axis], node.src[1].type.shape[1 + axis]
    before, after = attrs.padding[2 * axis : 2 * axis + 2]
    stride, dilation = attrs.stride[axis], attrs.dilation[axis]
    count = out_size(size, taps, stride, dilation, before, after)
    starts = np.arange(count) * stride - before
    inside = (starts >= 0) & (starts + (taps - 1) * dilation < size)
    if (count - inside.sum()) * taps > _MOST_TAPS:
        return None
    # All windows inside are one pattern, and by far the most.
    at = starts[~inside, None] + np.arange(taps) * dilation
    patterns = np.unique((at >= 0) & (at < size), axis=0).astype(np.float64)
    return np.concatenate([patterns, np.ones((int(inside.any()), taps))])


def _product(node: Node, ins: Known) -> Interval | None:
    attrs, x = node.attrs, ins[0]
    assert isinstance(attrs, Conv2d | FullyConnected)
    idle = _clamped(node, attrs.clamp)
    if x is None or not readable(node):
        return idle
    patterns = borders(node)
    if patterns is None:
        return idle
    rows, columns = patterns
    weight, kind = filters(node), node.src[0].type
    low, high = (bound.astype(np.float64) - kind.zero_point for bound in (x.low, x.high))
    if node.op is Op.DEPTHWISE_CONV2D:
        each = weight.shape[0] // low.size
        ends = [weight[..., 0] * np.repeat(b, each)[:, None, None] for b in (low, high)]
        taps = np.stack([np.minimum(*ends), np.maximum(*ends)])
    else:
        above, below = np.maximum(weight, 0), np.minimum(weight, 0)
        taps = np.stack([above @ low + below @ high, above @ high + below @ low])
    # [2, outputs, KH, KW] -> a sum for each pattern [2, row patterns, column patterns, outputs]
    sums = np.moveaxis(rows @ taps @ columns.T, 1, -1).astype(np.int64)
    return _rescaled(node, sums + _bias(node, weight), attrs.clamp)


def _bias(node: Node, weight: np.ndarray) -> np.ndarray:
    """The bias as it was before the input's zero point was folded into it: s64 [outputs]."""
    assert isinstance(node.attrs, Conv2d | FullyConnected)
    bias = np.zeros(len(weight), np.int64)
    if len(node.src) > 2:
        bias += node.src[2].value
    if node.attrs.folded:
        bias += node.src[0].type.zero_point * weight.sum(axis=(1, 2, 3)).astype(np.int64)
    return bias


def _rescaled(node: Node, sums: np.ndarray, clamp: Clamp) -> Interval:
    """Results of sums [2 (low, high), ..., outputs]; all that the clamp lets pass where one wraps.

    Rescaling is monotonic as long as nothing leaves 32 bits.
    """
    out = node.type
    multiplier, shift = multipliers(node.src[0].type, node.src[1].type, out)
    reach = np.abs(sums).reshape(-1, sums.shape[-1]).max(axis=0)
    wraps = reach > fx.INT32_MAX >> np.maximum(shift, 0)
    safe = np.where(wraps, 0, sums)
    scaled = fx.multiply_by_quantized_multiplier(safe, multiplier, shift) + out.zero_point
    low, high = clip(scaled, clamp, out).astype(np.int64).reshape(2, -1, sums.shape[-1])
    idle = _clamped(node, clamp)
    return Interval(
        np.where(wraps, idle.low, low.min(axis=0)), np.where(wraps, idle.high, high.max(axis=0))
    )


def _clamped(node: Node, clamp: Clamp) -> Interval:
    """Whatever a fused activation lets pass; with crossed bounds the upper one wins."""
    low, high = clamp_range(clamp, node.type)
    return uniform(node.type, min(low, high), high)


def _arithmetic(node: Node, ins: Known) -> Interval | None:
    """add, sub and mul are monotonic, or linear in each operand: extremes are at the corners."""
    a, b = ins
    assert isinstance(node.attrs, Elementwise)
    kinds = [operand.type for operand in node.src]
    # What enters the last rescaling has less than 28 bits, or 17: no larger shift is safe.
    if node.op is Op.MUL:
        wraps = mul_multiplier(node.type, kinds)[1] > 14
    else:
        wraps = add_multipliers(node.type, kinds)[2][1] > 2
    if a is None or b is None or wraps:
        return _clamped(node, node.attrs.clamp)
    # Broadcasting by hand: a value of one channel meets every channel.
    lines = np.broadcast_arrays(
        np.stack([a.low, a.low, a.high, a.high]), np.stack([b.low, b.high, b.low, b.high])
    )
    types = [replace(kind, shape=lines[0].shape) for kind in (node.type, *kinds)]
    values = [line.astype(np.int8) for line in lines]
    made = OPS[node.op].reference(node.attrs, types[0], types[1:], values).astype(np.int64)
    if made.shape[1] != channels(node.type):
        return None
    return Interval(made.min(axis=0), made.max(axis=0))


def _pool(node: Node, ins: Known) -> Interval | None:
    """A maximum or a rounded mean of integers lies between them; then the clamp."""
    assert isinstance(node.attrs, Pool2d)
    if ins[0] is None:
        return None
    ends = np.stack([ins[0].low, ins[0].high])
    low, high = clip(ends, node.attrs.clamp, node.type).astype(np.int64)
    return Interval(low, high)


def _mean(node: Node, ins: Known) -> Interval | None:
    x, kind = ins[0], node.src[0].type
    assert isinstance(node.attrs, Mean)
    if x is None or keeps_channels(node) is False:
        return None
    count = math.prod(kind.shape[axis] for axis in node.attrs.axes)
    sums = (np.stack([x.low, x.high]) - kind.zero_point) * count
    multiplier, shift = mean_multiplier(node.type, kind, count)
    if np.abs(sums).max() > fx.INT32_MAX >> max(shift, 0):
        return None
    scaled = fx.multiply_by_quantized_multiplier(sums, multiplier, shift) + node.type.zero_point
    low, high = np.clip(scaled, *node.type.dtype.limits)
    return Interval(low, high)


def _constant(node: Node, ins: Known) -> Interval:
    rows = node.value.reshape(-1, channels(node.type)).astype(np.int64)
    return Interval(rows.min(axis=0), rows.max(axis=0))


def _concat(node: Node, ins: Known) -> Interval | None:
    assert isinstance(node.attrs, Concat)
    parts = [part for part in ins if part is not None]
    lows, highs = [part.low for part in parts], [part.high for part in parts]
    if node.attrs.axis == len(node.type.shape) - 1:
        return Interval(np.concatenate(lows), np.concatenate(highs))
    return Interval(np.minimum.reduce(lows), np.maximum.reduce(highs))


def _pad(node: Node, ins: Known) -> Interval | None:
    x, attrs = ins[0], node.attrs
    assert isinstance(attrs, Pad)
    if x is None or not attrs.paddings:
        return x
    value = int(pad_value(attrs, node.src[0].type))
    low, high = x.low, x.high
    if any(amount for pair in attrs.paddings[:-1] for amount in pair):
        low, high = np.minimum(low, value), np.maximum(high, value)
    ends = [np.pad(bound, attrs.paddings[-1], constant_values=value) for bound in (low, high)]
    return Interval(ends[0], ends[1])


def _reshape(node: Node, ins: Known) -> Interval | None:
    """Element f is of channel f mod C before and after: channels meet modulo their gcd."""
    x = ins[0]
    if x is None:
        return None
    step = math.gcd(x.low.size, channels(node.type))
    low = x.low.reshape(-1, step).min(axis=0)
    high = x.high.reshape(-1, step).max(axis=0)
    return Interval(*(np.tile(b, channels(node.type) // step) for b in (low, high)))


def _transpose(node: Node, ins: Known) -> Interval | None:
    return ins[0] if keeps_channels(node) or ins[0] is None else uniform(node.type, *ins[0].hull)


def _slice(node: Node, ins: Known) -> Interval | None:
    attrs, x = node.attrs, ins[0]
    assert isinstance(attrs, StridedSlice)
    if x is None or not attrs.size:
        return x
    picked = attrs.begin[-1] + np.arange(attrs.size[-1]) * attrs.strides[-1]
    return Interval(x.low[picked], x.high[picked])


def _broadcast(node: Node, ins: Known) -> Interval | None:
    x, count = ins[0], channels(node.type)
    return x and Interval(np.resize(x.low, count), np.resize(x.high, count))


def _same(node: Node, ins: Known) -> Interval | None:
    """What a resize makes: cells of the input, or means of some with weights that sum to one."""
    return ins[0]


def keeps_channels(node: Node) -> bool:
    """Whether the last axis of a mean's or transpose's result is that of its operand."""
    attrs, last = node.attrs, len(node.src[0].type.shape) - 1
    if isinstance(attrs, Transpose):
        return last >= 0 and attrs.perm[-1] == last
    return isinstance(attrs, Mean) and last >= 0 and last not in attrs.axes


_RULES: dict[Op, Callable[[Node, Known], Interval | None]] = {
    Op.CONSTANT: _constant,
    Op.CONV2D: _product,
    Op.DEPTHWISE_CONV2D: _product,
    Op.FULLY_CONNECTED: _product,
    Op.ADD: _arithmetic,
    Op.SUB: _arithmetic,
    Op.MUL: _arithmetic,
    Op.MAX_POOL2D: _pool,
    Op.AVERAGE_POOL2D: _pool,
    Op.MEAN: _mean,
    Op.CONCAT: _concat,
    Op.PAD: _pad,
    Op.RESHAPE: _reshape,
    Op.TRANSPOSE: _transpose,
    Op.STRIDED_SLICE: _slice,
    Op.BROADCAST_TO: _broadcast,
    Op.RESIZE_BILINEAR: _same,
    Op.RESIZE_NEAREST: _same,
}
