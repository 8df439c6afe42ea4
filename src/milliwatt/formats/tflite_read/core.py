"""One function per .tflite operator: its operands and options in, IR nodes out.

`READERS` is the whole list of operators that milliwatt reads. Implicit padding becomes explicit and
fused activations become clamps here, so that nothing behind the reader knows TFLite's options.
Option field numbers follow `schema.fbs` of TensorFlow Lite.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from milliwatt.formats.tflite_names import parameter_name
from milliwatt.formats.tflite_read.site import RELU_N1_TO_1, Reader, Site
from milliwatt.ir.attrs import (
    NO_CLAMP,
    RELU,
    RELU6,
    Attrs,
    Clamp,
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Pool2d,
    Quantize,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import dequantize_array
from milliwatt.ir.types import DType, Quant, Type

_SAME, _VALID = 0, 1
_INT32 = 2  # a TensorType


def window_padding(
    site: Site,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """SAME or VALID (option 0) as (top, bottom, left, right); SAME puts the odd cell last."""
    scheme = site.option(0, "b")
    if scheme not in (_SAME, _VALID):
        site.fail(f"padding number {scheme}; 0 (SAME) or 1 (VALID) wanted")
    if min(*stride, *dilation, *kernel) < 1:
        site.fail(
            f"stride {list(stride)}, dilation {list(dilation)}, kernel {list(kernel)}; "
            "1 or more wanted"
        )
    sides: list[int] = []
    for length, span, step, spread in zip(size, kernel, stride, dilation, strict=True):
        reach = (-(-length // step) - 1) * step + (span - 1) * spread + 1
        total = max(reach - length, 0) if scheme == _SAME else 0
        sides += [total // 2, total - total // 2]
    return sides[0], sides[1], sides[2], sides[3]


def _image_size(site: Site, x: Node) -> tuple[int, int]:
    if len(x.type.shape) != 4:
        site.fail(f"input is {x.type.short}; 4 axes [N,H,W,C] wanted")
    return x.type.shape[1], x.type.shape[2]


def weights(site: Site, rank: int, option: int | None) -> tuple[Node, ...]:
    """Weight (operand 1) and, where there is one, bias (operand 2).

    Dynamic-range models store s8 weights for f32 activations; their real values are taken here.
    TFLite's own kernels also round the activations to 8 bits, which milliwatt does not imitate.
    `option` is the field that says the bias's type: without a bias 32 bits become a bias of zeros,
    for that is what decides how sums of s16 activations are rounded.
    """
    x, weight, bias = site.operand(0).type, site.operand(1), site.optional(2)
    if len(weight.type.shape) != rank:
        site.fail(f"weight is {weight.type.short}; {rank} axes wanted")
    hybrid = x.dtype.is_float and weight.is_constant and weight.type.dtype is DType.S8
    if hybrid and weight.type.quant is not None:
        real = dequantize_array(weight.value, weight.type)
        weight = constant(real, f"{site.name}.weight")
    narrow = option is not None and site.option(option, "b") == _INT32
    if bias is not None and bias.name == parameter_name(site.name, 0) and _is_zero(bias):
        bias = None  # the zeros that milliwatt's own files state for none
    if bias is None and x.dtype is DType.S16 and narrow:
        bias = _no_bias(site, weight.type)
    return (weight,) if bias is None else (weight, bias)


def _is_zero(node: Node) -> bool:
    return node.is_constant and not node.value.any()


def _no_bias(site: Site, weight: Type) -> Node:
    """A bias of zeros in 32 bits."""
    if weight.quant is None:
        site.fail(f"weight is {weight.short} without a scale; a quantized type wanted")
    scales = np.float32(site.operand(0).type.scale) * weight.quant.scales
    quant = Quant(tuple(map(float, scales)), (0,) * len(scales), weight.quant.axis)
    return constant(np.zeros(weight.shape[0], np.int32), f"{site.name}.bias", quant)


def _convolution(
    site: Site, op: Op, activation: int, dilation: tuple[int, int], option: int | None = None
) -> Node:
    x, parameters = site.operand(0), weights(site, 4, option)
    kernel = (parameters[0].type.shape[1], parameters[0].type.shape[2])
    stride = (site.option(2, "i"), site.option(1, "i"))
    padding = window_padding(site, _image_size(site, x), kernel, stride, dilation)
    attrs = Conv2d(stride, padding, dilation, site.clamp(activation), site.out.quant)
    return site.node(op, (x, *parameters), attrs)


def _conv2d(site: Site) -> Node:
    dilation = (site.option(5, "i", 1), site.option(4, "i", 1))
    return _convolution(site, Op.CONV2D, 3, dilation, option=6)


def _depthwise(site: Site) -> Node:
    x, weight = site.operand(0).type.shape, site.operand(1).type.shape
    multiplier = site.option(3, "i")
    if len(x) == len(weight) == 4 and weight[3] != x[3] * multiplier:
        site.fail(
            f"depth multiplier {multiplier} on {x[3]} channels, the weight has {weight[3]}; "
            f"{x[3] * multiplier} wanted"
        )
    dilation = (site.option(6, "i", 1), site.option(5, "i", 1))
    return _convolution(site, Op.DEPTHWISE_CONV2D, 4, dilation)


def _fully_connected(site: Site) -> Node:
    """TFLite flattens the input to [batch, I]; reshapes are added where that changes the shape."""
    if site.option(1, "b"):
        site.unsupported("shuffled weights; the default weight format wanted")
    x, parameters = site.operand(0), weights(site, 2, 4)
    inputs = parameters[0].type.shape[1]
    if inputs < 1 or x.type.size % inputs:
        site.fail(f"input is {x.type.short}; a multiple of {inputs} elements wanted")
    attrs = FullyConnected(site.clamp(0), site.out.quant)
    keeps = len(x.type.shape) == 2 or site.option(2, "B") != 0
    if not (keeps and x.type.shape and x.type.shape[-1] == inputs):
        x = site.node(Op.RESHAPE, (x,), Reshape((x.type.size // inputs, inputs)), ".flatten")
    node = site.node(Op.FULLY_CONNECTED, (x, *parameters), attrs)
    if node.type.shape != site.out.shape and node.type.size == math.prod(site.out.shape):
        return site.node(Op.RESHAPE, (node,), Reshape(site.out.shape), ".unflatten")
    return node


def _pool(op: Op) -> Reader:
    def read(site: Site) -> Node:
        x = site.operand(0)
        kernel = (site.option(4, "i"), site.option(3, "i"))
        stride = (site.option(2, "i"), site.option(1, "i"))
        padding = window_padding(site, _image_size(site, x), kernel, stride, (1, 1))
        return site.node(op, (x,), Pool2d(kernel, stride, padding, site.clamp(5)))

    return read


def _axes(site: Site, index: int, rank: int) -> tuple[int, ...]:
    """A constant list of axes, made non-negative, sorted and free of repeats."""
    axes = [int(axis) for axis in site.parameter(index).reshape(-1)]
    for axis in axes:
        if not -rank <= axis < rank:
            site.fail(f"axis {axis} of a value with {rank} axes; {-rank} to {rank - 1} wanted")
    return tuple(sorted({axis % rank for axis in axes}))


def _mean(site: Site) -> Node:
    x = site.operand(0)
    axes = _axes(site, 1, len(x.type.shape))
    return site.node(Op.MEAN, (x,), Mean(axes, site.option(0, "B") != 0, site.out.quant))


def _elementwise(op: Op) -> Reader:
    def read(site: Site) -> Node:
        attrs = Elementwise(site.clamp(0), site.out.quant)
        return site.node(op, (site.operand(0), site.operand(1)), attrs)

    return read


def _pad(site: Site) -> Node:
    x, table = site.operand(0), site.parameter(1)
    rank = len(x.type.shape)
    if table.shape != (rank, 2) or (table < 0).any():
        site.fail(f"paddings are {table.tolist()}; {rank} pairs of 0 or more wanted")
    fill = site.optional(2)
    value = None
    if fill is not None:
        if not fill.is_constant or fill.type.size != 1 or fill.type.dtype != x.type.dtype:
            site.fail(f"padding value is {fill.type.short}; one constant {x.type.dtype} wanted")
        stored = fill.value.reshape(-1)[0]
        value = float(stored)
        if not x.type.dtype.is_float and int(value) != int(stored):
            site.unsupported(f"padding value {stored}; one from -2**53 to 2**53 wanted")
    paddings = tuple((int(before), int(after)) for before, after in table)
    return site.node(Op.PAD, (x,), Pad(paddings, value))


def _reshape(site: Site) -> Node:
    """The new shape is a constant operand or, in old files, an option; one size may be -1.

    A shape that is computed at run time is, as for TFLite Micro, the one that the file declares.
    """
    x, operand = site.operand(0), site.optional(1)
    if operand is not None and operand.is_constant:
        shape = [int(size) for size in site.parameter(1).reshape(-1)]
    elif operand is None and site.options is not None and site.options.length(0):
        shape = [int(size) for size in site.options.array(0, "<i4")]
        shape = [] if shape == [0] else shape  # how files of old say a scalar
    else:
        shape = list(site.out.shape)
    known = math.prod(size for size in shape if size != -1)
    if shape.count(-1) == 1 and known > 0:
        shape[shape.index(-1)] = x.type.size // known
    if math.prod(shape) != x.type.size or any(size < 1 for size in shape):
        site.fail(f"{x.type.short} cannot become {shape}; {x.type.size} elements wanted")
    return site.node(Op.RESHAPE, (x,), Reshape(tuple(shape)))


def _same_order(site: Site) -> Node:
    """SQUEEZE and EXPAND_DIMS add or drop axes of size 1: the declared shape says it all."""
    x = site.operand(0)
    if [d for d in x.type.shape if d != 1] != [d for d in site.out.shape if d != 1]:
        site.fail(f"{x.type.short} cannot become {list(site.out.shape)}; only axes of 1 may change")
    return site.node(Op.RESHAPE, (x,), Reshape(site.out.shape))


def _transpose(site: Site) -> Node:
    x = site.operand(0)
    rank = len(x.type.shape)
    perm = [int(axis) for axis in site.parameter(1).reshape(-1)]
    if sorted(perm) != list(range(rank)):
        site.fail(f"permutation {perm}; each axis 0 to {rank - 1} once wanted")
    return site.node(Op.TRANSPOSE, (x,), Transpose(tuple(perm)))


def _concat(site: Site) -> Node:
    nodes = tuple(site.operand(index) for index in range(len(site.operands)))
    if not nodes:
        site.fail("no operands; 1 or more wanted")
    rank, axis = len(nodes[0].type.shape), site.option(0, "i")
    if not -rank <= axis < rank:
        site.fail(f"axis {axis} of a value with {rank} axes; {-rank} to {rank - 1} wanted")
    if site.clamp(1) != NO_CLAMP:
        site.unsupported("a fused activation; none is defined for it, put RELU behind it")
    return site.node(Op.CONCAT, nodes, Concat(axis % rank))


def _softmax(site: Site) -> Node:
    beta = 1.0 if site.options is None else site.options.real(0)
    if not math.isfinite(beta):
        site.fail(f"beta is {beta}; a finite number wanted")
    x, dtype = site.operand(0), site.out.dtype
    attrs = Softmax(beta, None if dtype is x.type.dtype else dtype)
    node = site.node(Op.SOFTMAX, (x,), attrs)
    if dtype is DType.S16 and site.out.quant not in (None, node.type.quant):
        return site.node(Op.SOFTMAX, (x,), replace(attrs, nearly=site.out.quant))
    return node


def _unary(op: Op) -> Reader:
    return lambda site: site.node(op, (site.operand(0),), Unary())


def _activation(bounds: Clamp) -> Reader:
    return lambda site: site.node(Op.CLAMP, (site.operand(0),), ClampAttrs(bounds, site.out.quant))


def _quantize(site: Site) -> Node:
    x, quant = site.operand(0), site.out.quant
    if quant is None:
        site.fail(f"result is {site.out.dtype} without a scale; a quantized type wanted")
    op = Op.QUANTIZE if x.type.dtype.is_float else Op.REQUANTIZE
    return site.node(op, (x,), Quantize(site.out.dtype, quant))


def _dequantize(site: Site) -> Node:
    return site.node(Op.DEQUANTIZE, (site.operand(0),), Attrs())


def _densify(site: Site) -> Node:
    """A constant that is stored sparse is made dense where the file is read."""
    if not site.operand(0).is_constant:
        site.fail(f"{site.operand(0).name} is no constant; one that is stored sparse wanted")
    return site.operand(0)


# Operator -> (type number of its options table, reader). 0: the operator has no options to read.
READERS: dict[str, tuple[int, Reader]] = {
    "ADD": (11, _elementwise(Op.ADD)),
    "AVERAGE_POOL_2D": (5, _pool(Op.AVERAGE_POOL2D)),
    "CONCATENATION": (10, _concat),
    "CONV_2D": (1, _conv2d),
    "DENSIFY": (0, _densify),
    "DEPTHWISE_CONV_2D": (2, _depthwise),
    "DEQUANTIZE": (0, _dequantize),
    "EXPAND_DIMS": (0, _same_order),
    "FULLY_CONNECTED": (8, _fully_connected),
    "LOGISTIC": (0, _unary(Op.LOGISTIC)),
    "MAX_POOL_2D": (5, _pool(Op.MAX_POOL2D)),
    "MEAN": (27, _mean),
    "MUL": (21, _elementwise(Op.MUL)),
    "PAD": (0, _pad),
    "PADV2": (0, _pad),
    "QUANTIZE": (0, _quantize),
    "RELU": (0, _activation(RELU)),
    "RELU6": (0, _activation(RELU6)),
    "RELU_0_TO_1": (0, _activation((0.0, 1.0))),
    "RELU_N1_TO_1": (0, _activation(RELU_N1_TO_1)),
    "RESHAPE": (17, _reshape),
    "SOFTMAX": (9, _softmax),
    "SQUEEZE": (0, _same_order),
    "SUB": (28, _elementwise(Op.SUB)),
    "TANH": (0, _unary(Op.TANH)),
    "TRANSPOSE": (0, _transpose),
}
