"""Convolutions, pools, sums, activations, shapes and quantization: nodes as .tflite operators.

Explicit padding must be what SAME or VALID gives, clamps must be one of TFLite's activations.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_write.written import Field, Writer, Written
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6, Clamp, Conv2d, Pool2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op

_FUSED = {NO_CLAMP: 0, RELU: 1, (-1.0, 1.0): 2, RELU6: 3}
_CLAMP_NAME = {RELU: "RELU", (-1.0, 1.0): "RELU_N1_TO_1", RELU6: "RELU6"}
_SAME, _VALID = 0, 1


def _fused(clamp: Clamp, node: Node) -> Field:
    if clamp not in _FUSED:
        raise InvalidGraph(f"{node.name} ({node.op}): clamp {clamp} is no activation of TFLite")
    return ("b", _FUSED[clamp])


def _scheme(
    node: Node, attrs: Conv2d | Pool2d, kernel: Sequence[int], dilation: Sequence[int]
) -> Field:
    """SAME or VALID for the explicit padding of a window."""
    sides = []
    size = node.src[0].type.shape[1:3]
    for length, span, step, spread in zip(size, kernel, attrs.stride, dilation, strict=True):
        total = max((-(-length // step) - 1) * step + (span - 1) * spread + 1 - length, 0)
        sides += [total // 2, total - total // 2]
    same_size = all(
        out == -(-length // step)
        for out, length, step in zip(node.type.shape[1:3], size, attrs.stride, strict=True)
    )
    if same_size and tuple(sides) == attrs.padding:
        return ("b", _SAME)
    if attrs.padding == (0, 0, 0, 0):
        return ("b", _VALID)
    raise InvalidGraph(
        f"{node.name} ({node.op}): padding {attrs.padding} is neither SAME nor VALID"
    )


def _conv2d(node: Node, a: Any) -> Written:
    scheme = _scheme(node, a, node.src[1].type.shape[1:3], a.dilation)
    options = {0: scheme, 1: ("i", a.stride[1]), 2: ("i", a.stride[0]), 3: _fused(a.clamp, node)}
    return Written("CONV_2D", 1, {**options, 4: ("i", a.dilation[1]), 5: ("i", a.dilation[0])})


def _depthwise(node: Node, a: Any) -> Written:
    scheme = _scheme(node, a, node.src[1].type.shape[1:3], a.dilation)
    multiplier = node.type.shape[3] // node.src[0].type.shape[3]
    options = {0: scheme, 1: ("i", a.stride[1]), 2: ("i", a.stride[0]), 3: ("i", multiplier)}
    tail = {4: _fused(a.clamp, node), 5: ("i", a.dilation[1]), 6: ("i", a.dilation[0])}
    return Written("DEPTHWISE_CONV_2D", 2, {**options, **tail})


def _fully_connected(node: Node, a: Any) -> Written:
    keep = int(len(node.type.shape) != 2)
    return Written("FULLY_CONNECTED", 8, {0: _fused(a.clamp, node), 2: ("B", keep)})


def _pool(kind: str) -> Writer:
    def write(node: Node, a: Any) -> Written:
        options = {
            0: _scheme(node, a, a.kernel, (1, 1)),
            1: ("i", a.stride[1]),
            2: ("i", a.stride[0]),
            3: ("i", a.kernel[1]),
            4: ("i", a.kernel[0]),
            5: _fused(a.clamp, node),
        }
        return Written(kind, 5, options)

    return write


def _elementwise(kind: str, options_type: int) -> Writer:
    return lambda node, a: Written(kind, options_type, {0: _fused(a.clamp, node)})


def _plain(kind: str, options_type: int = 0) -> Writer:
    return lambda node, a: Written(kind, options_type)


def _mean(node: Node, a: Any) -> Written:
    axes = np.array(a.axes, np.int32)
    return Written("MEAN", 27, {0: ("B", int(a.keep_dims))}, (axes,))


def _clamp(node: Node, a: Any) -> Written:
    if a.bounds not in _CLAMP_NAME:
        raise InvalidGraph(f"{node.name} (clamp): {a.bounds} is no activation of TFLite")
    return Written(_CLAMP_NAME[a.bounds])


def _pad(node: Node, a: Any) -> Written:
    paddings = np.array(a.paddings, np.int32).reshape(-1, 2)
    if a.value is None:
        return Written("PAD", 22, {}, (paddings,))
    fill = np.array(a.value, node.type.dtype.numpy)
    return Written("PADV2", 43, {}, (paddings, fill))


def _reshape(node: Node, a: Any) -> Written:
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
