"""Rows and weight packing of the convolutions and fully_connected."""

from __future__ import annotations

import numpy as np

from milliwatt.compiler.rows.results import (
    ACCUMULATOR_LIMIT,
    f32_bounds,
    prefixed,
    s8_result,
    scale_pair,
    sum_fields,
    window_fields,
)
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, ConvAdd, FullyConnected
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.conv import fold_offset, is_plain, multipliers
from milliwatt.ir.types import Type

# A pointer on the widest machine that we run on; the depthwise kernels keep tables of them.
POINTER_BYTES = 8


def pack_blocks(weight: np.ndarray, block: int) -> np.ndarray:
    """Weights [O, K] as [O/block][K][block], then a plain row [K] for each channel left over.

    The order in which the kernels read them (kernels/mw_dot.h); no bytes are added.
    """
    outputs, products = weight.shape
    whole = outputs // block * block
    blocks = weight[:whole].reshape(whole // block, block, products).transpose(0, 2, 1)
    return np.concatenate([blocks.reshape(-1), weight[whole:].reshape(-1)])


def want_constant(node: Node, *indices: int) -> None:
    """UnsupportedOp where one of these operands (1: weight, 2: bias) is computed at run time."""
    for index in indices:
        if index < len(node.src) and not node.src[index].is_constant:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): {'weight' if index == 1 else 'bias'} is computed by "
                f"{node.src[index].name}; a constant wanted; fold it first"
            )


def _weight(node: Node) -> np.ndarray:
    want_constant(node, 1, 2)
    return node.src[1].value


def bias_of(node: Node, channels: int) -> np.ndarray:
    """The bias, zeros where there is none: f32 of float products, else as the model has it."""
    is_float = node.src[0].type.dtype.is_float
    if len(node.src) > 2:
        value = node.src[2].value
        return value.astype(np.float32) if is_float else value
    return np.zeros(channels, np.float32 if is_float else np.int32)


def check_sums(node: Node, largest: np.ndarray, shift: np.ndarray) -> None:
    """UnsupportedOp where sums up to `largest`, per channel, may leave 32 bits when scaled."""
    # Beyond 2^32 it is out of range at any shift, and would leave 64 bits at the largest.
    raised = np.minimum(largest, 2**32) << np.maximum(shift, 0)
    if int(raised.max()) >= ACCUMULATOR_LIMIT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): the sum of channel {int(raised.argmax())} may reach "
            f"{int(raised.max())}; below {ACCUMULATOR_LIMIT} wanted; its bias or its scales are "
            "out of range; quantize the model again"
        )


def _folded_bias(
    node: Node, attrs: Conv2d | FullyConnected, out: Type, weight: np.ndarray, axis: int
) -> np.ndarray:
    """s32 [channels], input offset folded in; UnsupportedOp where a sum may leave 32 bits."""
    bias = bias_of(node, weight.shape[axis])
    if not attrs.folded:
        bias = fold_offset(node.src[0].type, weight, bias, axis)
    others = tuple(a for a in range(weight.ndim) if a != axis)
    largest = np.abs(bias.astype(np.int64)) + 128 * np.abs(weight.astype(np.int64)).sum(axis=others)
    _, shift = multipliers(node.src[0].type, node.src[1].type, out)
    check_sums(node, largest, shift)
    return bias


def channel_scales(x: Type, weight: Type, out: Type) -> np.ndarray:
    """s32 [channels or 1, 2]: {factor, right}."""
    multiplier, shift = multipliers(x, weight, out)
    pairs = [scale_pair(int(m), int(s)) for m, s in zip(multiplier, shift, strict=True)]
    return np.array(pairs, np.int32)


def _is_direct(node: Node, attrs: Conv2d) -> bool:
    return node.src[1].type.shape[1:3] == (1, 1) and not any(attrs.padding)


def _conv_fields(
    node: Node, attrs: Conv2d, out: Type, packed: np.ndarray, weight: np.ndarray, axis: int
) -> tuple[Field, ...]:
    """The members of mw_conv2d_s8_params."""
    x = node.src[0].type
    bias = _folded_bias(node, attrs, out, weight, axis)
    scales = np.broadcast_to(channel_scales(x, node.src[1].type, out), (len(bias), 2))
    return (
        *window_fields(node, out, weight.shape[1:3], attrs.stride, attrs.padding, attrs.dilation),
        ("in_zero_point", x.zero_point),
        *s8_result(out, attrs.clamp),
        ("direct", int(_is_direct(node, attrs))),
        ("weights", packed),
        ("channels", np.column_stack([bias, scales]).astype(np.int32).reshape(-1)),
    )


