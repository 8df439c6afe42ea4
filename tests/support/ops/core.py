"""Draws of the first family, and what all families draw with: sizes, types, values.

What the operators cannot take (a window larger than its input) is drawn again, never skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

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
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type

Rng = np.random.Generator
Draw = Callable[[Rng, DType], Node | Graph]
CLAMPS: tuple[Clamp, ...] = (NO_CLAMP, RELU, RELU6, (-1.0, 1.0))


def random_inputs(graph: Graph, seed: int) -> list[np.ndarray]:
    """One array for every input: the full range for integers, some of it at the limits."""
    rng = np.random.default_rng([seed, 1])
    return [random_values(rng, node.type) for node in graph.inputs]


def random_values(rng: Rng, kind: Type) -> np.ndarray:
    """Values of type `kind`."""
    if kind.dtype.is_float:
        return (rng.standard_normal(kind.shape) * 3).astype(np.float32)
    low, high = kind.dtype.limits
    values = rng.integers(low, high + 1, kind.shape)
    at_limit = rng.random(kind.shape) < rng.choice([0.0, 0.1, 0.9])
    return np.where(at_limit, rng.choice([low, high], kind.shape), values).astype(kind.dtype.numpy)


def size(rng: Rng, low: int, high: int) -> int:
    """An integer from low to high, both included."""
    return int(rng.integers(low, high + 1))


def some_quant(rng: Rng, dtype: DType, scale: float | None = None) -> Quant | None:
    """Per-tensor quantization: zero points at and between the limits, scales over many octaves."""
    if dtype.is_float:
        return None
    if scale is None:
        scale = 2.0 ** rng.uniform(-16, 8) if rng.random() < 0.2 else 2.0 ** rng.uniform(-8, 1)
    if dtype is not DType.S8:
        return Quant.per_tensor(scale)  # the specification wants 16 and 32 bits symmetric
    anywhere = size(rng, -128, 127)
    return Quant.per_tensor(scale, int(rng.choice([-128, 127, 0, anywhere, anywhere])))


def some_input(rng: Rng, dtype: DType, shape: tuple[int, ...], name: str = "x") -> Node:
    """An input with random quantization."""
    return graph_input(shape, dtype, name, some_quant(rng, dtype))


def some_clamp(rng: Rng) -> Clamp:
    """A fused activation, most often none."""
    return CLAMPS[size(rng, 0, 3)] if rng.random() < 0.6 else NO_CLAMP


def some_shape(rng: Rng, ranks: tuple[int, int] = (1, 4)) -> tuple[int, ...]:
    """A small shape of odd sizes."""
    return tuple(size(rng, 1, 7) for _ in range(size(rng, *ranks)))


def _weights(
    rng: Rng, x: Type, shape: tuple[int, ...], axis: int, fan_in: int
) -> tuple[list[Node], Quant | None]:
    """Weight, perhaps a bias, and a result quantization that their products roughly fill."""
    channels = shape[axis]
    if x.dtype.is_float:
        weight = constant(rng.standard_normal(shape).astype(np.float32), "y.weight")
        bias = constant(rng.standard_normal(channels).astype(np.float32), "y.bias")
        return [weight, bias] if rng.random() < 0.8 else [weight], None
    per_axis = rng.random() < 0.7
    scales = 2.0 ** rng.uniform(-9, -3, channels if per_axis else 1)
    quant = Quant.per_axis(scales, axis) if per_axis else Quant.per_tensor(scales[0])
    values = rng.integers(-128 if rng.random() < 0.1 else -127, 128, shape).astype(np.int8)
    nodes = [constant(values, "y.weight", quant)]
    products = (np.float32(x.scale) * quant.scales).astype(np.float32)
    if rng.random() < 0.8:
        reach = int(rng.choice([0, 1 << 10, 1 << 15, 1 << 20]))
        bias_quant = Quant.per_axis(products, 0) if per_axis else Quant.per_tensor(products[0])
        nodes.append(
            constant(
                rng.integers(-reach, reach + 1, channels).astype(np.int32), "y.bias", bias_quant
            )
        )
    # Random products sum to about 74 * 74 * sqrt(fan_in) steps; the result has 128 to each side.
    natural = float(products.max()) * 43 * math.sqrt(fan_in)
    factor = rng.uniform(-12, 12) if rng.random() < 0.15 else rng.uniform(-2, 2)
    return nodes, some_quant(rng, x.dtype, natural * 2.0**factor)


def same_padding(
    sizes: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """TFLite's SAME padding as (top, bottom, left, right)."""
    sides = []
    for length, span, step, spread in zip(sizes, kernel, stride, dilation, strict=True):
        total = max((-(-length // step) - 1) * step + (span - 1) * spread + 1 - length, 0)
        sides += [total // 2, total - total // 2]
    return (sides[0], sides[1], sides[2], sides[3])


def _window(
    rng: Rng, kernel_max: int = 5, dilations: int = 3
) -> tuple[
    tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int, int, int]
]:
    """(input size, kernel, stride, dilation, padding) that fit together."""
    while True:
        sizes = (size(rng, 1, 13), size(rng, 1, 13))
        kernel = (size(rng, 1, kernel_max), size(rng, 1, kernel_max))
        stride = (size(rng, 1, 3), size(rng, 1, 3))
        dilation = (1, 1)
        if rng.random() < 0.3:
            dilation = (size(rng, 1, dilations), size(rng, 1, dilations))
        if rng.random() < 0.5:
            return sizes, kernel, stride, dilation, same_padding(sizes, kernel, stride, dilation)
        if all((k - 1) * d + 1 <= s for k, d, s in zip(kernel, dilation, sizes, strict=True)):
            return sizes, kernel, stride, dilation, (0, 0, 0, 0)


def _conv2d(rng: Rng, dtype: DType) -> Node:
    sizes, kernel, stride, dilation, padding = _window(rng)
    channels, outputs = size(rng, 1, 9), size(rng, 1, 9)
    if rng.random() < 0.1:
        channels, outputs = size(rng, 10, 40), size(rng, 10, 40)
    x = some_input(rng, dtype, (int(rng.choice([1, 1, 1, 2, 3])), *sizes, channels))
    shape = (outputs, *kernel, channels)
    weights, quant = _weights(rng, x.type, shape, 0, math.prod(kernel) * channels)
    attrs = Conv2d(stride, padding, dilation, some_clamp(rng), quant)
    return Node(Op.CONV2D, (x, *weights), attrs, "y")


def _depthwise(rng: Rng, dtype: DType) -> Node:
    sizes, kernel, stride, dilation, padding = _window(rng)
    channels, multiplier = size(rng, 1, 17), int(rng.choice([1, 1, 1, 2, 3, 8]))
    x = some_input(rng, dtype, (int(rng.choice([1, 1, 1, 2, 3])), *sizes, channels))
    shape = (1, *kernel, channels * multiplier)
    weights, quant = _weights(rng, x.type, shape, 3, math.prod(kernel))
    attrs = Conv2d(stride, padding, dilation, some_clamp(rng), quant)
    return Node(Op.DEPTHWISE_CONV2D, (x, *weights), attrs, "y")


def _fully_connected(rng: Rng, dtype: DType) -> Node:
    inputs, outputs = size(rng, 1, 70), size(rng, 1, 33)
    lead = tuple(size(rng, 1, 4) for _ in range(int(rng.choice([1, 1, 1, 2, 3]))))
    x = some_input(rng, dtype, (*lead, inputs))
    weights, quant = _weights(rng, x.type, (outputs, inputs), 0, inputs)
    attrs = FullyConnected(some_clamp(rng), quant)
    return Node(Op.FULLY_CONNECTED, (x, *weights), attrs, "y")


def _pool(op: Op) -> Callable[[Rng, DType], Node]:
    def draw(rng: Rng, dtype: DType) -> Node:
        sizes, kernel, stride, _, padding = _window(rng, kernel_max=7, dilations=1)
        x = some_input(rng, dtype, (size(rng, 1, 2), *sizes, size(rng, 1, 17)))
        return Node(op, (x,), Pool2d(kernel, stride, padding, some_clamp(rng)), "y")

    return draw


def _mean(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    rank = len(x.type.shape)
    count = size(rng, 1, rank)
    axes = tuple(sorted(int(a) for a in rng.choice(rank, count, replace=False)))
    if rng.random() < 0.3 and rank == 4:
        axes = (1, 2)
    quant = some_quant(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-4, 3))
    return Node(Op.MEAN, (x,), Mean(axes, bool(rng.random() < 0.5), quant), "y")


def _elementwise(op: Op) -> Callable[[Rng, DType], Node]:
    def draw(rng: Rng, dtype: DType) -> Node:
        full = some_shape(rng)
        shapes = [full, full]
        if rng.random() < 0.5:
            side = size(rng, 0, 1)
            thin = tuple(d if rng.random() < 0.5 else 1 for d in full)
            shapes[side] = thin[size(rng, 0, len(thin) - 1) :]
            if rng.random() < 0.3:  # both stretch
                shapes[1 - side] = tuple(
                    1 if t == d else d for t, d in zip(thin, full, strict=True)
                )
        base = 2.0 ** rng.uniform(-8, 1)
        quants = [some_quant(rng, dtype, base * 2.0 ** rng.uniform(-4, 4)) for _ in shapes]
        left = graph_input(shapes[0], dtype, "a", quants[0])
        right: Node
        kind = Type(shapes[1], dtype, quants[1])
        if rng.random() < 0.3:
            right = constant(random_values(rng, kind), "b", kind.quant)
        else:
            right = graph_input(kind.shape, dtype, "b", kind.quant)
        natural = base if op is not Op.MUL else left.type.scale * right.type.scale * 64
        quant = some_quant(rng, dtype, natural * 2.0 ** rng.uniform(-4, 6))
        return Node(op, (left, right), Elementwise(some_clamp(rng), quant), "y")

    return draw


def _clamp(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    quant = x.type.quant
    if quant is not None and rng.random() < 0.6:
        quant = some_quant(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-3, 3))
    return Node(Op.CLAMP, (x,), ClampAttrs(CLAMPS[size(rng, 1, 2)], quant), "y")


def _unary(op: Op, attrs: Callable[[Rng], Attrs]) -> Callable[[Rng, DType], Node]:
    def draw(rng: Rng, dtype: DType) -> Node:
        shape = (*some_shape(rng, (0, 3)), size(rng, 1, 40))
        return Node(op, (some_input(rng, dtype, shape),), attrs(rng), "y")

    return draw


def _pad(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    paddings = tuple((size(rng, 0, 3), size(rng, 0, 3)) for _ in x.type.shape)
    value = float(random_values(rng, Type((), dtype))) if rng.random() < 0.5 else None
    return Node(Op.PAD, (x,), Pad(paddings, value), "y")


def _reshape(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    shape = list(x.type.shape)
    rng.shuffle(shape)
    if rng.random() < 0.5:
        shape = [math.prod(shape)]
    if rng.random() < 0.5:
        shape.insert(size(rng, 0, len(shape)), 1)
    return Node(Op.RESHAPE, (x,), Reshape(tuple(shape)), "y")


def _transpose(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    perm = tuple(int(a) for a in rng.permutation(len(x.type.shape)))
    return Node(Op.TRANSPOSE, (x,), Transpose(perm), "y")


def _concat(rng: Rng, dtype: DType) -> Node:
    shape, quant = list(some_shape(rng)), some_quant(rng, dtype)
    axis = size(rng, 0, len(shape) - 1)
    parts = []
    for number in range(size(rng, 1, 5)):
        shape[axis] = size(rng, 1, 7)
        parts.append(graph_input(tuple(shape), dtype, f"x{number}", quant))
    return Node(Op.CONCAT, tuple(parts), Concat(axis), "y")


def _quantize(rng: Rng, dtype: DType) -> Node:
    """f32 -> `dtype`, values up to well beyond its range."""
    x = graph_input(some_shape(rng), DType.F32, "x")
    octaves = rng.uniform(-8, 1) if dtype is DType.S8 else rng.uniform(-16, -6)
    quant = some_quant(rng, dtype, 2.0**octaves)
    assert quant is not None
    return Node(Op.QUANTIZE, (x,), Quantize(dtype, quant), "y")


def _dequantize(rng: Rng, dtype: DType) -> Node:
    return Node(Op.DEQUANTIZE, (some_input(rng, dtype, some_shape(rng)),), Attrs(), "y")


# Result types that TFLite Micro has for each type of operand.
_REQUANTIZED = {
    DType.S8: (DType.S8, DType.S16, DType.S32),
    DType.S16: (DType.S8, DType.S16, DType.S32),
    DType.S32: (DType.S8, DType.S16),
}


def _requantize(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    results = _REQUANTIZED[dtype]
    to = results[size(rng, 0, len(results) - 1)]
    # Bits gained or lost come on top of the change of scale.
    octaves = 8 * (dtype.itemsize - to.itemsize) + rng.uniform(-4, 4)
    quant = some_quant(rng, to, x.type.scale * 2.0**octaves)
    assert quant is not None
    return Node(Op.REQUANTIZE, (x,), Quantize(to, quant), "y")


def _softmax_attrs(rng: Rng) -> Attrs:
    return Softmax(1.0 if rng.random() < 0.6 else float(np.float32(2.0 ** rng.uniform(-3, 3))))


OPERATORS: dict[str, Draw] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise,
    "fully_connected": _fully_connected,
    "max_pool2d": _pool(Op.MAX_POOL2D),
    "average_pool2d": _pool(Op.AVERAGE_POOL2D),
    "mean": _mean,
    "add": _elementwise(Op.ADD),
    "sub": _elementwise(Op.SUB),
    "mul": _elementwise(Op.MUL),
    "clamp": _clamp,
    "logistic": _unary(Op.LOGISTIC, lambda rng: Unary()),
    "tanh": _unary(Op.TANH, lambda rng: Unary()),
    "softmax": _unary(Op.SOFTMAX, _softmax_attrs),
    "pad": _pad,
    "reshape": _reshape,
    "transpose": _transpose,
    "concat": _concat,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "requantize": _requantize,
}

_MOVES = ("pad", "reshape", "transpose", "concat")
_CHANGES = ("quantize", "dequantize", "requantize")
# `clamp` has a test of its own: TFLM's RELU6 leaves the specification.
GRID: list[tuple[str, DType]] = [
    *((name, DType.S8) for name in OPERATORS if name != "clamp"),
    *((name, DType.F32) for name in OPERATORS if name not in _CHANGES),
    *((name, DType.S16) for name in (*_MOVES, *_CHANGES)),
    ("requantize", DType.S32),
]
