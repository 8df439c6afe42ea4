"""Convolutions and matrix products: conv2d, depthwise_conv2d, fully_connected, conv2d_add."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Clamp, Conv2d, ConvAdd, FullyConnected
from milliwatt.ir.ops import elementwise
from milliwatt.ir.ops.common import clip, result, want, want_dtype, want_quant
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

# The reference holds windows and padded inputs in memory; real networks need a few million.
MAX_ELEMENTS = 1 << 27

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


# Element types of weights and of biases, by that of the activations.
WEIGHTS = {
    DType.F32: (DType.F32, DType.F16),
    DType.S8: (DType.S8, DType.S4),
    DType.S16: (DType.S8,),
}
BIASES = {
    DType.F32: (DType.F32, DType.F16),
    DType.S8: (DType.S32,),
    DType.S16: (DType.S64, DType.S32),
}


def check_weights(x: Type, weight: Type, bias: Type | None, channels: int, axis: int) -> None:
    """Check element types and quantization of a product's operands.

    Weights are symmetric, per tensor or per output channel (`axis`); s8 weights of s8 activations
    may have a zero point per tensor, as the uint8 models of old have. 16 bits are symmetric.
    Raises InvalidGraph, or UnsupportedOp for element types.
    """
    want_dtype("input", x, *WEIGHTS)
    want_dtype("weight", weight, *WEIGHTS[x.dtype])
    want_quant(x, "input")
    if bias is not None:
        want_dtype("bias", bias, *BIASES[x.dtype])
        want(bias.shape == (channels,), f"bias is {bias.short}; [{channels}] wanted")
    if x.dtype.is_float:
        return
    want_symmetric_s16(x, "input")
    quant = weight.quant
    want(quant is not None, "weight has no quantization; run mw.quantize first")
    assert quant is not None
    want(
        quant.axis is None or (quant.axis == axis and len(quant.scale) == channels),
        f"weight has {len(quant.scale)} scales on axis {quant.axis}; "
        f"{channels} on axis {axis} wanted",
    )
    if quant.axis is None and x.dtype is weight.dtype is DType.S8:
        want_quant(weight, "weight")
        return
    want(
        not any(quant.zero_point),
        f"weight zero point of {weight.short} is not 0; symmetric weights wanted",
    )


def want_symmetric_s16(value: Type, kind: str) -> None:
    """Raise InvalidGraph for an s16 value with a zero point."""
    want(
        value.dtype is not DType.S16 or value.zero_point == 0,
        f"{kind} {value.short} has zero point {value.zero_point}; 0 wanted for 16 bits",
    )


def result_of(shape: tuple[int, ...], x: Type, attrs: Conv2d | FullyConnected) -> Type:
    """The result type of a product: the input's element type, quantized as `attrs` says."""
    out = result(shape, x, attrs.quant)
    want_symmetric_s16(out, "result")
    return out


def groups(x: Type, weight: Type) -> int:
    """Groups of a conv2d: how many filters deep the input is."""
    return x.shape[3] // weight.shape[3]


def is_plain(op: Op, x: Type, weight: Type) -> bool:
    """Weights of the input's own type without zero points or groups: what fast kernels take."""
    symmetric = weight.quant is None or not any(weight.quant.zero_point)
    whole = op is not Op.CONV2D or weight.shape[3] == x.shape[3]
    return weight.dtype is x.dtype and symmetric and whole


def out_size(size: int, kernel: int, stride: int, dilation: int, before: int, after: int) -> int:
    """Output length of a strided window along one axis."""
    return (size + before + after - ((kernel - 1) * dilation + 1)) // stride + 1


def _conv_shape(attrs: Conv2d, x: Type, kernel: tuple[int, int], channels: int) -> tuple[int, ...]:
    want(len(x.shape) == 4, f"input is {x.short}; 4 axes [N,H,W,C] wanted")
    want(min(attrs.stride) >= 1, f"stride is {list(attrs.stride)}; 1 or more wanted")
    want(min(attrs.dilation) >= 1, f"dilation is {list(attrs.dilation)}; 1 or more wanted")
    want(min(attrs.padding) >= 0, f"padding is {list(attrs.padding)}; 0 or more wanted")
    top, bottom, left, right = attrs.padding
    want_padded_size(x, attrs.padding)
    height = out_size(x.shape[1], kernel[0], attrs.stride[0], attrs.dilation[0], top, bottom)
    width = out_size(x.shape[2], kernel[1], attrs.stride[1], attrs.dilation[1], left, right)
    want(height >= 1 and width >= 1, f"kernel {list(kernel)} is larger than the input {x.short}")
    window = kernel[0] * kernel[1] * x.shape[3]
    want(
        x.shape[0] * height * width * window <= MAX_ELEMENTS,
        f"{x.shape[0] * height * width} windows of {window}; {MAX_ELEMENTS} elements in all wanted",
    )
    return (x.shape[0], height, width, channels)


