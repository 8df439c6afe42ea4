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
        return (rng.standard_normal(kind.shape) * 3).astype(kind.dtype.numpy)
    low, high = (0, 1) if kind.dtype is DType.BOOL else kind.dtype.limits
    values = rng.integers(low, high, kind.shape, endpoint=True)
    at_limit = rng.random(kind.shape) < rng.choice([0.0, 0.1, 0.9])
    return np.where(at_limit, rng.choice([low, high], kind.shape), values).astype(kind.dtype.numpy)


def size(rng: Rng, low: int, high: int) -> int:
    """An integer from low to high, both included."""
    return int(rng.integers(low, high + 1))


def some_quant(rng: Rng, dtype: DType, scale: float | None = None) -> Quant | None:
    """Per-tensor quantization: zero points at and between the limits, scales over many octaves.

    None for floats and for what is never quantized: bool and s64.
    """
    if dtype.is_float or dtype in (DType.BOOL, DType.S64):
        return None
    if scale is None:
        scale = 2.0 ** rng.uniform(-16, 8) if rng.random() < 0.2 else 2.0 ** rng.uniform(-8, 1)
    if dtype not in (DType.S8, DType.U8):
        return Quant.per_tensor(scale)  # the specification wants 16 and 32 bits symmetric
    anywhere = size(rng, -128, 127)
    point = int(rng.choice([-128, 127, 0, anywhere, anywhere]))
    return Quant.per_tensor(scale, point + 128 * (dtype is DType.U8))


def some_input(rng: Rng, dtype: DType, shape: tuple[int, ...], name: str = "x") -> Node:
    """An input with random quantization."""
    return graph_input(shape, dtype, name, some_quant(rng, dtype))


def some_clamp(rng: Rng) -> Clamp:
    """A fused activation, most often none."""
    return CLAMPS[size(rng, 0, 3)] if rng.random() < 0.6 else NO_CLAMP


def some_shape(rng: Rng, ranks: tuple[int, int] = (1, 4)) -> tuple[int, ...]:
    """A small shape of odd sizes."""
    return tuple(size(rng, 1, 7) for _ in range(size(rng, *ranks)))


def product_weights(
    rng: Rng,
    x: Type,
    shape: tuple[int, ...],
    axis: int,
    fan_in: int,
    dtype: DType | None = None,
    wide: float = 0.6,
) -> tuple[list[Node], Quant | None]:
    """Weight, perhaps a bias, and a result quantization that their products roughly fill.

    `dtype` is the weight's element type where it is not f32 or s8; `wide` how often biases of s16
    activations have 64 bits, not 32.
    """
    channels = shape[axis]
    if x.dtype.is_float:
        weight = constant(rng.standard_normal(shape).astype(np.float32), "y.weight")
        bias = constant(rng.standard_normal(channels).astype(np.float32), "y.bias")
        return [weight, bias] if rng.random() < 0.8 else [weight], None
    per_axis = rng.random() < 0.7 and channels > 1  # of one channel, files say per tensor
    scales = 2.0 ** rng.uniform(-9, -3, channels if per_axis else 1)
    quant = Quant.per_axis(scales, axis) if per_axis else Quant.per_tensor(scales[0])
    low, high = (dtype or DType.S8).limits
    values = rng.integers(low if rng.random() < 0.1 else low + 1, high + 1, shape).astype(np.int8)
    nodes = [constant(values, "y.weight", quant, dtype)]
    products = (np.float32(x.scale) * quant.scales).astype(np.float32)
    if rng.random() < 0.8:
        reach = int(rng.choice([0, 1 << 10, 1 << 15, 1 << 20]))
        bias_quant = Quant.per_axis(products, 0) if per_axis else Quant.per_tensor(products[0])
        long = x.dtype is DType.S16 and rng.random() < wide
        reach <<= 14 if long else 0
        held = np.int64 if long else np.int32
        values = rng.integers(-reach, reach + 1, channels).astype(held)
        nodes.append(constant(values, "y.bias", bias_quant))
    # Random products sum to about 0.58 * 0.58 * sqrt(fan_in) of the largest ones.
    natural = float(products.max()) * 0.33 * high * math.sqrt(fan_in)
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


