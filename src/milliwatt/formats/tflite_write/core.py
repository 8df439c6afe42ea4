"""Convolutions, pools, sums, activations, shapes and quantization: nodes as .tflite operators.

Explicit padding must be what SAME or VALID gives, clamps must be one of TFLite's activations.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_write.written import Field, Writer, Written
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6, Clamp, Conv2d, Pool2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

# Number of a fused activation, and operator of one by itself, by what it clamps to.
FUSED = {NO_CLAMP: 0, RELU: 1, (-1.0, 1.0): 2, RELU6: 3}
CLAMP_NAME = {
    RELU: "RELU",
    RELU6: "RELU6",
    (-1.0, 1.0): "RELU_N1_TO_1",
    (0.0, 1.0): "RELU_0_TO_1",
}
_SAME, _VALID = 0, 1
_MUL_OPTIONS = 21


def fused(clamp: Clamp, node: Node) -> Field:
    """The option that says a fused activation; InvalidGraph for a clamp that TFLite has not."""
    if clamp not in FUSED:
        raise InvalidGraph(f"{node.name} ({node.op}): clamp {clamp} is no activation of TFLite")
    return ("b", FUSED[clamp])


def scheme(node: Node) -> int | None:
    """SAME or VALID for the explicit padding of a convolution or pool, None where it is neither."""
    attrs = node.attrs
    assert isinstance(attrs, Conv2d | Pool2d)
    kernel: tuple[int, ...]
    if isinstance(attrs, Pool2d):
        kernel, dilation = attrs.kernel, (1, 1)
    else:
        kernel, dilation = node.src[1].type.shape[1:3], attrs.dilation
    sides: list[int] = []
    size = node.src[0].type.shape[1:3]
    for length, span, step, spread in zip(size, kernel, attrs.stride, dilation, strict=True):
        total = max((-(-length // step) - 1) * step + (span - 1) * spread + 1 - length, 0)
        sides += [total // 2, total - total // 2]
    if attrs.padding == (0, 0, 0, 0):
        return _VALID
    return _SAME if tuple(sides) == attrs.padding else None


def _padding(node: Node) -> Field:
    number, attrs = scheme(node), node.attrs
    if number is None:
        assert isinstance(attrs, Conv2d | Pool2d)
        raise InvalidGraph(
            f"{node.name} ({node.op}): padding {attrs.padding} is neither SAME nor VALID, the two "
            "that TFLite has; a PAD before it wanted"
        )
    return ("b", number)


def _sums(node: Node, field: int) -> dict[int, Field]:
    """The option that says that 16-bit activations are summed in the 32 bits of their bias."""
    wide = node.src[0].type.dtype is DType.S16 and len(node.src) > 2
    return {field: ("b", 2)} if wide and node.src[2].type.dtype is DType.S32 else {}


def _strides(a: Conv2d | Pool2d) -> dict[int, Field]:
    return {1: ("i", a.stride[1]), 2: ("i", a.stride[0])}


def _conv2d(node: Node, a: Any) -> Written:
    options = {0: _padding(node), **_strides(a), 3: fused(a.clamp, node)}
    dilation: dict[int, Field] = {4: ("i", a.dilation[1]), 5: ("i", a.dilation[0])}
    zeros = []
    if len(node.src) == 2:  # LiteRT takes no CONV_2D without a bias
        sums = {DType.F32: np.float32, DType.S16: np.int64}.get(node.type.dtype, np.int32)
        zeros = [np.zeros(node.type.shape[3], sums)]
    return Written("CONV_2D", 1, {**options, **dilation, **_sums(node, 6)}, zeros)


def _depthwise(node: Node, a: Any) -> Written:
    multiplier = node.type.shape[3] // node.src[0].type.shape[3]
    options: dict[int, Field] = {0: _padding(node), **_strides(a), 3: ("i", multiplier)}
    tail = {4: fused(a.clamp, node), 5: ("i", a.dilation[1]), 6: ("i", a.dilation[0])}
    return Written("DEPTHWISE_CONV_2D", 2, {**options, **tail})


def _fully_connected(node: Node, a: Any) -> Written:
    keep = int(len(node.type.shape) != 2)
    options: dict[int, Field] = {0: fused(a.clamp, node), 2: ("B", keep)}
    return Written("FULLY_CONNECTED", 8, {**options, **_sums(node, 4)})


def _pool(kind: str) -> Writer:
    def write(node: Node, a: Any) -> Written:
        options = {
            0: _padding(node),
            **_strides(a),
            3: ("i", a.kernel[1]),
            4: ("i", a.kernel[0]),
            5: fused(a.clamp, node),
        }
        return Written(kind, 5, options)

    return write


def _elementwise(kind: str, options_type: int) -> Writer:
    def write(node: Node, a: Any) -> Written:
        options = {0: fused(a.clamp, node)}
        if node.type.dtype is DType.S16 and options_type != _MUL_OPTIONS:
            options[1] = ("B", 0)  # scales need not be powers of two
        return Written(kind, options_type, options)

    return write


def _plain(kind: str, options_type: int = 0) -> Writer:
    return lambda node, a: Written(kind, options_type)


def _mean(node: Node, a: Any) -> Written:
    axes = np.array(a.axes, np.int32)
    return Written("MEAN", 27, {0: ("B", int(a.keep_dims))}, (axes,))


def _clamp(node: Node, a: Any) -> Written:
    if a.bounds not in CLAMP_NAME:
        raise InvalidGraph(f"{node.name} (clamp): {a.bounds} is no activation of TFLite")
    return Written(CLAMP_NAME[a.bounds])


def _pad(node: Node, a: Any) -> Written:
    paddings = np.array(a.paddings, np.int32).reshape(-1, 2)
    if a.value is None:
        return Written("PAD", 22, {}, (paddings,))
    fill = np.array(a.value, node.type.dtype.numpy)
    return Written("PADV2", 43, {}, (paddings, fill))


def _reshape(node: Node, a: Any) -> Written:
    if not a.shape:  # an empty list is no stored data in this format
        return Written("RESHAPE", 17, {0: ("ints", ())})
    return Written("RESHAPE", 17, {}, (np.array(a.shape, np.int32),))


def _transpose(node: Node, a: Any) -> Written:
    return Written("TRANSPOSE", 26, {}, (np.array(a.perm, np.int32),))


def _concat(node: Node, a: Any) -> Written:
    return Written("CONCATENATION", 10, {0: ("i", a.axis)})


def _softmax(node: Node, a: Any) -> Written:
    return Written("SOFTMAX", 9, {0: ("f", a.beta)})


WRITERS: dict[Op, Writer] = {
    Op.CONV2D: _conv2d,
    Op.DEPTHWISE_CONV2D: _depthwise,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.MAX_POOL2D: _pool("MAX_POOL_2D"),
    Op.AVERAGE_POOL2D: _pool("AVERAGE_POOL_2D"),
    Op.MEAN: _mean,
    Op.ADD: _elementwise("ADD", 11),
    Op.SUB: _elementwise("SUB", 28),
    Op.MUL: _elementwise("MUL", 21),
    Op.CLAMP: _clamp,
    Op.LOGISTIC: _plain("LOGISTIC"),
    Op.TANH: _plain("TANH"),
    Op.SOFTMAX: _softmax,
    Op.PAD: _pad,
    Op.RESHAPE: _reshape,
    Op.TRANSPOSE: _transpose,
    Op.CONCAT: _concat,
    Op.QUANTIZE: _plain("QUANTIZE", 89),
    Op.REQUANTIZE: _plain("QUANTIZE", 89),
    Op.DEQUANTIZE: _plain("DEQUANTIZE", 38),
}
