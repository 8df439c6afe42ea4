"""Products and ratios of scales are taken in double precision, as the oracle's build does.

TFLite Micro's source writes `static_cast<double>(a * b)` with float32 operands for the per-tensor
fully_connected, ReLU and mul. The compiled wheel evaluates the operation in double. The two differ
in the last bit of the multiplier, which shows only where a result lies within 2**-24 of a half: one
byte of 64,000 in the MLPerf Tiny anomaly model. The cases below are searched for exactly there.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import RELU, ClampAttrs, Elementwise, FullyConnected
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from support.oracle import Tflm

Rng = np.random.Generator
CASES = 20


def rounded(value: int, real: float) -> int:
    """value * real in TFLite's integer steps."""
    return int(fx.multiply_by_quantized_multiplier(np.array(value), *fx.quantize_multiplier(real)))


def some_scale(rng: Rng, low: float, high: float) -> float:
    """A float32 scale."""
    return float(np.float32(rng.uniform(low, high)))


def half(rng: Rng) -> tuple[int, float]:
    """(value, ratio) whose product is an odd number of halves below 100."""
    value = int(rng.integers(20, 255))
    return value, (2 * int(rng.integers(1, 100)) + 1) / (2 * value)


def pair(name: str, scale: float, zero_point: int) -> Node:
    """A one-element input."""
    return graph_input((1, 1), DType.S8, name, Quant.per_tensor(scale, zero_point))


def relu(rng: Rng) -> tuple[Graph, list[int]] | None:
    """ReLU with another result scale."""
    value, ratio = half(rng)
    a = some_scale(rng, 0.01, 1)
    out = float(np.float32(a / ratio))
    if rounded(value, float(np.float32(a) / np.float32(out))) == rounded(value, a / out):
        return None
    x = pair("x", a, -128)
    node = Node(Op.CLAMP, (x,), ClampAttrs(RELU, Quant.per_tensor(out, -100)), "y")
    return Graph((x,), (node,)), [value - 128]


def mul(rng: Rng) -> tuple[Graph, list[int]] | None:
    """mul by one step of the second operand."""
    value, ratio = half(rng)
    a, b = some_scale(rng, 0.01, 1), some_scale(rng, 0.01, 1)
    out = float(np.float32(a * b / ratio))
    if rounded(value, float(np.float32(a) * np.float32(b)) / out) == rounded(value, a * b / out):
        return None
    x, z = pair("x", a, -128), pair("z", b, 0)
    node = Node(Op.MUL, (x, z), Elementwise(quant=Quant.per_tensor(out, -100)), "y")
    return Graph((x, z), (node,)), [value - 128, 1]


def fully_connected(rng: Rng) -> tuple[Graph, list[int]] | None:
    """A sum that is all bias."""
    a, b = some_scale(rng, 0.01, 0.05), some_scale(rng, 0.005, 0.02)
    single = float(np.float32(a) * np.float32(b))
    out = float(np.float32(a * b * rng.uniform(30_000, 60_000)))
    biases = np.arange(-3_000_000, 3_000_000)
    each = [
        fx.multiply_by_quantized_multiplier(biases, *fx.quantize_multiplier(s / out))
        for s in (single, a * b)
    ]
    chosen = biases[each[0] != each[1]][:32].astype(np.int32)
    if not len(chosen):
        return None
    x = pair("x", a, 0)
    weight = constant(np.ones((len(chosen), 1), np.int8), "w", Quant.per_tensor(b))
    bias = constant(chosen, "b", Quant.per_tensor(single))
    attrs = FullyConnected(quant=Quant.per_tensor(out))
    return Graph((x,), (Node(Op.FULLY_CONNECTED, (x, weight, bias), attrs, "y"),)), [0]


@pytest.mark.parametrize(("draw", "cases"), [(relu, CASES), (mul, CASES), (fully_connected, 3)])
def test_reference_equals_the_oracle_where_precision_shows(
    draw: Callable[[Rng], tuple[Graph, list[int]] | None], cases: int
) -> None:
    """Only graphs in which float32 and float64 products give different bytes."""
    rng = np.random.default_rng(9)
    found = 0
    while found < cases:
        drawn = draw(rng)
        if drawn is None:
            continue
        found += 1
        graph, values = drawn
        inputs = [np.array([[v]], np.int8) for v in values]
        wanted = Tflm(write_tflite(graph)).run(inputs)
        np.testing.assert_array_equal(run(graph, inputs)[0], wanted)