def want_padded_size(x: Type, padding: tuple[int, int, int, int]) -> None:
    """Raise InvalidGraph where the padded input is beyond any microcontroller."""
    top, bottom, left, right = padding
    padded = x.shape[0] * (x.shape[1] + top + bottom) * (x.shape[2] + left + right) * x.shape[3]
    want(padded <= MAX_ELEMENTS, f"padded input of {padded} elements; {MAX_ELEMENTS} wanted")


def _infer_conv2d(attrs: Conv2d, ins: Types) -> Type:
    x, weight = ins[0], ins[1]
    want(len(weight.shape) == 4, f"weight is {weight.short}; 4 axes [O,KH,KW,C] wanted")
    shape = _conv_shape(attrs, x, (weight.shape[1], weight.shape[2]), weight.shape[0])
    want(
        weight.shape[3] >= 1
        and x.shape[3] % weight.shape[3] == 0
        and weight.shape[0] % groups(x, weight) == 0,
        f"weight is {weight.short} for {x.shape[3]} input channels; as many in a filter, or groups "
        "that divide input and output channels wanted",
    )
    check_weights(x, weight, ins[2] if len(ins) > 2 else None, weight.shape[0], axis=0)
    return result_of(shape, x, attrs)


def _infer_depthwise(attrs: Conv2d, ins: Types) -> Type:
    x, weight = ins[0], ins[1]
    want(
        len(weight.shape) == 4 and weight.shape[0] == 1,
        f"weight is {weight.short}; 4 axes [1,KH,KW,C*M] wanted",
    )
    channels = weight.shape[3]
    shape = _conv_shape(attrs, x, (weight.shape[1], weight.shape[2]), channels)
    want(channels % x.shape[3] == 0, f"{channels} outputs are no multiple of {x.shape[3]} inputs")
    check_weights(x, weight, ins[2] if len(ins) > 2 else None, channels, axis=3)
    return result_of(shape, x, attrs)


def _infer_fully_connected(attrs: FullyConnected, ins: Types) -> Type:
    x, weight = ins[0], ins[1]
    want(len(weight.shape) == 2, f"weight is {weight.short}; 2 axes [O,I] wanted")
    want(
        len(x.shape) >= 1 and x.shape[-1] == weight.shape[1],
        f"input is {x.short}; last axis {weight.shape[1]} wanted",
    )
    check_weights(x, weight, ins[2] if len(ins) > 2 else None, weight.shape[0], axis=0)
    return result_of((*x.shape[:-1], weight.shape[0]), x, attrs)


def _windows(x: np.ndarray, attrs: Conv2d, kernel: tuple[int, int], fill: int) -> np.ndarray:
    """View [N, H_out, W_out, C, KH, KW] of the padded input."""
    top, bottom, left, right = attrs.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    span = tuple((k - 1) * d + 1 for k, d in zip(kernel, attrs.dilation, strict=True))
    view = sliding_window_view(padded, span, axis=(1, 2))
    (sh, sw), (dh, dw) = attrs.stride, attrs.dilation
    strided: np.ndarray = view[:, ::sh, ::sw, :, ::dh, ::dw]
    return strided


def multipliers(x: Type, weight: Type, out: Type) -> tuple[np.ndarray, np.ndarray]:
    """Multiplier and shift per output channel (or one of each): s_x * s_w / s_out."""
    assert weight.quant is not None
    scales = np.float64(x.scale) * weight.quant.scales.astype(np.float64)
    return fx.quantize_multipliers(scales / np.float64(out.scale))


def rescaled(
    acc: np.ndarray, bias: np.ndarray | None, clamp: Clamp, out: Type, ins: Types
) -> np.ndarray:
    """The stored result of integer sums: bias added, brought to the result's scale, clamped.

    Sums and biases of s16 activations have 64 bits and one rounding; with an s32 bias they have
    32 bits and two roundings, as all have of s8 activations.
    """
    total = acc.astype(np.int64)
    if bias is not None:
        total = total + bias
    factor = multipliers(ins[0], ins[1], out)
    if ins[0].dtype is DType.S16 and (bias is None or bias.dtype == np.int64):
        return clip(fx.multiply_wide(total, *factor), clamp, out)
    scaled = fx.multiply_by_quantized_multiplier(fx.wrap32(total), *factor)
    return clip(scaled + out.zero_point, clamp, out)


def real_weight(weight: np.ndarray, kind: Type) -> np.ndarray:
    """Weights as multiplied, zero point taken off: float64, exact for integers."""
    reals: np.ndarray = weight.astype(np.float64)
    return reals - kind.zero_point if kind.zero_point else reals


