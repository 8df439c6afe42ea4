"""Per channel, how a `_dsp` kernel turns an accumulator into an int8 result: one step or two."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from milliwatt.compiler.rows.onestep import OneStep, TwoStep, solve, two_step
from milliwatt.ir.attrs import Conv2d, FullyConnected
from milliwatt.ir.graph import Node
from milliwatt.ir.ops.conv import fold_offset, multipliers
from milliwatt.ir.types import Type

LIMIT = 2**30
"""Accumulators stay below it: kernels double them."""


@dataclass(frozen=True, eq=False)
class ChannelSteps:
    """`steps` is 1 or 2 for all channels; `records` is s32 [channels, 4]:
    {bias, factor, offset, 0} or {bias, multiplier, half, right}; see kernels/mw_dsp.h.

    `reach` is s64 [channels, 2], the smallest and largest accumulator, bias included.
    """

    steps: int
    records: np.ndarray
    reach: np.ndarray


_KNOWN: WeakKeyDictionary[Node, dict[tuple[int, ...], ChannelSteps | None]] = WeakKeyDictionary()


def channel_steps(
    node: Node,
    attrs: Conv2d | FullyConnected,
    out: Type,
    axis: int,
    limits: np.ndarray | int = LIMIT,
) -> ChannelSteps | None:
    """The records of a convolution or fully_connected with constant s8 weights.

    The input's zero point is folded into the bias. Args: out: type of the result that is rounded
    (of the hidden value where an add is fused). axis: of the output channels in the weight. limits:
    the accumulator of each channel, bias included, has to stay below it. Returns None where a
    channel has neither form: a scale of one half or more, or sums beyond its limit.
    """
    weight = node.src[1].value
    channels = weight.shape[axis]
    limit = np.broadcast_to(np.asarray(limits, np.int64), channels)
    known = _KNOWN.setdefault(node, {})
    key = (axis, *map(int, limit))
    if key not in known:
        known[key] = _channel_steps(node, attrs, out, axis, limit)
    return known[key]


def _channel_steps(
    node: Node, attrs: Conv2d | FullyConnected, out: Type, axis: int, limit: np.ndarray
) -> ChannelSteps | None:
    x, kind = node.src[0].type, node.src[1].type
    weight = node.src[1].value
    channels = weight.shape[axis]
    bias = node.src[2].value if len(node.src) > 2 else np.zeros(channels, np.int32)
    if not attrs.folded:
        bias = fold_offset(x, weight, bias, axis)
    rows = np.moveaxis(weight, axis, 0).reshape(channels, -1).astype(np.int64)
    up, down = np.maximum(rows, 0).sum(axis=1), np.minimum(rows, 0).sum(axis=1)
    start = bias.astype(np.int64)
    reach = np.stack([start - 128 * up + 127 * down, start + 127 * up - 128 * down], axis=1)
    if (np.abs(reach).max(axis=1) >= limit).any():
        return None
    scales = [np.broadcast_to(v, channels) for v in multipliers(x, kind, out)]
    ones: list[OneStep | None] = []
    for low_high, m, s, most in zip(reach, *scales, limit, strict=True):
        low, high = map(int, low_high)
        ones.append(solve(int(m), int(s), out.zero_point, (low, high), limit=int(most)))
        if ones[-1] is None:
            break
    else:
        one = [
            (int(b) + o.bias, o.factor, o.offset, 0) for b, o in zip(bias, ones, strict=True) if o
        ]
        return ChannelSteps(1, np.array(one, np.int32), reach)
    twos: list[TwoStep | None] = [
        two_step(int(m), int(s), out.zero_point) for m, s in zip(*scales, strict=True)
    ]
    if None in twos:
        return None
    two = [(int(b), t.multiplier, t.half, t.right) for b, t in zip(bias, twos, strict=True) if t]
    return ChannelSteps(2, np.array(two, np.int32), reach)
