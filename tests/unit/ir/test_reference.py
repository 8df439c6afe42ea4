"""The reference executor against plain loops over Python numbers, and its checks of the input.

The loops share no code with the reference: sums are Python integers or exact fractions, rescaling
is written out from the specification. Random operators come from `support.single_ops`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from milliwatt.errors import BadData
from milliwatt.ir.attrs import RELU, Unary
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run, run_all
from milliwatt.ir.types import DType, Type
from support.single_ops import GRID, random_inputs, single_op

Index = tuple[int, ...]


def rescale(total: int, real: float) -> int:
    """total * real in TFLite's integer steps: multiplier, high product, rounding shift."""
    if real == 0:
        return 0
    fraction, shift = math.frexp(real)
    multiplier = int(round_away(Fraction(fraction) * 2**31))
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift < -31:
        return 0
    raised = (total * 2 ** max(shift, 0) + 2**31) % 2**32 - 2**31
    high = min(math.floor(Fraction(raised * multiplier, 2**31) + Fraction(1, 2)), 2**31 - 1)
    return round_away(Fraction(high, 2 ** max(-shift, 0)))


def round_away(value: Fraction) -> int:
    """Nearest integer, halves away from zero."""
    size = math.floor(abs(value) + Fraction(1, 2))
    return size if value >= 0 else -size


def finish(value: int, clamp: tuple[float, float], out: Type) -> int:
    """Zero point, fused activation, limits of the type."""
    low, high = out.dtype.limits
    scale = np.float32(out.scale)
    if clamp[0] > -math.inf:
        bound = Fraction(float(np.float32(clamp[0]) / scale))
        low = max(low, out.zero_point + round_away(bound))
    if clamp[1] < math.inf:
        bound = Fraction(float(np.float32(clamp[1]) / scale))
        high = min(high, out.zero_point + round_away(bound))
    return min(max(value + out.zero_point, low), high)


def indices(shape: Sequence[int]) -> Iterator[Index]:
    """Every index of an array."""
    return itertools.product(*(range(d) for d in shape))


def window(attrs: Any, at: Index, kernel: Index, dilation: Index, size: Index) -> Iterator[Index]:
    """(kernel row, kernel column, input row, input column) of cells inside the input."""
    for i, j in indices(kernel):
        y = at[0] * attrs.stride[0] + i * dilation[0] - attrs.padding[0]
        x = at[1] * attrs.stride[1] + j * dilation[1] - attrs.padding[2]
        if 0 <= y < size[0] and 0 <= x < size[1]:
            yield i, j, y, x