def _accumulate(
    attrs: Conv2d | FullyConnected, x: np.ndarray, kind: Type
) -> tuple[np.ndarray, int]:
    """The operand as multiplied (float64 is exact for these integers) and its padding value."""
    if kind.dtype.is_float:
        return x.astype(np.float64), 0
    zero = kind.zero_point
    return (x.astype(np.float64), zero) if attrs.folded else (x.astype(np.float64) - zero, 0)


def finish(acc: np.ndarray, clamp: Clamp, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """The result of sums of products: operand 2, if any, is the bias."""
    bias = args[2] if len(args) > 2 else None
    if out.dtype.is_float:
        if bias is not None:
            acc = acc + bias.astype(np.float64)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            return clip(acc.astype(np.float32), clamp, out)
    return rescaled(acc, bias, clamp, out, ins)


def grouped_product(columns: np.ndarray, weight: np.ndarray, groups: int) -> np.ndarray:
    """[P, taps, C] windows by [O, taps, C/groups] filters -> [P, O], exact up to 2**53."""
    pixels, taps, _ = columns.shape
    split = columns.reshape(pixels, taps, groups, -1).transpose(2, 0, 1, 3)
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    sums: np.ndarray = split.reshape(groups, pixels, -1) @ filters.transpose(0, 2, 1)
    return sums.transpose(1, 0, 2).reshape(pixels, -1)


def _run_conv2d(attrs: Conv2d, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    weight = real_weight(args[1], ins[1])
    x, fill = _accumulate(attrs, args[0], ins[0])
    windows = _windows(x, attrs, weight.shape[1:3], fill)
    # [N,H,W,C,KH,KW] -> [P, KH*KW, C]: one matrix product a group.
    columns = windows.transpose(0, 1, 2, 4, 5, 3).reshape(
        -1, weight.shape[1] * weight.shape[2], x.shape[3]
    )
    acc = grouped_product(columns, weight, groups(ins[0], ins[1])).reshape(out.shape)
    return finish(acc, attrs.clamp, out, ins, args)


def _run_depthwise(attrs: Conv2d, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    weight = real_weight(args[1], ins[1])
    x, fill = _accumulate(attrs, args[0], ins[0])
    windows = _windows(x, attrs, weight.shape[1:3], fill)
    per_input = weight.reshape(*weight.shape[1:3], x.shape[3], -1)
    acc = np.einsum("nhwcij,ijcm->nhwcm", windows, per_input, optimize=True).reshape(out.shape)
    return finish(acc, attrs.clamp, out, ins, args)


def _run_fully_connected(attrs: FullyConnected, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x, _ = _accumulate(attrs, args[0], ins[0])
    return finish(x @ real_weight(args[1], ins[1]).T, attrs.clamp, out, ins, args)


def _infer_conv2d_add(attrs: ConvAdd, ins: Types) -> Type:
    conv = _infer_conv2d(attrs.conv, ins[:3])
    want(ins[3].shape == conv.shape, f"skip is {ins[3].short}; {conv.short} wanted")
    return elementwise.infer_elementwise(attrs.add, [conv, ins[3]])


def _run_conv2d_add(attrs: ConvAdd, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    hidden = _infer_conv2d(attrs.conv, ins[:3])
    values = _run_conv2d(attrs.conv, hidden, ins[:3], args[:3])
    return elementwise.run_add(attrs.add, out, [hidden, ins[3]], [values, args[3]])


def fold_offset(x: Type, weight: np.ndarray, bias: np.ndarray, axis: int) -> np.ndarray:
    """Bias with the input zero point folded in: bias - zero_point * sum(weight), s32 [channels]."""
    others = tuple(a for a in range(weight.ndim) if a != axis)
    sums = weight.astype(np.int64).sum(axis=others)
    return fx.wrap32(bias.astype(np.int64) - x.zero_point * sums).astype(np.int32)


def _macs(attrs: Conv2d | FullyConnected | ConvAdd, out: Type, ins: Types) -> int:
    """Each output takes one product per weight of its filter."""
    return out.size * (ins[1].size // ins[1].shape[0])


def _macs_depthwise(attrs: Conv2d, out: Type, ins: Types) -> int:
    return out.size * ins[1].shape[1] * ins[1].shape[2]


OPS = {
    Op.CONV2D: OpDef(Conv2d, (2, 3), _infer_conv2d, _run_conv2d, _macs),
    Op.DEPTHWISE_CONV2D: OpDef(Conv2d, (2, 3), _infer_depthwise, _run_depthwise, _macs_depthwise),
    Op.FULLY_CONNECTED: OpDef(
        FullyConnected, (2, 3), _infer_fully_connected, _run_fully_connected, _macs
    ),
    Op.CONV2D_ADD: OpDef(ConvAdd, (4, 4), _infer_conv2d_add, _run_conv2d_add, _macs),
}
