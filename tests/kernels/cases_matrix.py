"""Grids of the products beyond the plain ones; the windows are those of cases_core."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from kernels.cases_core import (
    CLAMPS,
    ZERO_POINTS,
    Case,
    conv2d,
    depthwise,
    fully_connected,
    grid,
    parameters,
    quantized,
)
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

F32, S8, S16 = DType.F32, DType.S8, DType.S16
Change = Callable[[Node, int], Node]


def _with(node: Node, *parameters: Node) -> Node:
    return Node(node.op, (node.src[0], *parameters), node.attrs, node.name)


def wide_bias(node: Node, number: int) -> Node:
    """Biases of 64 bits in two cases of three, large ones among them."""
    if len(node.src) < 3 or number % 3 == 0:
        return node
    bias = node.src[2].value.astype(np.int64) << (14 * (number % 3 - 1))
    return _with(node, node.src[1], constant(bias, "b"))


def narrow(node: Node, number: int) -> Node:
    """s4 weights."""
    weight = node.src[1]
    values = np.clip(weight.value // 8, -8, 7)
    return _with(node, constant(values, "w", weight.type.quant, DType.S4), *node.src[2:])


def offset(node: Node, number: int) -> Node:
    """s8 weights per tensor with a zero point."""
    weight = node.src[1]
    assert weight.type.quant is not None
    quant = Quant.per_tensor(weight.type.quant.scale[0], ZERO_POINTS[number % 5] or 1)
    return _with(node, constant(weight.value, "w", quant), *node.src[2:])


def half(node: Node, number: int) -> Node:
    """f16 weights, subnormals and zeros of both signs among them; sometimes an f16 bias."""
    weight = node.src[1].value.astype(np.float16)
    weight.reshape(-1)[::7] = np.float16(3e-7)
    weight.reshape(-1)[::11] = np.float16(-0.0)
    bias = node.src[2:]
    if bias and number % 2:
        bias = (constant(bias[0].value.astype(np.float16), "b"),)
    return _with(node, constant(weight, "w"), *bias)


def runtime(node: Node, number: int) -> Node:
    """Weights that are an operand, with a zero point in some."""
    kind = node.src[1].type
    quant = kind.quant
    if kind.dtype is S8 and node.src[0].type.dtype is S8 and quant.axis is None and number % 2:
        quant = Quant.per_tensor(quant.scale[0], ZERO_POINTS[number % 5])
    if getattr(node.attrs, "folded", False):
        node = Node(node.op, node.src, replace(node.attrs, folded=False), node.name)
    return _with(node, graph_input(kind.shape, kind.dtype, "w", quant), *node.src[2:])


def grouped(node: Node, number: int) -> Node:
    """The convolution several times side by side, every group with weights of its own."""
    groups = number % 3 + 2
    x, weight, *bias = node.src
    wider = graph_input(
        (*x.type.shape[:3], x.type.shape[3] * groups), x.type.dtype, "x", x.type.quant
    )
    values = np.concatenate([np.roll(weight.value, g, axis=1) for g in range(groups)])
    quant = weight.type.quant
    if quant is not None and quant.axis is not None:
        quant = Quant(quant.scale * groups, quant.zero_point * groups, quant.axis)
    nodes = [constant(values, "w", quant)]
    nodes += [constant(np.tile(b.value, groups), "b") for b in bias]
    return Node(node.op, (wider, *nodes), node.attrs, node.name)


_TRANSPOSED = {
    "size": ((1, 1), (3, 3), (4, 2), (1, 5)),
    "kernel": ((1, 1), (3, 3), (2, 5), (4, 4), (5, 1)),
    "stride": ((1, 1), (2, 2), (3, 1), (2, 3), (4, 4)),
    "offset": ((0, 0), (1, 1), (0, 2), (3, 0)),
    "extra": (0, 0, -1, 2, 3),
    "batches": (1, 1, 2),
    "clamp": CLAMPS,
    "zero": ZERO_POINTS,
    "out_zero": ZERO_POINTS,
    "bias": (True, True, False),
    "per_axis": (True, True, False),
}


def transpose_conv2d(dtype: DType, count: int) -> Iterator[Node]:
    """Every stride by every kernel; results that the input does not reach, or reaches beyond."""
    for option in grid(count, channels=(1, 2, 3, 5, 8), outputs=(1, 2, 3, 7), **_TRANSPOSED):
        shape = (option["batches"], *option["size"], option["channels"])
        x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
        weight_shape = (option["outputs"], *option["kernel"], option["channels"])
        nodes, scale = parameters(
            x, weight_shape, 0, bias=option["bias"], per_axis=option["per_axis"]
        )
        size = [
            max((length - 1) * step + span + option["extra"], 1)
            for length, span, step in zip(
                option["size"], option["kernel"], option["stride"], strict=True
            )
        ]
        attrs = TransposeConv2d(
            (size[0], size[1]),
            option["stride"],
            option["offset"],
            option["clamp"],
            quantized(dtype, option["out_zero"], scale / 2),
        )
        yield Node(Op.TRANSPOSE_CONV2D, (x, *nodes), attrs, "y")


_BATCHES = (
    ((), ()),
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((), (4,)),
    ((2, 1, 3), (1, 2, 1)),
    ((1,), (1,)),
)


def batch_matmul(dtype: DType, count: int) -> Iterator[Node]:
    """Both transpositions by every kind of broadcast; the second operand sometimes a constant."""
    for number, option in enumerate(
        grid(
            count,
            batch=_BATCHES,
            flips=((False, False), (True, False), (False, True), (True, True)),
            rows=(1, 2, 5),
            columns=(1, 3, 4),
            depth=(1, 2, 7, 33),
            zero=ZERO_POINTS,
            other=ZERO_POINTS,
            constant=(False, False, True),
        )
    ):
        shapes = [(option["rows"], option["depth"]), (option["depth"], option["columns"])]
        shapes = [s[::-1] if f else s for s, f in zip(shapes, option["flips"], strict=True)]
        zeros = (option["zero"], option["other"])
        sources = [
            graph_input((*lead, *shape), dtype, name, quantized(dtype, zero))
            for lead, shape, name, zero in zip(option["batch"], shapes, "ab", zeros, strict=True)
        ]
        if option["constant"]:
            kind = sources[1].type
            values = np.random.default_rng(number).standard_normal(kind.shape) * 40
            sources[1] = constant(values.astype(dtype.numpy), "b", kind.quant)
        scale = 0.05 * 0.05 * 50 * math.sqrt(option["depth"])
        quant = quantized(dtype, option["zero"] // 2, scale)
        yield Node(Op.BATCH_MATMUL, tuple(sources), BatchMatmul(*option["flips"], quant), "y")


def long_sums() -> Iterator[Node]:
    """s16 sums beyond 32 bits: kept in 64, or wrapped where the bias has 32."""
    quant, out = Quant.per_tensor(0.001), Quant.per_tensor(3.0)
    x = graph_input((2, 1400), S16, "x", quant)
    values = np.tile(np.array([[127], [-128], [90]], np.int8), (1, 1400))
    weight = constant(values, "w", Quant.per_tensor(0.01))
    attrs = next(fully_connected(S16, 1)).attrs
    attrs = replace(attrs, quant=out, clamp=CLAMPS[0], folded=False)
    for held in (np.int32, np.int64):
        bias = constant(np.array([2**31 - 1, -(2**31), 5]).astype(held), "b")
        yield Node(Op.FULLY_CONNECTED, (x, weight, bias), attrs, "y")


_PRODUCTS = {
    "conv2d": (conv2d, 60),
    "depthwise_conv2d": (depthwise, 60),
    "fully_connected": (fully_connected, 36),
}
_CHANGES: tuple[tuple[str, DType, Change], ...] = (
    ("wide", S16, wide_bias),
    ("s4", S8, narrow),
    ("offset", S8, offset),
    ("f16", F32, half),
    ("runtime", S8, runtime),
    ("runtime", S16, runtime),
    ("runtime", F32, runtime),
)


def _cases() -> Iterator[Case]:
    for stem, (make, count) in _PRODUCTS.items():
        for what, dtype, change in _CHANGES:
            for number, node in enumerate(make(dtype, count)):
                yield f"{stem}_{what}-{dtype}-{number}", change(node, number)
    for dtype in (S8, S16, F32):
        for number, node in enumerate(conv2d(dtype, 40)):
            yield (
                f"conv2d_grouped-{dtype}-{number}",
                grouped(wide_bias(node, number) if dtype is S16 else node, number),
            )
        for number, node in enumerate(transpose_conv2d(dtype, 100)):
            made = wide_bias(node, number) if dtype is S16 else node
            yield f"transpose_conv2d-{dtype}-{number}", made
        for number, node in enumerate(batch_matmul(dtype, 48)):
            yield f"batch_matmul-{dtype}-{number}", node
    for number, node in enumerate(transpose_conv2d(F32, 30)):
        yield f"transpose_conv2d_f16-f32-{number}", half(node, number)
    for number, node in enumerate(long_sums()):
        yield f"long_sums-s16-{number}", node


CASES: tuple[Case, ...] = tuple(_cases())
