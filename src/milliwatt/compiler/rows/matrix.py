"""General rows of the products, by one kernel an element type; transpose_conv2d, batch_matmul.

What conv.py's fast kernels do not take is a walk of filters over windows (kernels/mw_filters.h):
s16 activations, weights of 4 bits, of binary16, with a zero point, in groups, or computed at run
time. A fully_connected is such a walk over windows of 1 x 1, a transpose_conv2d one over an input
with zeros between its cells.
"""

from __future__ import annotations

import math

import numpy as np

from milliwatt.compiler.rows.conv import bias_of, channel_scales, check_sums, want_constant
from milliwatt.compiler.rows.results import (
    STEP_LIMIT,
    check_scaled,
    f32_bounds,
    prefixed,
    reach,
    s8_bounds,
    s8_result,
    scale_pair,
)
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.rows.strides import axes_array, collapse, row_major
from milliwatt.errors import UnsupportedOp
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Clamp, Conv2d, FullyConnected
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.conv import multipliers, real_weight
from milliwatt.ir.ops.matrix import product_multiplier
from milliwatt.ir.types import DType

# What TFLM's 64-bit scaling is made for: |x| below 2^47, left shifts below 8.
WIDE_LIMIT = 2**47
WIDE_SHIFT_LIMIT = 8


def _window(
    node: Node,
    places: tuple[tuple[int, ...], tuple[int, ...]],
    kernel: tuple[int, ...],
    steps: tuple[tuple[int, int], tuple[int, int], tuple[int, int]],
    before: tuple[int, int],
) -> tuple[Field, ...]:
    """The members of mw_filters up to `up_w`; `steps` are stride, dilation and up."""
    if max(max(pair) for pair in steps) >= STEP_LIMIT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): steps {[list(pair) for pair in steps]} of a window; below "
            f"{STEP_LIMIT} wanted; a window that never moves can have stride and dilation 1"
        )
    stride, dilation, up = steps
    return (
        *zip(("batches", "in_h", "in_w", "in_c"), places[0], strict=True),
        *zip(("out_h", "out_w", "out_c"), places[1][1:], strict=True),
        *zip(("kernel_h", "kernel_w"), kernel, strict=True),
        *zip(("stride_h", "stride_w"), stride, strict=True),
        *zip(("dilation_h", "dilation_w"), dilation, strict=True),
        *zip(("pad_top", "pad_left"), before, strict=True),
        *zip(("up_h", "up_w"), up, strict=True),
    )


def _walk(depth: int, group: int, first: int, filter_step: int, tap_step: int) -> tuple[Field, ...]:
    """The last members of mw_filters."""
    names = ("depth", "group", "first", "filter_step", "tap_step")
    return tuple(zip(names, (depth, group, first, filter_step, tap_step), strict=True))