def conv2d(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of conv2d or depthwise_conv2d."""
    x, w = args[0], args[1]
    zero = node.src[0].type.zero_point
    attrs: Any = node.attrs
    kernel = w.shape[1:3]
    depthwise = node.op is Op.DEPTHWISE_CONV2D
    multiplier = w.shape[3] // x.shape[3]

    def cell(at: Index) -> Any:
        n, row, column, channel = at
        total: Any = 0
        for i, j, y, z in window(attrs, (row, column), kernel, attrs.dilation, x.shape[1:3]):
            if depthwise:
                total += (x[n, y, z, channel // multiplier].item() - zero) * w[
                    0, i, j, channel
                ].item()
            else:
                for c in range(x.shape[3]):
                    total += (x[n, y, z, c].item() - zero) * w[channel, i, j, c].item()
        if len(args) > 2:
            total += args[2][channel].item()
        return product_result(node, total, channel)

    return cell


def product_result(node: Node, total: Any, channel: int) -> Any:
    """Rescale, or clamp a float, a sum of products."""
    attrs: Any = node.attrs
    if node.type.dtype.is_float:
        return min(max(total, attrs.clamp[0]), attrs.clamp[1])
    quant = node.src[1].type.quant
    assert quant is not None
    scale = quant.scale[channel if quant.axis is not None else 0]
    product = node.src[0].type.scale * scale
    return finish(rescale(total, product / node.type.scale), attrs.clamp, node.type)


def fully_connected(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of fully_connected."""
    zero = node.src[0].type.zero_point

    def cell(at: Index) -> Any:
        row, weights = args[0][at[:-1]].tolist(), args[1][at[-1]].tolist()
        total = sum((a - zero) * b for a, b in zip(row, weights, strict=True))
        if len(args) > 2:
            total += args[2][at[-1]].item()
        return product_result(node, total, at[-1])

    return cell


def pool(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of max_pool2d or average_pool2d."""
    attrs: Any = node.attrs
    x = args[0]

    def cell(at: Index) -> Any:
        cells = window(attrs, at[1:3], attrs.kernel, (1, 1), x.shape[1:3])
        values = [x[at[0], y, z, at[3]].item() for _, _, y, z in cells]
        if node.op is Op.MAX_POOL2D:
            value = max(values)
        elif node.type.dtype.is_float:
            value = sum(values) / len(values)
        else:
            value = round_away(Fraction(sum(values), len(values)))
        if node.type.dtype.is_float:
            return min(max(value, attrs.clamp[0]), attrs.clamp[1])
        return finish(value - node.type.zero_point, attrs.clamp, node.type)

    return cell


def elementwise(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of add, sub or mul."""
    attrs: Any = node.attrs
    left, right = np.broadcast_arrays(args[0], args[1])
    a, b, out = node.src[0].type, node.src[1].type, node.type
    sign = -1 if node.op is Op.SUB else 1

    def cell(at: Index) -> Any:
        p, q = left[at].item(), right[at].item()
        if out.dtype.is_float:
            value = p * q if node.op is Op.MUL else p + sign * q
            return min(max(value, attrs.clamp[0]), attrs.clamp[1])
        if out.dtype is DType.S32:
            plain = p * q if node.op is Op.MUL else p + sign * q
            return finish((plain + 2**31) % 2**32 - 2**31, attrs.clamp, out)
        p, q = p - a.zero_point, q - b.zero_point
        if node.op is Op.MUL:
            return finish(rescale(p * q, a.scale * b.scale / out.scale), attrs.clamp, out)
        twice, raised = 2 * max(a.scale, b.scale), 2**15 if out.dtype is DType.S16 else 2**20
        left_term, right_term = rescale(p * raised, a.scale / twice), q * raised
        total = left_term + sign * rescale(right_term, b.scale / twice)
        return finish(rescale(total, twice / (raised * out.scale)), attrs.clamp, out)

    return cell


def unary(function: Callable[[float], float]) -> Callable[[Node, list[np.ndarray]], Any]:
    """One output of a real function applied to each element; integers within some steps."""

    def make(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
        kind = node.src[0].type

        def cell(at: Index) -> Any:
            real = function(kind.scale * (args[0][at].item() - kind.zero_point))
            if node.type.dtype.is_float:
                return real
            low, high = node.type.dtype.limits
            return min(max(real / node.type.scale + node.type.zero_point, low), high)

        return cell

    return make


def softmax(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of softmax; integers within some steps."""
    kind, out = node.src[0].type, node.type
    attrs: Any = node.attrs

    def cell(at: Index) -> Any:
        row = [kind.scale * attrs.beta * v for v in args[0][at[:-1]].tolist()]
        sizes = [math.exp(v - max(row)) for v in row]
        share = sizes[at[-1]] / sum(sizes)
        if out.dtype.is_float:
            return share
        low, high = out.dtype.limits
        return min(max(share / out.scale + out.zero_point, low), high)

    return cell


def quantize(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of quantize, dequantize or requantize."""
    kind, out = node.src[0].type, node.type

    def cell(at: Index) -> Any:
        value = args[0][at].item()
        if node.op is Op.DEQUANTIZE:
            return kind.scale * (value - kind.zero_point)
        if node.op is Op.QUANTIZE:
            real = Fraction(float(np.float32(value) / np.float32(out.scale)))
            return finish(round_away(real), (-math.inf, math.inf), out)
        moved = rescale(value - kind.zero_point, kind.scale / out.scale)
        return finish(moved, (-math.inf, math.inf), out)

    return cell


def mean(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of mean; s8 within one step."""
    attrs: Any = node.attrs
    kind, out = node.src[0].type, node.type

    def cell(at: Index) -> Any:
        places: list[int | slice] = list(at)
        for axis in attrs.axes:
            if attrs.keep_dims:
                places[axis] = slice(None)
            else:
                places.insert(axis, slice(None))
        values = [v - kind.zero_point for v in args[0][tuple(places)].ravel().tolist()]
        real = kind.scale * sum(values) / len(values)
        if out.dtype.is_float:
            return real
        low, high = out.dtype.limits
        return min(max(real / out.scale + out.zero_point, low), high)

    return cell


def clamp(node: Node, args: list[np.ndarray]) -> Callable[[Index], Any]:
    """One output of clamp."""
    attrs: Any = node.attrs
    kind, out = node.src[0].type, node.type

    def cell(at: Index) -> Any:
        value = args[0][at].item()
        if out.dtype.is_float:
            return min(max(value, attrs.bounds[0]), attrs.bounds[1])
        ratio = kind.scale / out.scale
        if attrs.bounds != RELU:  # TensorFlow Lite divides the scales in float32
            ratio = float(np.float32(kind.scale) / np.float32(out.scale))
        return finish(rescale(value - kind.zero_point, ratio), attrs.bounds, out)

    return cell


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


# Integers must be equal where `steps` is 0; functions of real arguments may be one step off, and
# in 16 bits, where tables are interpolated, that many times more.
WIDE = {"logistic": 3, "tanh": 6, "softmax": 128}
NAIVE: dict[str, tuple[Callable[[Node, list[np.ndarray]], Callable[[Index], Any]], int]] = {
    "conv2d": (conv2d, 0),
    "depthwise_conv2d": (conv2d, 0),
    "fully_connected": (fully_connected, 0),
    "max_pool2d": (pool, 0),
    "average_pool2d": (pool, 0),
    "mean": (mean, 1),
    "clamp": (clamp, 0),
    "add": (elementwise, 0),
    "sub": (elementwise, 0),
    "mul": (elementwise, 0),
    "quantize": (quantize, 0),
    "dequantize": (quantize, 0),
    "requantize": (quantize, 0),
    "logistic": (unary(sigmoid), 1),
    "tanh": (unary(math.tanh), 1),
    "softmax": (softmax, 1),
}
CASES = [
    (name, dtype)
    for name in NAIVE
    for dtype in (DType.F32, DType.S8, DType.S16, DType.S32, DType.U8)
    if (name, dtype) in (*GRID, ("clamp", DType.S8), ("clamp", DType.S16))
    and not (dtype is DType.S16 and name in ("conv2d", "depthwise_conv2d", "fully_connected"))
]


@pytest.mark.parametrize(("name", "dtype"), CASES, ids=str)
def test_reference_equals_plain_loops(name: str, dtype: DType) -> None:
    """Twenty random graphs an operator, up to forty outputs each."""
    make, steps = NAIVE[name]
    for seed in range(20):
        graph = single_op(name, dtype, seed)
        node = graph.outputs[0]
        values = run_all(graph, random_inputs(graph, seed))
        cell = make(node, [values[s] for s in node.src])
        all_indices = list(indices(node.type.shape))
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(all_indices), min(40, len(all_indices)), replace=False)
        for at in (all_indices[i] for i in chosen):
            have, wanted = values[node][at].item(), cell(at)
            if node.type.dtype.is_float:
                assert have == pytest.approx(wanted, rel=1e-4, abs=1e-4), (graph.name, at)
            else:
                wide = WIDE.get(name, 1) if node.type.dtype is DType.S16 else 1
                assert abs(have - wanted) <= steps * wide, (graph.name, at)


def test_input_of_wrong_shape_type_or_count_is_refused() -> None:
    """The message names the input, what was given and what is wanted."""
    x = graph_input((1, 4), DType.F32, "x")
    graph = Graph((x,), (Node(Op.TANH, (x,), Unary(), "t"),), name="net")
    good = np.zeros((1, 4), np.float32)
    assert run(graph, [good])[0].tolist() == [[0.0] * 4]
    with pytest.raises(BadData, match=r"input x: float32\[4\] given; f32\[1,4\] wanted"):
        run(graph, [good[0]])
    with pytest.raises(BadData, match=r"input x: float64\[1, 4\] given; f32\[1,4\] wanted"):
        run(graph, [good.astype(np.float64)])
    with pytest.raises(BadData, match="net: 2 inputs given; 1 wanted"):
        run(graph, [good, good])


def test_quantize_takes_what_has_no_integer() -> None:
    """Infinities saturate, NaN becomes the zero point."""
    graph = single_op("quantize", DType.S8, 0)
    node = graph.outputs[0]
    values = np.zeros(node.type.shape, np.float32)
    for bad, wanted in ((np.inf, 127), (-np.inf, -128), (np.nan, node.type.zero_point)):
        values[...] = bad
        assert set(run(graph, [values])[0].ravel().tolist()) == {wanted}
