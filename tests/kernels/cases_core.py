"""The parameter grids: a node a case, as data. `CASES` holds (name, node), every row's among them.

A grid walks its options side by side, each in an order of its own, so that every value of every
option is met equally often and pairs of options meet in changing combinations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from milliwatt.ir.attrs import (
    NO_CLAMP,
    RELU,
    RELU6,
    Attrs,
    ClampAttrs,
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
    Unary,
)
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import REQUANTIZED
from milliwatt.ir.types import DType, Quant, Type
from support.single_ops import random_values, same_padding

F32, F16, S8, U8, S16, S32 = DType.F32, DType.F16, DType.S8, DType.U8, DType.S16, DType.S32
ZERO_POINTS = (-128, 127, 0, 7, -101)
CLAMPS = (NO_CLAMP, RELU, RELU6, (-1.0, 1.0), (0.3, 0.31))
Case = tuple[str, Node]


def grid(count: int, **options: Sequence[Any]) -> Iterator[dict[str, Any]]:
    """`count` combinations; an option of n values takes each of them about count / n times."""
    rng = np.random.default_rng([count, len(options)])
    columns = {
        name: [values[i] for i in rng.permutation(np.arange(count) % len(values))]
        for name, values in options.items()
    }
    for index in range(count):
        yield {name: column[index] for name, column in columns.items()}


def quantized(dtype: DType, zero_point: int, scale: float = 0.05) -> Quant | None:
    """Quantization of an integer value; None for floats and indices. s16 is symmetric."""
    if dtype is S16:
        return Quant.per_tensor(scale / 256)
    return Quant.per_tensor(scale, zero_point) if dtype is S8 else None


def parameters(
    x: Node, shape: tuple[int, ...], axis: int, *, bias: bool, per_axis: bool
) -> tuple[list[Node], float]:
    """Weight and bias, and the result scale that their sums of products roughly fill."""
    rng = np.random.default_rng([*shape, axis])
    fan_in = math.prod(shape) // shape[axis]
    if x.type.dtype.is_float:
        values = rng.standard_normal(shape).astype(np.float32)
        nodes = [constant(values, "w")]
        other = rng.standard_normal(shape[axis]).astype(np.float32)
    else:
        scales = 2.0 ** rng.uniform(-8, -4, shape[axis] if per_axis else 1)
        quant = Quant.per_axis(scales, axis) if per_axis else Quant.per_tensor(float(scales[0]))
        nodes = [constant(rng.integers(-127, 128, shape).astype(np.int8), "w", quant)]
        other = rng.integers(-5000, 5000, shape[axis]).astype(np.int32)
    if bias:
        nodes.append(constant(other, "b"))
    return nodes, x.type.scale * 0.02 * 50 * math.sqrt(fan_in)


def _kernel_of(option: dict[str, Any]) -> tuple[int, int, int, int]:
    """Padding of a grid case: "same", "valid" where the window fits, or four numbers."""
    padding = option["padding"]
    sizes, kernel = option["size"], option["kernel"]
    dilation = option.get("dilation", (1, 1))
    fits = all((k - 1) * d + 1 <= s for k, d, s in zip(kernel, dilation, sizes, strict=True))
    if padding == "same" or not fits:
        return same_padding(sizes, kernel, option["stride"], dilation)
    return (0, 0, 0, 0) if padding == "valid" else padding


_WINDOWS: dict[str, Sequence[Any]] = {
    "size": ((1, 1), (5, 5), (7, 4), (1, 9), (8, 3), (11, 6)),
    "kernel": ((1, 1), (3, 3), (2, 5), (1, 4), (5, 1), (3, 3)),
    "stride": ((1, 1), (2, 2), (3, 1), (1, 2)),
    "dilation": ((1, 1), (1, 1), (2, 2), (1, 3), (3, 1)),
    "padding": ("same", "valid", (1, 0, 0, 2), (0, 2, 1, 1), "same"),
    "batches": (1, 1, 2, 3),
    "clamp": CLAMPS,
    "zero": ZERO_POINTS,
    "out_zero": ZERO_POINTS,
    "bias": (True, True, False),
    "per_axis": (True, True, False),
    "folded": (False, True),
}
_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 16, 17)


def _conv_attrs(option: dict[str, Any], dtype: DType, scale: float) -> Conv2d:
    return Conv2d(
        option["stride"],
        _kernel_of(option),
        option["dilation"],
        option["clamp"],
        quantized(dtype, option["out_zero"], scale),
        folded=option["folded"] and not dtype.is_float,
    )


def conv2d(dtype: DType, count: int) -> Iterator[Node]:
    """conv2d of every kind of window; among the sizes are windows that cover the image."""
    for option in grid(count, channels=_CHANNELS, outputs=_CHANNELS[::-1], **_WINDOWS):
        shape = (option["batches"], *option["size"], option["channels"])
        x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
        weight_shape = (option["outputs"], *option["kernel"], option["channels"])
        nodes, scale = parameters(
            x, weight_shape, 0, bias=option["bias"], per_axis=option["per_axis"]
        )
        yield Node(Op.CONV2D, (x, *nodes), _conv_attrs(option, dtype, scale), "y")


def whole_window(dtype: DType, count: int) -> Iterator[Node]:
    """conv2d whose kernel is the image."""
    options = {**_WINDOWS, "kernel": ((1, 1),), "dilation": ((1, 1),), "padding": ("valid",)}
    for option in grid(count, channels=_CHANNELS, outputs=_CHANNELS, **options):
        option["kernel"] = option["size"]
        shape = (option["batches"], *option["size"], option["channels"])
        x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
        weight_shape = (option["outputs"], *option["size"], option["channels"])
        nodes, scale = parameters(
            x, weight_shape, 0, bias=option["bias"], per_axis=option["per_axis"]
        )
        yield Node(Op.CONV2D, (x, *nodes), _conv_attrs(option, dtype, scale), "y")


def conv2d_add(dtype: DType, count: int) -> Iterator[Node]:
    """conv2d_add; the skip tensor's scale is sometimes the larger one, sometimes the smaller."""
    ratios = (1.0, 3.7, 0.2)
    for option in grid(count, ratio=ratios, last=CLAMPS, channels=_CHANNELS, **_WINDOWS):
        shape = (option["batches"], *option["size"], option["channels"])
        x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
        outputs = option["channels"] % 5 + 1
        nodes, scale = parameters(
            x,
            (outputs, *option["kernel"], option["channels"]),
            0,
            bias=True,
            per_axis=option["per_axis"],
        )
        attrs = _conv_attrs(option, dtype, scale)
        hidden = Node(Op.CONV2D, (x, *nodes), attrs, "hidden").type
        skip_quant = quantized(dtype, -option["zero"] // 2, scale * option["ratio"])
        skip = graph_input(hidden.shape, dtype, "skip", skip_quant)
        add = Elementwise(option["last"], quantized(dtype, option["out_zero"], scale * 1.5))
        yield Node(Op.CONV2D_ADD, (x, *nodes, skip), ConvAdd(attrs, add), "y")


def depthwise(dtype: DType, count: int) -> Iterator[Node]:
    """depthwise_conv2d with one and several outputs a channel, and of one channel."""
    for option in grid(count, channels=_CHANNELS, multiplier=(1, 1, 1, 2, 3), **_WINDOWS):
        shape = (option["batches"], *option["size"], option["channels"])
        x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
        weight_shape = (1, *option["kernel"], option["channels"] * option["multiplier"])
        nodes, scale = parameters(
            x, weight_shape, 3, bias=option["bias"], per_axis=option["per_axis"]
        )
        yield Node(Op.DEPTHWISE_CONV2D, (x, *nodes), _conv_attrs(option, dtype, scale), "y")


def fully_connected(dtype: DType, count: int) -> Iterator[Node]:
    """fully_connected of one and several rows, with sizes around the unrolling of 8 and 4."""
    for option in grid(
        count,
        inputs=(1, 3, 7, 8, 9, 16, 31, 64, 77),
        outputs=(1, 2, 3, 4, 5, 6, 7, 8, 13),
        lead=((1,), (2,), (3, 2), ()),
        **{k: _WINDOWS[k] for k in ("clamp", "zero", "out_zero", "bias", "per_axis", "folded")},
    ):
        shape = (*option["lead"], option["inputs"])
        x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
        nodes, scale = parameters(
            x,
            (option["outputs"], option["inputs"]),
            0,
            bias=option["bias"],
            per_axis=option["per_axis"],
        )
        attrs = FullyConnected(
            option["clamp"],
            quantized(dtype, option["out_zero"], scale),
            folded=option["folded"] and not dtype.is_float,
        )
        yield Node(Op.FULLY_CONNECTED, (x, *nodes), attrs, "y")


def pool(op: Op) -> Callable[[DType, int], Iterator[Node]]:
    """max_pool2d or average_pool2d."""

    def nodes(dtype: DType, count: int) -> Iterator[Node]:
        options = {k: _WINDOWS[k] for k in ("size", "kernel", "stride", "batches", "clamp", "zero")}
        options["clamp"] = CLAMPS[:4]
        for option in grid(count, padding=("same", "valid"), channels=_CHANNELS, **options):
            shape = (option["batches"], *option["size"], option["channels"])
            x = graph_input(shape, dtype, "x", quantized(dtype, option["zero"]))
            attrs = Pool2d(option["kernel"], option["stride"], _kernel_of(option), option["clamp"])
            yield Node(op, (x,), attrs, "y")

    return nodes


def mean(dtype: DType, count: int) -> Iterator[Node]:
    """mean over every choice of axes, among them none that are neighbours."""
    shapes = ((2, 3, 4, 5), (1, 7, 7, 3), (5, 1, 2), (11,), (2, 2, 3, 2, 2))
    for option in grid(count, shape=shapes, pick=range(31), zero=ZERO_POINTS, keep=(0, 1)):
        rank = len(option["shape"])
        axes = tuple(a for a in range(rank) if (option["pick"] + 1) >> a & 1) or (rank - 1,)
        x = graph_input(option["shape"], dtype, "x", quantized(dtype, option["zero"]))
        quant = quantized(dtype, -option["zero"] // 3, 0.04 if option["keep"] else 0.01)
        yield Node(Op.MEAN, (x,), Mean(axes, bool(option["keep"]), quant), "y")


_PAIRS = (
    ((4, 5), (4, 5)),
    ((2, 3, 4, 5), (5,)),
    ((2, 3, 4, 5), (2, 1, 1, 5)),
    ((1, 3, 1, 5), (2, 1, 4, 1)),
    ((7,), (1,)),
    ((1,), (7,)),
    ((1,), (1,)),
    ((3, 1, 2, 1, 2), (1, 3, 1, 2, 1)),
    ((6, 1), (6, 5)),
)


def elementwise(op: Op) -> Callable[[DType, int], Iterator[Node]]:
    """add, sub or mul of every kind of broadcast; one operand is sometimes a constant."""

    def nodes(dtype: DType, count: int) -> Iterator[Node]:
        for option in grid(
            count,
            shapes=_PAIRS,
            zero=ZERO_POINTS,
            other=ZERO_POINTS,
            ratio=(1.0, 0.01, 30.0),
            clamp=CLAMPS,
            constant=(None, None, 0, 1),
        ):
            quants = (
                quantized(dtype, option["zero"]),
                quantized(dtype, option["other"], 0.05 * option["ratio"]),
            )
            kinds = [Type(s, dtype, q) for s, q in zip(option["shapes"], quants, strict=True)]
            sources = []
            for number, kind in enumerate(kinds):
                if number == option["constant"]:
                    values = random_values(np.random.default_rng(number), kind)
                    sources.append(constant(values, f"c{number}", kind.quant))
                else:
                    sources.append(graph_input(kind.shape, dtype, f"x{number}", kind.quant))
            scale = 0.0025 * 60 * option["ratio"] if op is Op.MUL else 0.1 * option["ratio"]
            attrs = Elementwise(option["clamp"], quantized(dtype, -option["zero"] // 2, scale))
            yield Node(op, tuple(sources), attrs, "y")
        twice = graph_input((3, 5), dtype, "x", quantized(dtype, 3))
        yield Node(op, (twice, twice), Elementwise(quant=quantized(dtype, 1)), "y")

    return nodes


def clamp(dtype: DType, count: int) -> Iterator[Node]:
    """clamp with the quantization kept and changed."""
    scales = (0.05, 0.02, 0.3)
    for option in grid(count, bounds=CLAMPS[1:], zero=ZERO_POINTS, scale=scales, size=(1, 37)):
        x = graph_input((option["size"],), dtype, "x", quantized(dtype, option["zero"]))
        out = quantized(dtype, option["zero"], option["scale"])
        yield Node(Op.CLAMP, (x,), ClampAttrs(option["bounds"], out), "y")


def unary(op: Op) -> Callable[[DType, int], Iterator[Node]]:
    """logistic or tanh, steep and flat, s16 also with the powers of two that need no rounding."""

    def nodes(dtype: DType, count: int) -> Iterator[Node]:
        scales = (0.05, 0.001, 1.0, 16.0, 2.0**-4, 2.0**-3)
        for option in grid(count, zero=ZERO_POINTS, scale=scales, shape=((2, 300), (1,))):
            quant = quantized(dtype, option["zero"], option["scale"])
            yield Node(op, (graph_input(option["shape"], dtype, "x", quant),), Unary(), "y")

    return nodes


def softmax(dtype: DType, count: int) -> Iterator[Node]:
    """softmax of short and long rows; of s8 also with s16 results."""
    shapes = ((1,), (1, 2), (3, 12), (2, 2, 5), (1, 1000))
    scales, betas = (0.05, 0.001, 1.0, 16.0), (1.0, 0.5, 10.0)
    for option in grid(count, shape=shapes, scale=scales, beta=betas, zero=ZERO_POINTS):
        quant = quantized(dtype, option["zero"], option["scale"])
        x = graph_input(option["shape"], dtype, "x", quant)
        yield Node(Op.SOFTMAX, (x,), Softmax(option["beta"]), "y")
        if dtype is S8:
            yield Node(Op.SOFTMAX, (x,), Softmax(option["beta"], S16), "wide")


def lookup(dtype: DType, count: int) -> Iterator[Node]:
    """lookup in random tables."""
    for number in range(count):
        table = np.random.default_rng(number).integers(-128, 128, 256).astype(np.int8)
        x = graph_input((3, 5 * number + 1), dtype, "x", quantized(dtype, 0))
        yield Node(Op.LOOKUP, (x,), Lookup(table), "y")


def pad(dtype: DType, count: int) -> Iterator[Node]:
    """pad of some axes, all axes and none, with zero and with values of unequal bytes."""
    shapes = ((2, 3, 4, 5), (7,), (1, 1), (3, 2, 1))
    values = {DType.BOOL: (None, 1), U8: (None, 100, 255)}.get(dtype, (None, 100, -7))
    for option in grid(count, shape=shapes, pick=range(11), value=values, zero=(0, 7)):
        widths = tuple(
            ((option["pick"] * (axis + 3)) % 4, (option["pick"] + 5 * axis) % 3)
            for axis in range(len(option["shape"]))
        )
        x = graph_input(option["shape"], dtype, "x", quantized(dtype, option["zero"]))
        yield Node(Op.PAD, (x,), Pad(widths, option["value"]), "y")


def transpose(dtype: DType, count: int) -> Iterator[Node]:
    """Every permutation of up to four axes, one of five."""
    shapes = ((6,), (2, 5), (2, 3, 4), (2, 1, 3, 2))
    perms = [(s, p) for s in shapes for p in itertools.permutations(range(len(s)))]
    for shape, perm in [*perms, ((2, 3, 2, 1, 3), (4, 1, 3, 0, 2))]:
        x = graph_input(shape, dtype, "x", quantized(dtype, 0))
        yield Node(Op.TRANSPOSE, (x,), Transpose(perm), "y")


def concat(dtype: DType, count: int) -> Iterator[Node]:
    """concat of one to four operands along every axis; one operand taken twice."""
    for axis, parts in itertools.product(range(3), (1, 2, 4)):
        operands = []
        for number in range(parts):
            shape = tuple(number * 9 + 1 if a == axis else a + 2 for a in range(3))
            operands.append(graph_input(shape, dtype, f"x{number}", quantized(dtype, 5)))
        yield Node(Op.CONCAT, (*operands, operands[0]), Concat(axis), "y")


def conversions() -> Iterator[tuple[str, Node]]:
    """quantize, dequantize and requantize between all types, with scales far apart."""
    scales = {S8: 0.05, U8: 0.05, S16: 0.0003, S32: 1e-6}
    for zero, number in itertools.product((-128, 0, 127), (1, 45)):
        for kind, results in REQUANTIZED.items():
            quant = Quant.per_tensor(scales[kind], zero + 128 * (kind is U8))
            x = graph_input((number,), kind, "x", quant)
            yield f"dequantize-{kind}", Node(Op.DEQUANTIZE, (x,), Attrs(), "y")
            for to, ratio in itertools.product(results, (0.3, 1.0, 20.0)):
                out = Quant.per_tensor(scales[to] * ratio, zero // 2 + 64 * (to is U8))
                node = Node(Op.REQUANTIZE, (x,), Quantize(to, out), "y")
                yield f"requantize-{kind}-{to}", node
        for kind in (S8, U8, S16):
            x = graph_input((number, 3), F32, "x")
            quant = Quant.per_tensor(scales[kind] / 7, zero + 128 * (kind is U8))
            yield f"quantize-{kind}", Node(Op.QUANTIZE, (x,), Quantize(kind, quant), "y")
        half = graph_input((number, 3), F16, "x")
        yield "dequantize-f16", Node(Op.DEQUANTIZE, (half,), Attrs(), "y")


_GRIDS: dict[str, tuple[Callable[[DType, int], Iterator[Node]], int]] = {
    "conv2d": (conv2d, 300),
    "whole_window": (whole_window, 30),
    "conv2d_add": (conv2d_add, 150),
    "depthwise_conv2d": (depthwise, 300),
    "fully_connected": (fully_connected, 150),
    "max_pool2d": (pool(Op.MAX_POOL2D), 80),
    "average_pool2d": (pool(Op.AVERAGE_POOL2D), 80),
    "mean": (mean, 62),
    "add": (elementwise(Op.ADD), 36),
    "sub": (elementwise(Op.SUB), 36),
    "mul": (elementwise(Op.MUL), 36),
    "clamp": (clamp, 16),
    "logistic": (unary(Op.LOGISTIC), 10),
    "tanh": (unary(Op.TANH), 10),
    "softmax": (softmax, 40),
    "pad": (pad, 33),
    "transpose": (transpose, 0),
    "concat": (concat, 0),
}


_MATRIX = ("conv2d", "whole_window", "conv2d_add", "depthwise_conv2d", "fully_connected")
# Element types beyond s8 and f32; of those that only move bytes some of each size.
_MORE: dict[str, tuple[DType, ...]] = {
    **{name: (S16,) for name in _GRIDS if name not in _MATRIX},
    **dict.fromkeys(("add", "sub", "mul"), (S16, S32)),
    **dict.fromkeys(("pad", "transpose", "concat"), (DType.BOOL, U8, S16, S32, DType.S64)),
}


def _cases() -> Iterator[Case]:
    for name, (make, count) in _GRIDS.items():
        for dtype in (S8, F32, *_MORE.get(name, ())):
            for number, node in enumerate(make(dtype, count)):
                yield f"{name}-{dtype}-{number}", node
    for number, node in enumerate(lookup(S8, 5)):
        yield f"lookup-s8-{number}", node
    for number, (name, node) in enumerate(conversions()):
        yield f"{name}-{number}", node


CASES: tuple[Case, ...] = tuple(_cases())
