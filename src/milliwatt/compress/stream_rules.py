"""One rule an operator: its new positions along time from its operands' new positions.

Operators that treat every position alike run on the new ones; windows run on a ring buffer; all
others get the whole window, and what follows them is computed anew in every run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from milliwatt.compress import stream_recurrent
from milliwatt.compress.stream_flow import Flow, Streamer, TooFew
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Concat, Conv2d, Mean, Pad, Pool2d, Reshape, Transpose
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.shape import pad_value

# None: this rule does not apply, the operator needs the whole window.
Rule = Callable[[Streamer, Node], Flow | Node | None]


def advance(streamer: Streamer, node: Node) -> Flow | Node:
    """What becomes of `node`, its operands already done: new positions, or all of it."""
    flows = [s for s in node.src if isinstance(streamer.done[s], Flow)]
    if node.op is Op.STATE or not flows:
        src = tuple(streamer.fresh(s) for s in node.src)
        return node if src == node.src else Node(node.op, src, node.attrs, node.name)
    for operand in node.src:
        if operand.op is Op.STATE and node.op not in stream_recurrent.LAYERS:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): reads {operand.name}, a state that changes once a "
                "window; only recurrent layers carry states from frame to frame"
            )
    value = _RULES.get(node.op, _mixed)(streamer, node)
    if value is None:
        value = _mixed(streamer, node)
    if isinstance(value, Flow) and streamer.sliding and value.length <= value.step:
        return value.node if value.end >= value.length and not value.lead else value
    return value


def _mixed(streamer: Streamer, node: Node) -> Node:
    """An operator that needs every position."""
    src = tuple(streamer.whole(s, node) for s in node.src)
    return Node(node.op, src, node.attrs, node.name)


def _flow(streamer: Streamer, node: Node) -> Flow:
    """The first operand's flow."""
    value = streamer.done[node.src[0]]
    assert isinstance(value, Flow)
    return value


def _same(streamer: Streamer, node: Node, flow: Flow, fresh: Node, axis: int) -> Flow:
    """`fresh` as the new positions of `node`, no position looking at others."""
    if not streamer.sliding and flow.first > 0:
        streamer.refuse(node, flow, "computes on padding before the first frame")
    return replace(flow, node=fresh, whole=node, axis=axis)


def _alike(streamer: Streamer, node: Node) -> Flow | None:
    """Elementwise operators of any number of operands, which broadcast."""
    rank = len(node.type.shape)
    values = [streamer.done[s] for s in node.src]
    flows = [v for v in values if isinstance(v, Flow)]
    axes = {f.axis + rank - len(f.whole.type.shape) for f in flows}
    lengths = {f.length for f in flows}
    if len(axes) > 1 or len(lengths) > 1 or len({f.step for f in flows}) > 1:
        return None
    axis = axes.pop()
    for operand, value in zip(node.src, values, strict=True):
        along = axis - rank + len(operand.type.shape)
        if isinstance(value, Node) and along >= 0 and operand.type.shape[along] != 1:
            return None  # every position has a value of its own
    first = min(f.first for f in flows)
    src = tuple(
        streamer.window(v, first, v.step, node) if isinstance(v, Flow) else v for v in values
    )
    joint = replace(
        flows[0],
        first=first,
        lead=max(f.lead for f in flows),
        blame=tuple(name for f in flows for name in f.blame),
    )
    return _same(streamer, node, joint, Node(node.op, src, node.attrs, node.name), axis)


def _per_row(streamer: Streamer, node: Node) -> Flow | None:
    """Operators along the last axis: softmax, fully_connected."""
    if not isinstance(streamer.done[node.src[0]], Flow):
        return None
    flow = _flow(streamer, node)
    if flow.axis == len(flow.whole.type.shape) - 1:
        return None
    src = (flow.node, *(streamer.fresh(s) for s in node.src[1:]))
    return _same(streamer, node, flow, Node(node.op, src, node.attrs, node.name), flow.axis)


