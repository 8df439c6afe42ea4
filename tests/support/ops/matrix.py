"""Draws of the products: what conv2d, depthwise_conv2d and fully_connected have beyond s8 and f32,
transpose_conv2d, batch_matmul."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type
from support.ops.core import (
    Draw,
    Rng,
    draw_conv2d,
    draw_depthwise,
    draw_fully_connected,
    product_weights,
    random_values,
    size,
    some_clamp,
    some_input,
    some_quant,
)

F32, S8, S16 = DType.F32, DType.S8, DType.S16
Product = Callable[..., Node]


def _grouped(rng: Rng, dtype: DType) -> Node:
    return draw_conv2d(rng, dtype, groups=size(rng, 2, 4))


def _narrow(product: Product) -> Draw:
    """s4 weights."""
    return lambda rng, dtype: product(rng, dtype, DType.S4)


def _per_tensor(node: Node) -> Node:
    """The same product, its weight and bias quantized per tensor."""
    x, weight, *bias = node.src
    assert weight.type.quant is not None
    quant = Quant.per_tensor(weight.type.quant.scale[0])
    nodes = [constant(weight.value, weight.name, quant, weight.type.dtype)]
    if bias:
        scale = np.float32(x.type.scale) * np.float32(quant.scale[0])
        nodes.append(constant(bias[0].value, bias[0].name, Quant.per_tensor(float(scale))))
    return Node(node.op, (x, *nodes), node.attrs, node.name)


def _fully_connected_s4(rng: Rng, dtype: DType) -> Node:
    """TFLM takes s4 weights of FULLY_CONNECTED per tensor only."""
    return _per_tensor(draw_fully_connected(rng, dtype, DType.S4))


def with_zero_point(product: Product) -> Draw:
    """s8 weights per tensor with a zero point, as the uint8 models of old have."""

    def draw(rng: Rng, dtype: DType) -> Node:
        if dtype.is_float:
            return product(rng, dtype)
        node = _per_tensor(product(rng, dtype))
        x, weight, *bias = node.src
        quant = Quant.per_tensor(weight.type.scale, size(rng, -128, 127))
        shifted = constant(weight.value, weight.name, quant)
        return Node(node.op, (x, shifted, *bias), node.attrs, node.name)

    return draw


def _half(product: Product) -> Draw:
    """f16 weights behind a DEQUANTIZE, as converters store them; only f32 biases have a kernel
    that does without the passes."""

    def draw(rng: Rng, dtype: DType) -> Graph:
        node = product(rng, dtype)
        x, weight, *bias = node.src
        if not bias:  # LiteRT's CONV_2D of floats wants one
            bias = [constant(np.zeros(node.type.shape[-1], np.float32), "y.bias")]
        half = constant(weight.value.astype(np.float16), "y.weight.f16")
        made = Node(Op.DEQUANTIZE, (half,), Attrs(), "y.weight")
        made = Node(node.op, (x, made, *bias), node.attrs, node.name)
        return Graph((node.src[0],), (made,), name=f"{node.op}_f16")

    return draw


def _runtime(product: Product) -> Draw:
    """Weights that are an input of the graph."""

    def draw(rng: Rng, dtype: DType) -> Node:
        node = product(rng, dtype) if dtype is F32 else _per_tensor(product(rng, dtype))
        x, weight, *bias = node.src
        kind = weight.type
        given = graph_input(kind.shape, kind.dtype, weight.name, kind.quant)
        return Node(node.op, (x, given, *bias), node.attrs, node.name)

    return draw


def _transpose_conv2d(rng: Rng, dtype: DType) -> Node:
    """SAME and VALID; sizes that the input fills, leaves gaps in and exceeds."""
    stride = (size(rng, 1, 4), size(rng, 1, 4))
    kernel = (size(rng, 1, 5), size(rng, 1, 5))
    channels, outputs = size(rng, 1, 9), size(rng, 1, 9)
    sizes = (size(rng, 1, 6), size(rng, 1, 6))
    x = some_input(rng, dtype, (int(rng.choice([1, 1, 2])), *sizes, channels))
    same = rng.random() < 0.5
    result, offset = [], []
    for length, span, step in zip(sizes, kernel, stride, strict=True):
        # SAME: the result's size divided by the stride, rounded up, is the input's size.
        least, most = (length - 1) * step + 1, length * step
        natural = (length - 1) * step + span
        result.append(size(rng, least, most) if same else max(natural + size(rng, -1, 2), 1))
        cells = -(-result[-1] // step)
        offset.append(max((cells - 1) * step + span - result[-1], 0) // 2 if same else 0)
    fan_in = max(math.prod(kernel) // math.prod(stride), 1) * channels
    nodes, quant = product_weights(rng, x.type, (outputs, *kernel, channels), 0, fan_in, wide=1.0)
    attrs = TransposeConv2d(
        (result[0], result[1]), stride, (offset[0], offset[1]), some_clamp(rng), quant
    )
    return Node(Op.TRANSPOSE_CONV2D, (x, *nodes), attrs, "y")


def _batch_matmul(rng: Rng, dtype: DType) -> Node:
    """Both transpositions, broadcast and missing leading axes, either side a constant."""
    rows, depth, columns = size(rng, 1, 9), size(rng, 1, 40), size(rng, 1, 9)
    batch = [size(rng, 1, 4) for _ in range(size(rng, 0, 3))]
    flips = [bool(rng.random() < 0.5) for _ in range(2)]
    shapes = []
    for matrix, flip in zip(((rows, depth), (depth, columns)), flips, strict=True):
        lead = tuple(1 if rng.random() < 0.2 else d for d in batch)
        lead = lead[size(rng, 0, len(lead)) if rng.random() < 0.2 else 0 :]
        shapes.append((*lead, *(matrix[::-1] if flip else matrix)))
    kinds = [Type(shape, dtype, some_quant(rng, dtype)) for shape in shapes]
    sources: list[Node] = [
        graph_input(kind.shape, dtype, name, kind.quant)
        for kind, name in zip(kinds, "ab", strict=True)
    ]
    if rng.random() < 0.4:
        sources[1] = constant(random_values(rng, kinds[1]), "b", kinds[1].quant)
    natural = kinds[0].scale * kinds[1].scale * 0.33 * math.sqrt(depth)
    natural *= 1.0 if dtype.is_float else dtype.limits[1]
    factor = rng.uniform(-12, 12) if rng.random() < 0.15 else rng.uniform(-2, 2)
    quant = some_quant(rng, dtype, natural * 2.0**factor)
    return Node(Op.BATCH_MATMUL, tuple(sources), BatchMatmul(*flips, quant), "y")


OPERATORS: dict[str, Draw] = {
    "grouped_conv2d": _grouped,
    "conv2d_s4": _narrow(draw_conv2d),
    "depthwise_conv2d_s4": _narrow(draw_depthwise),
    "fully_connected_s4": _fully_connected_s4,
    "fully_connected_offset": with_zero_point(draw_fully_connected),
    "conv2d_offset": with_zero_point(draw_conv2d),
    "depthwise_conv2d_offset": with_zero_point(draw_depthwise),
    "conv2d_f16": _half(draw_conv2d),
    "depthwise_conv2d_f16": _half(draw_depthwise),
    "fully_connected_f16": _half(draw_fully_connected),
    "conv2d_runtime": _runtime(draw_conv2d),
    "depthwise_conv2d_runtime": _runtime(draw_depthwise),
    "fully_connected_runtime": _runtime(draw_fully_connected),
    "transpose_conv2d": _transpose_conv2d,
    "batch_matmul": _batch_matmul,
}
_PRODUCTS = ("conv2d", "depthwise_conv2d", "fully_connected")
# (operator, element type of its activations): what is compared with TensorFlow Lite Micro. It
# leaves the zero point of convolutions' weights out; LiteRT's uint8 kernels are their judge.
GRID: list[tuple[str, DType]] = [
    *((name, S16) for name in _PRODUCTS),
    *((name, S8) for name in OPERATORS if name.endswith(("_s4", "connected_offset"))),
    *((f"{name}_f16", F32) for name in _PRODUCTS),
    *(
        (name, dtype)
        for name in OPERATORS
        if name.endswith("_runtime") or name in ("grouped_conv2d", *list(OPERATORS)[-2:])
        for dtype in (S8, S16, F32)
    ),
]
# TFLM dequantizes no f16.
ORACLE: dict[tuple[str, DType], str] = {(f"{name}_f16", F32): "litert" for name in _PRODUCTS}