def _conv_s8(node: Node, attrs: Conv2d, out: Type) -> Lowered:
    weight = _weight(node)
    rows = weight.reshape(weight.shape[0], -1)
    workspace = 0 if _is_direct(node, attrs) else 2 * rows.shape[1]
    fields = _conv_fields(node, attrs, out, pack_blocks(rows, 2), weight, axis=0)
    return Lowered(fields, workspace, (0,))


def lower_conv2d_s8(node: Node) -> Lowered:
    """conv2d, any kernel, stride, dilation and padding."""
    assert isinstance(node.attrs, Conv2d)
    return _conv_s8(node, node.attrs, node.type)


def lower_conv2d_add_s8(node: Node) -> Lowered:
    """conv2d with a fused add; the skip tensor is the second pointer."""
    assert isinstance(node.attrs, ConvAdd)
    hidden = _hidden(node)
    conv = _conv_s8(node, node.attrs.conv, hidden)
    total = sum_fields(node, node.attrs.add.clamp, (hidden, node.src[3].type))
    fields = (*prefixed("conv", conv.fields), *prefixed("sum", total))
    return Lowered(fields, conv.workspace_bytes + 2 * node.type.shape[3], (0, 3))


def _hidden(node: Node) -> Type:
    """Type of the value between the convolution and the add."""
    assert isinstance(node.attrs, ConvAdd)
    return OPS[Op.CONV2D].infer(node.attrs.conv, [s.type for s in node.src[:3]])


def _depthwise(node: Node, packed: np.ndarray, weight: np.ndarray) -> Lowered:
    assert isinstance(node.attrs, Conv2d)
    taps = weight.shape[1] * weight.shape[2]
    workspace = 2 * taps * POINTER_BYTES + node.src[0].type.shape[3]
    fields = _conv_fields(node, node.attrs, node.type, packed, weight, axis=3)
    return Lowered(fields, workspace, (0,))


def lower_depthwise_s8(node: Node) -> Lowered:
    """depthwise_conv2d with one output per input channel."""
    weight = _weight(node)
    return _depthwise(node, pack_blocks(weight.reshape(-1, weight.shape[3]).T, 4), weight)