def _window(streamer: Streamer, node: Node) -> Flow | Node | None:
    """Convolutions and pools along time; what they reach back to comes from a ring buffer."""
    flow, attrs = _flow(streamer, node), node.attrs
    assert isinstance(attrs, Conv2d | Pool2d)
    if flow.axis not in (1, 2) or len(node.type.shape) != 4:
        return None
    side = flow.axis - 1
    kernel = attrs.kernel if isinstance(attrs, Pool2d) else node.src[1].type.shape[1:3]
    dilation = attrs.dilation if isinstance(attrs, Conv2d) else (1, 1)
    span, stride = (kernel[side] - 1) * dilation[side] + 1, attrs.stride[side]
    before, after = attrs.padding[2 * side], attrs.padding[2 * side + 1]
    padding = list(attrs.padding)
    padding[2 * side : 2 * side + 2] = [0, 0]
    inner = replace(attrs, padding=(padding[0], padding[1], padding[2], padding[3]))
    padded = (*flow.blame, node.name) if before or after else flow.blame

    def on(first: int, count: int) -> Node:
        src = (
            streamer.window(flow, first, count, node),
            *(streamer.fresh(s) for s in node.src[1:]),
        )
        return Node(node.op, src, inner, node.name)

    total = node.type.shape[flow.axis]
    if streamer.sliding and total * stride <= max(flow.step, stride):
        # The whole result in every run: one pool over the window, or no more than is new.
        if before or after:
            streamer.refuse(node, replace(flow, blame=padded), "pads the window")
        return on(0, (total - 1) * stride + span)
    if flow.step % stride:
        raise TooFew(
            f"{node.name} ({node.op}): stride {stride} along time on {flow.step} new positions a "
            f"run; pass frames= (--frames) {stride // math.gcd(stride, flow.step)} times as many",
            stride // math.gcd(stride, flow.step),
        )
    step = flow.step // stride
    first = (flow.end - span + before) // stride - step + 1
    if not streamer.sliding:
        _check_causal(streamer, node, replace(flow, blame=padded), first, before)
    fresh = on(first * stride - before, (step - 1) * stride + span)
    lead = -(-(flow.lead + before) // stride)
    return Flow(fresh, node, flow.axis, step, first, lead, padded)


def _check_causal(streamer: Streamer, node: Node, flow: Flow, first: int, before: int) -> None:
    """A sequence begins as the window's does only where all padding is zeros before it."""
    if first > 0:
        streamer.refuse(node, flow, "pads more than its kernel reaches back")
    if before and flow.first < 0:
        streamer.refuse(node, flow, "pads results of a layer that does not pad")
    if (before or flow.first > 0) and node.op not in (Op.CONV2D, Op.DEPTHWISE_CONV2D):
        streamer.refuse(node, flow, "takes no part of its padding as zeros")


def _pad(streamer: Streamer, node: Node) -> Flow | Node | None:
    """Padding along time moves positions; along other axes it is done as before."""
    flow, attrs = _flow(streamer, node), node.attrs
    assert isinstance(attrs, Pad)
    before, after = attrs.paddings[flow.axis]
    if (before or after) and pad_value(attrs, node.src[0].type) != node.src[0].type.zero_point:
        return None
    rest = tuple((0, 0) if a == flow.axis else p for a, p in enumerate(attrs.paddings))
    fresh = flow.node
    if any(map(any, rest)):
        fresh = Node(Op.PAD, (flow.node,), replace(attrs, paddings=rest), node.name)
    blame = (*flow.blame, node.name) if before or after else flow.blame
    moved = replace(flow, lead=flow.lead + before if before else flow.lead, blame=blame)
    return replace(moved, node=fresh, whole=node, first=flow.first + before)


def _slice(streamer: Streamer, node: Node) -> Flow | Node | None:
    """A slice along other axes; or one along time that drops positions at its ends."""
    flow, attrs = _flow(streamer, node), node.attrs
    assert isinstance(attrs, StridedSlice)
    axis, begin = flow.axis, attrs.begin[flow.axis]
    if attrs.strides[axis] != 1:
        return None
    total = node.type.shape[axis]
    if streamer.sliding and total <= flow.step and total < flow.length:
        part = streamer.window(flow, begin, total, node)
        return _cut_rest(node, part, axis, total)
    last = flow.end - begin
    if streamer.sliding:
        last = min(last, total)
    first = last - flow.step
    part = streamer.window(flow, first + begin, flow.step, node)
    cut = _cut_rest(node, part, axis, flow.step)
    return replace(flow, node=cut, whole=node, first=first, lead=max(0, flow.lead - begin))


def _cut_rest(node: Node, part: Node, axis: int, count: int) -> Node:
    """The slice of `node` on `part`, which is right along `axis` already."""
    attrs = node.attrs
    assert isinstance(attrs, StridedSlice)
    begin = tuple(0 if a == axis else b for a, b in enumerate(attrs.begin))
    size = tuple(count if a == axis else n for a, n in enumerate(attrs.size))
    if size == part.type.shape and all(s == 1 for s in attrs.strides):
        return part
    return Node(Op.STRIDED_SLICE, (part,), replace(attrs, begin=begin, size=size), node.name)


def _reshape(streamer: Streamer, node: Node) -> Flow | None:
    """A reshape that leaves the time axis whole."""
    flow, attrs = _flow(streamer, node), node.attrs
    assert isinstance(attrs, Reshape)
    outer = math.prod(flow.whole.type.shape[: flow.axis])
    for axis, size in enumerate(attrs.shape):
        if size == flow.length and math.prod(attrs.shape[:axis]) == outer:
            shape = (*attrs.shape[:axis], flow.step, *attrs.shape[axis + 1 :])
            fresh = Node(Op.RESHAPE, (flow.node,), replace(attrs, shape=shape), node.name)
            return replace(flow, node=fresh, whole=node, axis=axis)
    return None


def _transpose(streamer: Streamer, node: Node) -> Flow:
    flow, attrs = _flow(streamer, node), node.attrs
    assert isinstance(attrs, Transpose)
    fresh = Node(Op.TRANSPOSE, (flow.node,), attrs, node.name)
    return replace(flow, node=fresh, whole=node, axis=attrs.perm.index(flow.axis))


def _concat(streamer: Streamer, node: Node) -> Flow | None:
    """Concatenation of channels or features, position by position."""
    attrs = node.attrs
    assert isinstance(attrs, Concat)
    flows = [streamer.done[s] for s in node.src]
    if any(not isinstance(f, Flow) or f.axis == attrs.axis for f in flows):
        return None
    return _alike(streamer, node)


def _reduce(streamer: Streamer, node: Node) -> Flow | None:
    """Reductions over other axes than time."""
    flow, attrs = _flow(streamer, node), node.attrs
    assert isinstance(attrs, Mean)
    if flow.axis in attrs.axes:
        return None
    dropped = 0 if attrs.keep_dims else sum(a < flow.axis for a in attrs.axes)
    fresh = Node(node.op, (flow.node,), attrs, node.name)
    return _same(streamer, node, flow, fresh, flow.axis - dropped)


_ELEMENTWISE = (
    *(Op.ADD, Op.SUB, Op.MUL, Op.DIV, Op.FLOOR_DIV, Op.FLOOR_MOD, Op.MAXIMUM, Op.MINIMUM),
    *(Op.SQUARED_DIFFERENCE, Op.PRELU, Op.EQUAL, Op.NOT_EQUAL, Op.LESS, Op.LESS_EQUAL),
    *(Op.GREATER, Op.GREATER_EQUAL, Op.LOGICAL_AND, Op.LOGICAL_OR, Op.ADD_N, Op.SELECT, Op.CLAMP),
    *(Op.LOGISTIC, Op.TANH, Op.ABS, Op.NEG, Op.EXP, Op.LOG, Op.SIN, Op.COS, Op.SQRT, Op.RSQRT),
    *(Op.SQUARE, Op.FLOOR, Op.CEIL, Op.ROUND, Op.ELU, Op.HARD_SWISH, Op.LEAKY_RELU),
    *(Op.LOGICAL_NOT, Op.LOOKUP, Op.QUANTIZE, Op.DEQUANTIZE, Op.REQUANTIZE, Op.CAST),
)
_RULES: dict[Op, Rule] = {
    **dict.fromkeys(_ELEMENTWISE, _alike),
    **dict.fromkeys((Op.FULLY_CONNECTED, Op.SOFTMAX, Op.LOG_SOFTMAX), _per_row),
    **dict.fromkeys((Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.MAX_POOL2D, Op.AVERAGE_POOL2D), _window),
    Op.PAD: _pad,
    Op.STRIDED_SLICE: _slice,
    Op.RESHAPE: _reshape,
    Op.TRANSPOSE: _transpose,
    Op.CONCAT: _concat,
    Op.MEAN: _reduce,
    **stream_recurrent.RULES,
}