def _filters(node: Node) -> tuple[Field, ...]:
    """The members of mw_filters: `node` as a walk of filters over windows."""
    x, weight, out, attrs = node.src[0].type, node.src[1].type, node.type, node.attrs
    places, one = (x.shape, out.shape), (1, 1)
    outputs = out.shape[-1]
    if isinstance(attrs, FullyConnected):
        inputs = weight.shape[1]
        rows = x.size // inputs
        places = ((rows, 1, 1, inputs), (rows, 1, 1, outputs))
        window = _window(node, places, one, (one, one, one), (0, 0))
        return (*window, *_walk(inputs, outputs, 0, inputs, inputs))
    kernel = weight.shape[1:3]
    taps, depth = kernel[0] * kernel[1], weight.shape[3]
    if isinstance(attrs, TransposeConv2d):
        before = (kernel[0] - 1 - attrs.offset[0], kernel[1] - 1 - attrs.offset[1])
        window = _window(node, places, kernel, (one, one, attrs.stride), before)
        return (*window, *_walk(depth, outputs, (taps - 1) * depth, taps * depth, -depth))
    assert isinstance(attrs, Conv2d)
    steps = (attrs.stride, attrs.dilation, one)
    window = _window(node, places, kernel, steps, (attrs.padding[0], attrs.padding[2]))
    if node.op is Op.DEPTHWISE_CONV2D:
        return (*window, *_walk(1, outputs // x.shape[3], 0, 1, outputs))
    return (*window, *_walk(depth, outputs * depth // x.shape[3], 0, taps * depth, depth))


def _sums_bytes(node: Node) -> int:
    """Workspace for the sums of depthwise filters, all channels of an output; 0 for others.

    The kernels go that way where a filter has one channel and its neighbour's weight is next to its
    own.
    """
    walk = dict(_filters(node))
    return 4 * node.type.shape[-1] if walk["depth"] == walk["filter_step"] == 1 else 0


def _outputs_of_a_filter(node: Node) -> int:
    return node.type.size // node.type.shape[-1]


def _clamp(node: Node) -> Clamp:
    assert isinstance(node.attrs, Conv2d | FullyConnected | TransposeConv2d)
    return node.attrs.clamp


def _axis(node: Node) -> int:
    """The axis of the weight that counts output channels."""
    return WEIGHT_AXIS.get(node.op, 0)


def _weight_sums(node: Node, *, signed: bool) -> np.ndarray:
    """Sum of the weights, zero point off, of each channel, or of their sizes; s64 [channels].

    Weights computed at run time are as large as their type allows.
    """
    kind, axis = node.src[1].type, _axis(node)
    if not node.src[1].is_constant:
        channels = kind.shape[axis]
        return np.full(channels, kind.size // channels * reach(kind), np.int64)
    weight = real_weight(node.src[1].value, kind)
    others = tuple(a for a in range(weight.ndim) if a != axis)
    sums: np.ndarray = (weight if signed else np.abs(weight)).sum(axis=others)
    return sums.astype(np.int64)


def _s8_bias(node: Node) -> np.ndarray:
    """s64 [channels]; an input offset that was folded in is taken out again."""
    bias = bias_of(node, node.type.shape[-1]).astype(np.int64)
    if getattr(node.attrs, "folded", False):
        bias = fx.wrap32(bias + node.src[0].type.zero_point * _weight_sums(node, signed=True))
    return bias


def _filters_s8(node: Node) -> tuple[Field, ...]:
    """The members of mw_conv2d_runtime_s8_params; UnsupportedOp where a sum may leave 32 bits."""
    want_constant(node, 2)
    x, weight, out = node.src[0].type, node.src[1].type, node.type
    bias = _s8_bias(node)
    largest = np.abs(bias) + reach(x) * _weight_sums(node, signed=False)
    check_sums(node, largest, multipliers(x, weight, out)[1])
    scales = np.broadcast_to(channel_scales(x, weight, out), (len(bias), 2))
    return (
        *prefixed("window", _filters(node)),
        ("in_zero_point", x.zero_point),
        ("weight_zero_point", weight.zero_point),
        ("nibbles", int(weight.dtype is DType.S4)),
        *s8_result(out, _clamp(node)),
        ("channels", np.column_stack([bias, scales]).astype(np.int32).reshape(-1)),
    )


def pack_nibbles(values: np.ndarray) -> np.ndarray:
    """s4 values, flat, as bytes: two in each, the first one the low half."""
    flat = values.reshape(-1).astype(np.int8)
    pairs = np.append(flat, np.zeros(flat.size % 2, np.int8)).reshape(-1, 2)
    packed: np.ndarray = (pairs[:, 0] & 15) | (pairs[:, 1] << 4)
    return packed.astype(np.int8)


def lower_general_s8(node: Node) -> Lowered:
    """A product of s8 activations with any constant weights."""
    want_constant(node, 1, 2)
    weight, workspace = node.src[1].value.reshape(-1), _sums_bytes(node)
    if node.src[1].type.dtype is DType.S4:
        if not workspace and _outputs_of_a_filter(node) > 1:
            workspace = 4 * weight.size // node.type.shape[-1]
        weight = pack_nibbles(weight)
    fields = (*prefixed("filters", _filters_s8(node)), ("weights", weight))
    return Lowered(fields, workspace, (0,))


def lower_runtime_s8(node: Node) -> Lowered:
    """A product of s8 activations with s8 weights that are computed at run time."""
    if node.src[1].type.dtype is DType.S4:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): weight {node.src[1].type.short} is computed by "
            f"{node.src[1].name}; s8 or a constant wanted"
        )
    return Lowered(_filters_s8(node), _sums_bytes(node), (0, 1))


def _wide_channels(node: Node, bias: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """s32 [channels, 2] of {multiplier, right shift}; UnsupportedOp beyond what TFLM scales."""
    factor = multipliers(node.src[0].type, node.src[1].type, node.type)
    multiplier, shift = (np.broadcast_to(part, bias.shape) for part in factor)
    reached = max(int(abs(int(b)) + int(s)) for b, s in zip(bias, largest, strict=True))
    if reached >= WIDE_LIMIT or int(shift.max()) >= WIDE_SHIFT_LIMIT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a sum may reach {reached}, scaled by up to "
            f"2^{int(shift.max())}; below 2^47 and 2^{WIDE_SHIFT_LIMIT} wanted; its bias or its "
            "scales are out of range; quantize the model again"
        )
    return np.column_stack([fx.reduced_multiplier(multiplier), 15 - shift])


def _filters_s16(node: Node) -> tuple[Field, ...]:
    """The members of mw_conv2d_runtime_s16_params."""
    want_constant(node, 2)
    x, weight, out = node.src[0].type, node.src[1].type, node.type
    two_step = len(node.src) > 2 and node.src[2].type.dtype is DType.S32
    bias = bias_of(node, out.shape[-1]).astype(np.int64)
    largest = 2**15 * _weight_sums(node, signed=False)
    if two_step:
        scales = np.broadcast_to(channel_scales(x, weight, out), (len(bias), 2))
    else:
        scales = _wide_channels(node, bias, largest)
    words = bias.astype("<i8").view("<i4").reshape(-1, 2)
    return (
        *prefixed("window", _filters(node)),
        ("wide", int(largest.max() >= 2**31)),
        ("two_step", int(two_step)),
        *s8_bounds(out, _clamp(node)),
        ("channels", np.column_stack([words, scales]).astype(np.int32).reshape(-1)),
    )


def lower_s16(node: Node) -> Lowered:
    """A product of s16 activations with constant s8 weights."""
    want_constant(node, 1, 2)
    weight = node.src[1].value.reshape(-1)
    fields = (*prefixed("filters", _filters_s16(node)), ("weights", weight))
    return Lowered(fields, _sums_bytes(node), (0,))


def lower_runtime_s16(node: Node) -> Lowered:
    """A product of s16 activations with s8 weights that are computed at run time."""
    return Lowered(_filters_s16(node), _sums_bytes(node), (0, 1))


def _filters_f32(node: Node) -> tuple[Field, ...]:
    """The members of mw_conv2d_runtime_f32_params."""
    want_constant(node, 2)
    return (
        *prefixed("window", _filters(node)),
        *f32_bounds(_clamp(node)),
        ("bias", bias_of(node, node.type.shape[-1])),
    )


def lower_general_f32(node: Node) -> Lowered:
    """A product of f32 activations with constant f32 weights."""
    want_constant(node, 1, 2)
    weight = node.src[1].value.reshape(-1)
    return Lowered((*prefixed("filters", _filters_f32(node)), ("weights", weight)), operands=(0,))


def lower_runtime_f32(node: Node) -> Lowered:
    """A product of f32 activations with f32 weights that are computed at run time."""
    return Lowered(_filters_f32(node), operands=(0, 1))


def lower_f16(node: Node) -> Lowered:
    """A product of f32 activations with constant f16 weights, kept as such in flash."""
    want_constant(node, 1, 2)
    weight = node.src[1].value.reshape(-1)
    if not np.isfinite(weight).all():
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a weight is not finite; finite f16 weights wanted; "
            "train the model again or store f32"
        )
    rows = _outputs_of_a_filter(node) > 1 and not _sums_bytes(node)
    workspace = 4 * weight.size // node.type.shape[-1] if rows else 0
    fields = (*prefixed("filters", _filters_f32(node)), ("weights", weight.view(np.int16)))
    return Lowered(fields, workspace, (0,))


def _matrices(node: Node) -> tuple[Field, ...]:
    """The members of MW_MATRICES."""
    attrs = node.attrs
    assert isinstance(attrs, BatchMatmul)
    shapes = [s.type.shape for s in node.src]
    batch = node.type.shape[:-2]
    strides = []
    for shape in shapes:
        lead = (1,) * (len(batch) + 2 - len(shape)) + shape[:-2]
        units = row_major(lead, shape[-2] * shape[-1])
        strides.append([0 if size == 1 else unit for size, unit in zip(lead, units, strict=True)])
    loops = collapse(zip(batch, *strides, strict=True))
    (a_row, a_step), (b_step, b_col) = (shapes[0][-1], 1), (shapes[1][-1], 1)
    depth = shapes[0][-1]
    if attrs.transpose_a:
        a_row, a_step, depth = 1, a_row, shapes[0][-2]
    if attrs.transpose_b:
        b_step, b_col = 1, b_step
    return (
        ("batches", math.prod(batch)),
        ("rows", node.type.shape[-2]),
        ("cols", node.type.shape[-1]),
        ("depth", depth),
        ("a_row", a_row),
        ("a_step", a_step),
        ("b_col", b_col),
        ("b_step", b_step),
        ("rank", len(loops)),
        ("axes", axes_array(loops, node)),
    )


def lower_batch_matmul_s8(node: Node) -> Lowered:
    """batch_matmul of s8; UnsupportedOp where a sum may leave 32 bits."""
    a, b = (s.type for s in node.src)
    matrices = _matrices(node)
    multiplier, shift = product_multiplier(node.type, (a, b))
    check_scaled(node, reach(a) * reach(b) * int(dict(matrices)["depth"]), shift)
    factor, right = scale_pair(multiplier, shift)
    return Lowered(
        (
            *matrices,
            ("a_zero_point", a.zero_point),
            ("b_zero_point", b.zero_point),
            ("factor", factor),
            ("right", right),
            *s8_result(node.type, (-math.inf, math.inf)),
        )
    )


def lower_batch_matmul_s16(node: Node) -> Lowered:
    """batch_matmul of s16; UnsupportedOp beyond what TFLM scales."""
    matrices = _matrices(node)
    multiplier, shift = product_multiplier(node.type, [s.type for s in node.src])
    reached = 2**30 * int(dict(matrices)["depth"])
    if reached >= WIDE_LIMIT or shift >= WIDE_SHIFT_LIMIT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a sum may reach {reached}, scaled by up to 2^{shift}; "
            f"below 2^47 and 2^{WIDE_SHIFT_LIMIT} wanted; quantize the model again"
        )
    scale = (("multiplier", int(fx.reduced_multiplier(multiplier))), ("right", 15 - shift))
    return Lowered((*matrices, *scale))


def lower_batch_matmul_f32(node: Node) -> Lowered:
    """batch_matmul of f32."""
    return Lowered(_matrices(node))


def _constant(node: Node) -> bool:
    return node.src[1].is_constant


def _constant_f16(node: Node) -> bool:
    return _constant(node) and node.src[1].type.dtype is DType.F16


def _computed(node: Node) -> bool:
    return not node.src[1].is_constant and node.src[1].type.dtype is not DType.F16


def _general(op: Op) -> tuple[Row, ...]:
    """The rows of an operator whose weights may be of any kind."""
    s8, s16, f32 = ("s8", "s8"), ("s16", "s16"), ("f32", "f32")
    notes = ("constant weights", "f16 weights", "weights computed at run time")
    rows = [
        ("conv2d_general", s8, lower_general_s8, _constant, notes[0]),
        ("conv2d", s16, lower_s16, _constant, notes[0]),
        ("conv2d_f16", f32, lower_f16, _constant_f16, notes[1]),
    ]
    if op in (Op.CONV2D, Op.TRANSPOSE_CONV2D):  # the others are plain, see conv.py
        rows.append(("conv2d_general", f32, lower_general_f32, _constant, notes[0]))
    if op is not Op.TRANSPOSE_CONV2D:
        rows += [
            ("conv2d_runtime", s8, lower_runtime_s8, _computed, notes[2]),
            ("conv2d_runtime", s16, lower_runtime_s16, _computed, notes[2]),
            ("conv2d_runtime", f32, lower_runtime_f32, _computed, notes[2]),
        ]
    return tuple(
        Row(op, dtypes, name, f"{name}_params", lower, predicate, note)
        for stem, dtypes, lower, predicate, note in rows
        for name in (stem if stem.endswith("f16") else f"{stem}_{dtypes[0]}",)
    )


ROWS: tuple[Row, ...] = (
    *_general(Op.CONV2D),
    *_general(Op.DEPTHWISE_CONV2D),
    *_general(Op.FULLY_CONNECTED),
    *_general(Op.TRANSPOSE_CONV2D),
    *(
        Row(
            Op.BATCH_MATMUL,
            (dtype, dtype),
            f"batch_matmul_{dtype}",
            f"batch_matmul_{dtype}_params",
            lower,
        )
        for dtype, lower in (
            ("s8", lower_batch_matmul_s8),
            ("s16", lower_batch_matmul_s16),
            ("f32", lower_batch_matmul_f32),
        )
    ),
)