def lower_depthwise_mult_s8(node: Node) -> Lowered:
    """depthwise_conv2d with several outputs per input channel; a channel's weights lie together."""
    weight, inputs = _weight(node), node.src[0].type.shape[3]
    packed = weight.reshape(-1, inputs, weight.shape[3] // inputs).transpose(1, 0, 2)
    return _depthwise(node, packed.reshape(-1), weight)


def lower_single_channel_s8(node: Node) -> Lowered:
    """depthwise_conv2d of one input channel: an ordinary convolution, weights transposed."""
    assert isinstance(node.attrs, Conv2d)
    weight = _weight(node)
    rows = weight.reshape(-1, weight.shape[3]).T
    workspace = 0 if _is_direct(node, node.attrs) else 2 * rows.shape[1]
    packed = pack_blocks(rows, 2)
    return Lowered(_conv_fields(node, node.attrs, node.type, packed, weight, 3), workspace, (0,))


def _fully_connected(node: Node, attrs: Conv2d | FullyConnected, rows: int) -> Lowered:
    weight = _weight(node)
    flat = weight.reshape(weight.shape[0], -1)
    scales = channel_scales(node.src[0].type, node.src[1].type, node.type)
    return Lowered(
        (
            ("rows", rows),
            ("in_c", flat.shape[1]),
            ("out_c", flat.shape[0]),
            *s8_result(node.type, attrs.clamp),
            ("scale_step", 2 if len(scales) > 1 else 0),
            ("weights", pack_blocks(flat, 4)),
            ("bias", _folded_bias(node, attrs, node.type, flat, axis=0)),
            ("scales", scales.reshape(-1)),
        ),
        operands=(0,),
    )


def lower_fully_connected_s8(node: Node) -> Lowered:
    """fully_connected; every axis but the last is a row."""
    assert isinstance(node.attrs, FullyConnected)
    return _fully_connected(node, node.attrs, node.src[0].type.size // node.src[1].type.shape[1])


def lower_whole_window_s8(node: Node) -> Lowered:
    """conv2d whose one window is the whole image: a fully_connected over it."""
    assert isinstance(node.attrs, Conv2d)
    return _fully_connected(node, node.attrs, node.type.shape[0])


def _f32_conv(node: Node, attrs: Conv2d, out: Type) -> tuple[Field, ...]:
    weight = _weight(node)
    return (
        *window_fields(node, out, weight.shape[1:3], attrs.stride, attrs.padding, attrs.dilation),
        *f32_bounds(attrs.clamp),
        ("weights", weight.reshape(-1)),
        ("bias", bias_of(node, out.shape[3])),
    )


def lower_conv2d_f32(node: Node) -> Lowered:
    """conv2d and depthwise_conv2d in float32, weights as they are."""
    assert isinstance(node.attrs, Conv2d)
    return Lowered(_f32_conv(node, node.attrs, node.type), operands=(0,))


def lower_conv2d_add_f32(node: Node) -> Lowered:
    """conv2d with a fused add in float32."""
    assert isinstance(node.attrs, ConvAdd)
    conv = _f32_conv(node, node.attrs.conv, node.type)
    fields = (*prefixed("conv", conv), *f32_bounds(node.attrs.add.clamp))
    return Lowered(fields, operands=(0, 3))


def lower_fully_connected_f32(node: Node) -> Lowered:
    """fully_connected in float32."""
    assert isinstance(node.attrs, FullyConnected)
    weight = _weight(node)
    return Lowered(
        (
            ("rows", node.src[0].type.size // weight.shape[1]),
            ("in_c", weight.shape[1]),
            ("out_c", weight.shape[0]),
            *f32_bounds(node.attrs.clamp),
            ("weights", weight.reshape(-1)),
            ("bias", bias_of(node, weight.shape[0])),
        ),
        operands=(0,),
    )


def _plain(node: Node) -> bool:
    """What has a fast kernel."""
    return node.src[1].is_constant and is_plain(node.op, node.src[0].type, node.src[1].type)


def _plain_add(node: Node) -> bool:
    return is_plain(Op.CONV2D, node.src[0].type, node.src[1].type)


def _covers_image(node: Node) -> bool:
    assert isinstance(node.attrs, Conv2d)
    kernel, image = node.src[1].type.shape[1:3], node.src[0].type.shape[1:3]
    plain = all(d == 1 or k == 1 for k, d in zip(kernel, node.attrs.dilation, strict=True))
    return _plain(node) and kernel == image and plain and not any(node.attrs.padding)


def _one_channel(node: Node) -> bool:
    return _plain(node) and node.src[0].type.shape[3] == 1


def _multiplier_one(node: Node) -> bool:
    return _plain(node) and node.src[0].type.shape[3] == node.type.shape[3]


# Other weights are met by the general rows (rows/matrix.py).
_NOTE = "constant symmetric weights of the input's type, one group"

_S8, _F32 = ("s8", "s8"), ("f32", "f32")
ROWS = (
    Row(
        Op.CONV2D,
        _S8,
        "fully_connected_s8",
        "fully_connected_s8_params",
        lower_whole_window_s8,
        _covers_image,
        "the kernel covers the image",
    ),
    Row(Op.CONV2D, _S8, "conv2d_s8", "conv2d_s8_params", lower_conv2d_s8, _plain, _NOTE),
    Row(Op.CONV2D, _F32, "conv2d_f32", "conv2d_f32_params", lower_conv2d_f32, _plain, _NOTE),
    Row(
        Op.CONV2D_ADD,
        _S8,
        "conv2d_add_s8",
        "conv2d_add_s8_params",
        lower_conv2d_add_s8,
        _plain_add,
        _NOTE,
        inplace=(1,),
    ),
    Row(
        Op.CONV2D_ADD,
        _F32,
        "conv2d_add_f32",
        "conv2d_add_f32_params",
        lower_conv2d_add_f32,
        _plain_add,
        _NOTE,
        inplace=(1,),
    ),
    Row(
        Op.DEPTHWISE_CONV2D,
        _S8,
        "conv2d_s8",
        "conv2d_s8_params",
        lower_single_channel_s8,
        _one_channel,
        "one input channel",
    ),
    Row(
        Op.DEPTHWISE_CONV2D,
        _S8,
        "depthwise_conv2d_s8",
        "conv2d_s8_params",
        lower_depthwise_s8,
        _multiplier_one,
        "one output per input channel",
    ),
    Row(
        Op.DEPTHWISE_CONV2D,
        _S8,
        "depthwise_conv2d_mult_s8",
        "conv2d_s8_params",
        lower_depthwise_mult_s8,
        _plain,
        _NOTE,
    ),
    Row(
        Op.DEPTHWISE_CONV2D,
        _F32,
        "depthwise_conv2d_f32",
        "conv2d_f32_params",
        lower_conv2d_f32,
        _plain,
        _NOTE,
    ),
    Row(
        Op.FULLY_CONNECTED,
        _S8,
        "fully_connected_s8",
        "fully_connected_s8_params",
        lower_fully_connected_s8,
        _plain,
        _NOTE,
    ),
    Row(
        Op.FULLY_CONNECTED,
        _F32,
        "fully_connected_f32",
        "fully_connected_f32_params",
        lower_fully_connected_f32,
        _plain,
        _NOTE,
    ),
)