def some_window(
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


def draw_conv2d(rng: Rng, dtype: DType, weight: DType | None = None, groups: int = 1) -> Node:
    """conv2d with weights of another element type or in groups, if these say so."""
    sizes, kernel, stride, dilation, padding = some_window(rng)
    channels, outputs = size(rng, 1, 9), size(rng, 1, 9) * groups
    if rng.random() < 0.1:
        channels, outputs = size(rng, 10, 40), size(rng, 10, 40) * groups
    shape = (int(rng.choice([1, 1, 1, 2, 3])), *sizes, channels * groups)
    x = some_input(rng, dtype, shape)
    fan_in = math.prod(kernel) * channels
    nodes, quant = product_weights(rng, x.type, (outputs, *kernel, channels), 0, fan_in, weight)
    attrs = Conv2d(stride, padding, dilation, some_clamp(rng), quant)
    return Node(Op.CONV2D, (x, *nodes), attrs, "y")


def draw_depthwise(rng: Rng, dtype: DType, weight: DType | None = None) -> Node:
    """depthwise_conv2d with weights of element type `weight`."""
    sizes, kernel, stride, dilation, padding = some_window(rng)
    channels, multiplier = size(rng, 1, 17), int(rng.choice([1, 1, 1, 2, 3, 8]))
    x = some_input(rng, dtype, (int(rng.choice([1, 1, 1, 2, 3])), *sizes, channels))
    shape = (1, *kernel, channels * multiplier)
    # TFLM takes a bias of 16x8 depthwise convolutions for 64 bits without a look.
    nodes, quant = product_weights(rng, x.type, shape, 3, math.prod(kernel), weight, wide=1.0)
    attrs = Conv2d(stride, padding, dilation, some_clamp(rng), quant)
    return Node(Op.DEPTHWISE_CONV2D, (x, *nodes), attrs, "y")


def draw_fully_connected(rng: Rng, dtype: DType, weight: DType | None = None) -> Node:
    """fully_connected with weights of element type `weight`."""
    inputs, outputs = size(rng, 1, 70), size(rng, 1, 33)
    if dtype is DType.S16 and rng.random() < 0.05:
        inputs = 1300  # sums that leave 32 bits
    lead = tuple(size(rng, 1, 4) for _ in range(int(rng.choice([1, 1, 1, 2, 3]))))
    x = some_input(rng, dtype, (*lead, inputs))
    nodes, quant = product_weights(rng, x.type, (outputs, inputs), 0, inputs, weight)
    attrs = FullyConnected(some_clamp(rng), quant)
    return Node(Op.FULLY_CONNECTED, (x, *nodes), attrs, "y")


def _pool(op: Op) -> Callable[[Rng, DType], Node]:
    def draw(rng: Rng, dtype: DType) -> Node:
        sizes, kernel, stride, _, padding = some_window(rng, kernel_max=7, dilations=1)
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
        if dtype is DType.S32:  # indices
            quants = [None, None]
        left = graph_input(shapes[0], dtype, "a", quants[0])
        right: Node
        kind = Type(shapes[1], dtype, quants[1])
        if rng.random() < 0.3:
            right = constant(random_values(rng, kind), "b", kind.quant)
        else:
            right = graph_input(kind.shape, dtype, "b", kind.quant)
        natural = base if op is not Op.MUL else left.type.scale * right.type.scale * 64
        if op is Op.MUL and dtype is DType.S16:
            natural *= 256
        quant = some_quant(rng, dtype, natural * 2.0 ** rng.uniform(-4, 6))
        clamp = some_clamp(rng)
        if dtype is DType.S32:
            # TFLM drops the fused activation of an int32 ADD: test_core_types.py has that.
            quant, clamp = None, NO_CLAMP if op is Op.ADD else clamp
        return Node(op, (left, right), Elementwise(clamp, quant), "y")

    return draw


def _clamp(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    quant = x.type.quant
    if quant is not None and rng.random() < 0.6:
        quant = some_quant(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-3, 3))
    return Node(Op.CLAMP, (x,), ClampAttrs(CLAMPS[size(rng, 1, 2)], quant), "y")


def _unary(op: Op, attrs: Callable[[Rng, DType], Attrs]) -> Callable[[Rng, DType], Node]:
    def draw(rng: Rng, dtype: DType) -> Node:
        shape = (*some_shape(rng, (0, 3)), size(rng, 1, 40))
        scale = None
        if dtype is DType.S16:
            # Some at and near the powers of two that tables are read at without rounding.
            near = rng.choice([1.0, 1.0004, 0.9997, 1.002])
            scale = near * 2.0 ** float(rng.choice([-13, -12, -11, rng.uniform(-16, 1.3)]))
        quant = some_quant(rng, dtype, scale)
        return Node(op, (graph_input(shape, dtype, "x", quant),), attrs(rng, dtype), "y")

    return draw


def _pad(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    paddings = tuple((size(rng, 0, 3), size(rng, 0, 3)) for _ in x.type.shape)
    value = None
    if rng.random() < 0.5:
        # A padding value is a number that a float64 holds.
        value = float(random_values(rng, Type((), DType.S32 if dtype is DType.S64 else dtype)))
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
    octaves = rng.uniform(-16, -6) if dtype is DType.S16 else rng.uniform(-8, 1)
    quant = some_quant(rng, dtype, 2.0**octaves)
    assert quant is not None
    return Node(Op.QUANTIZE, (x,), Quantize(dtype, quant), "y")


def _dequantize(rng: Rng, dtype: DType) -> Node:
    return Node(Op.DEQUANTIZE, (some_input(rng, dtype, some_shape(rng)),), Attrs(), "y")


# Result types that TFLite Micro has for each type of operand.
_REQUANTIZED = {
    DType.S8: (DType.S8, DType.U8, DType.S16, DType.S32),
    DType.U8: (DType.S8,),
    DType.S16: (DType.S8, DType.S16, DType.S32),
    DType.S32: (DType.S8, DType.S16),
}


def _requantize(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    results = _REQUANTIZED[dtype]
    to = results[size(rng, 0, len(results) - 1)]
    # Bits gained or lost come on top of the change of scale.
    octaves = 8 * (dtype.itemsize - to.itemsize) + rng.uniform(-4, 4)
    if to.itemsize == dtype.itemsize and rng.random() < 0.2:
        octaves = 0.0
    quant = some_quant(rng, to, x.type.scale * 2.0**octaves)
    assert quant is not None
    return Node(Op.REQUANTIZE, (x,), Quantize(to, quant), "y")


def _softmax_attrs(rng: Rng, dtype: DType) -> Attrs:
    beta = 1.0 if rng.random() < 0.6 else float(np.float32(2.0 ** rng.uniform(-3, 3)))
    to = DType.S16 if dtype is DType.S8 and rng.random() < 0.3 else None
    quant = None
    if DType.S16 in (dtype, to) and rng.random() < 0.3:
        # Some converters write 1/65535 for 2**-16: TFLM takes what is within a thousandth.
        nominal = Quant.per_tensor(2.0**-16, -32768) if to else Quant.per_tensor(2.0**-15)
        scale = nominal.scale[0] * rng.uniform(0.9992, 1.0008)
        quant = Quant.per_tensor(scale, nominal.zero_point[0])
    return Softmax(beta, to, quant)


OPERATORS: dict[str, Draw] = {
    "conv2d": draw_conv2d,
    "depthwise_conv2d": draw_depthwise,
    "fully_connected": draw_fully_connected,
    "max_pool2d": _pool(Op.MAX_POOL2D),
    "average_pool2d": _pool(Op.AVERAGE_POOL2D),
    "mean": _mean,
    "add": _elementwise(Op.ADD),
    "sub": _elementwise(Op.SUB),
    "mul": _elementwise(Op.MUL),
    "clamp": _clamp,
    "logistic": _unary(Op.LOGISTIC, lambda rng, dtype: Unary()),
    "tanh": _unary(Op.TANH, lambda rng, dtype: Unary()),
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
_MATRIX = ("conv2d", "depthwise_conv2d", "fully_connected")
_INDICES = ("add", "sub", "mul")
# `clamp` has a test of its own: TFLM's RELU6 leaves the specification.
GRID: list[tuple[str, DType]] = [
    *((name, DType.S8) for name in OPERATORS if name != "clamp"),
    *((name, DType.F32) for name in OPERATORS if name not in _CHANGES),
    *((name, DType.S16) for name in OPERATORS if name not in ("clamp", *_MATRIX)),
    *((name, DType.S32) for name in (*_INDICES, *_MOVES, "requantize")),
    *((name, DType.U8) for name in (*_MOVES, *_CHANGES)),
    *((name, dtype) for name in _MOVES for dtype in (DType.S64, DType.BOOL)),
    ("dequantize", DType.F16),
]
# TFLM has these operators but not of these types.
ORACLE: dict[tuple[str, DType], str] = {
    **{("transpose", dtype): "litert" for dtype in (DType.S32, DType.S64, DType.U8, DType.BOOL)},
    **{("pad", dtype): "litert" for dtype in (DType.S64, DType.U8, DType.BOOL)},
    ("concat", DType.U8): "litert",
    ("quantize", DType.U8): "litert",
    ("dequantize", DType.F16): "litert",
}
