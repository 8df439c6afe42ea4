"""The layers that tools/fit_costs.py runs: shapes as networks have them, and odd ones."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from milliwatt.ir.attrs import (
    Concat,
    Conv2d,
    ConvAdd,
    Elementwise,
    FullyConnected,
    Lookup,
    Mean,
    Pad,
    Pool2d,
    Quantize,
    Softmax,
    Transpose,
)
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

Q = Quant.per_tensor(0.05, -3)
Shape = tuple[int, ...]

# height, width, channels, results
POINTWISE = (
    *((5, 5, 16, 16), (25, 5, 64, 64), (24, 24, 8, 16), (12, 12, 32, 32), (6, 6, 64, 64)),
    *((3, 3, 128, 128), (15, 1, 128, 128), (9, 7, 5, 6), (4, 4, 24, 96), (1, 1, 64, 40)),
)
# height, width, channels, results, kernel, stride
WINDOWS = (
    *((16, 16, 3, 16, (3, 3), 1), (16, 16, 16, 16, (3, 3), 1), (8, 8, 32, 32, (3, 3), 1)),
    *((16, 16, 16, 32, (3, 3), 2), (8, 8, 16, 32, (1, 1), 2), (24, 24, 3, 8, (3, 3), 2)),
    *((25, 10, 1, 64, (10, 4), 2), (30, 1, 40, 32, (3, 1), 1), (1, 32, 8, 16, (1, 5), 1)),
    *((9, 7, 5, 6, (3, 3), 1), (11, 9, 2, 7, (5, 5), 1), (12, 12, 24, 24, (3, 3), 1)),
)
# height, width, channels, kernel, stride
DEPTHWISE = (
    *(
        (25, 5, 64, (3, 3), 1),
        (24, 24, 8, (3, 3), 1),
        (24, 24, 16, (3, 3), 2),
        (6, 6, 64, (3, 3), 1),
    ),
    *(
        (12, 12, 33, (3, 3), 2),
        (3, 3, 128, (3, 3), 1),
        (20, 1, 32, (5, 1), 1),
        (1, 40, 16, (1, 9), 1),
    ),
    *((11, 13, 7, (5, 5), 1), (30, 1, 128, (29, 1), 1), (9, 9, 24, (4, 4), 2)),
)
DENSE = ((640, 128), (128, 128), (128, 8), (8, 128), (256, 2), (64, 12), (100, 10), (77, 13))
# height, width, channels, kernel, stride
POOLS = (
    *((25, 5, 64, (25, 5), 1), (8, 8, 64, (8, 8), 1), (12, 12, 16, (2, 2), 2)),
    *((13, 11, 7, (3, 3), 2), (10, 10, 32, (3, 3), 1), (3, 3, 128, (3, 3), 1)),
)
IMAGES = ((1, 16, 16, 16), (1, 8, 8, 32), (1, 7, 5, 3), (1, 1, 1, 64), (1, 25, 5, 64))


def _input(shape: Shape, name: str = "x", quant: Quant = Q) -> Node:
    return graph_input(shape, DType.S8, name, quant)


def _weights(shape: Shape, axis: int) -> tuple[Node, Node, Quant]:
    """Weights and biases that look trained, and the quantization of results that they fill."""
    rng = np.random.default_rng([*shape, axis])
    values = np.clip(np.round(rng.standard_normal(shape) * 40), -127, 127).astype(np.int8)
    scales = 2.0 ** rng.uniform(-9, -7, shape[axis])
    bias = rng.integers(-2000, 2000, shape[axis]).astype(np.int32)
    fan_in = math.prod(shape) // shape[axis]
    # Results behind a rectifier begin at -128, and round in one step; every fifth layer's do not.
    zero = 5 if (sum(shape) + axis) % 5 == 0 else -128
    quant = Quant.per_tensor(0.05 * 0.004 * 40 * math.sqrt(fan_in), zero)
    return constant(values, "w", Quant.per_axis(scales, axis)), constant(bias, "b"), quant


def _same(size: tuple[int, int], kernel: tuple[int, int], stride: int) -> tuple[int, int, int, int]:
    """TFLite's SAME padding: top, bottom, left, right as Conv2d has them."""
    high, wide = (
        max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(size, kernel, strict=True)
    )
    return (high // 2, high - high // 2, wide // 2, wide - wide // 2)


def _conv(op: Op, shape: Shape, weight: Shape, stride: int, clamp: tuple[float, float]) -> Node:
    w, b, quant = _weights(weight, 3 if op is Op.DEPTHWISE_CONV2D else 0)
    kernel = (weight[1], weight[2])
    whole = kernel == (1, 1) or kernel == shape[1:3] or kernel[0] > 20
    padding = (0, 0, 0, 0) if whole else _same((shape[1], shape[2]), kernel, stride)
    attrs = Conv2d((stride, stride), padding, (1, 1), clamp, quant)
    return Node(op, (_input(shape), w, b), attrs, "conv")


def layers() -> Iterator[Node]:
    """Every layer of the grid, each a node of its own inputs."""
    relu = (0.0, math.inf)
    for h, w, c, o in POINTWISE:
        yield _conv(Op.CONV2D, (1, h, w, c), (o, 1, 1, c), 1, relu)
    for h, w, c, o, kernel, stride in WINDOWS:
        yield _conv(Op.CONV2D, (1, h, w, c), (o, *kernel, c), stride, relu)
    for h, w, c, kernel, stride in DEPTHWISE:
        yield _conv(Op.DEPTHWISE_CONV2D, (1, h, w, c), (1, *kernel, c), stride, relu)
    for inputs, outputs in DENSE:
        weight, bias, quant = _weights((outputs, inputs), 0)
        yield Node(
            Op.FULLY_CONNECTED,
            (_input((1, inputs)), weight, bias),
            FullyConnected(relu, quant),
            "fc",
        )
    for h, w, c, kernel, stride in POOLS:
        attrs = Pool2d(kernel, (stride, stride), (0, 0, 0, 0))
        for op in (Op.AVERAGE_POOL2D, Op.MAX_POOL2D):
            yield Node(op, (_input((1, h, w, c)),), attrs, "pool")
    yield from _sums()
    yield from _others()


def _sums() -> Iterator[Node]:
    other = Quant.per_tensor(0.031, 11)
    for shape in IMAGES:
        for op, zero in ((Op.ADD, -9), (Op.ADD, -128), (Op.SUB, -9), (Op.MUL, -9)):
            # Sums of equal scales behind a rectifier lie on a plane, others on none.
            second = other if zero != -128 else Quant.per_tensor(Q.scale[0], 11)
            attrs = Elementwise(quant=Quant.per_tensor(0.07, zero))
            yield Node(op, (_input(shape), _input(shape, "y", second)), attrs, "sum")
    for h, w, c in ((16, 16, 16), (8, 8, 32), (7, 5, 4)):
        conv = _conv(Op.CONV2D, (1, h, w, c), (c, 3, 3, c), 1, (-math.inf, math.inf))
        assert isinstance(conv.attrs, Conv2d)
        skip = _input((1, h, w, c), "skip", other)
        attrs = ConvAdd(conv.attrs, Elementwise(quant=Quant.per_tensor(0.09, -2)))
        yield Node(Op.CONV2D_ADD, (*conv.src, skip), attrs, "conv_add")


def _others() -> Iterator[Node]:
    for classes in (2, 10, 12, 100):
        yield Node(Op.SOFTMAX, (_input((1, classes)),), Softmax(), "softmax")
    for shape in IMAGES:
        x = _input(shape)
        attrs = Quantize(DType.S8, Quant.per_tensor(0.04, 9))
        yield Node(Op.REQUANTIZE, (x,), attrs, "requantize")
        yield Node(Op.MEAN, (x,), Mean((1, 2), True, Q), "mean")
        yield Node(Op.LOOKUP, (x,), Lookup(np.arange(-128, 128).astype(np.int8)), "table")
        for perm in ((0, 2, 1, 3), (0, 3, 1, 2), (0, 2, 3, 1)):
            yield Node(Op.TRANSPOSE, (x,), Transpose(perm), "transpose")
        yield Node(Op.CONCAT, (x, _input(shape, "y")), Concat(3), "concat")
        yield Node(Op.PAD, (x,), Pad(((0, 0), (1, 1), (1, 1), (0, 0))), "pad")
