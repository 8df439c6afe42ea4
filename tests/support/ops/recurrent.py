"""Draws of the family `recurrent`: layers with the states that they keep."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.attrs import NO_CLAMP, Attrs, Elementwise
from milliwatt.ir.attrs.recurrent import Lstm, Scan, Svdf
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.lstm import GATES, lstm_parts
from milliwatt.ir.types import DType, Quant
from support.ops.core import Draw, Rng, size, some_clamp, some_quant


def _zeros(shape: tuple[int, ...], dtype: DType, name: str, quant: Quant | None) -> Node:
    point = quant.zero_point[0] if quant else 0
    return state(np.full(shape, point, dtype.numpy), name, quant)


def _weights(
    rng: Rng, shape: tuple[int, ...], dtype: DType, name: str, scale: float | None = None
) -> Node:
    if dtype.is_float:
        values = rng.standard_normal(shape) / np.sqrt(shape[-1])
        return constant(values.astype(np.float32), name)
    low, high = dtype.limits
    quant = Quant.per_tensor(scale or 2.0 ** rng.uniform(-9, -5))
    return constant(rng.integers(low + 1, high + 1, shape).astype(dtype.numpy), name, quant)


def _bias(rng: Rng, units: int, dtype: DType, name: str, scale: float) -> Node:
    if dtype.is_float:
        return constant(rng.standard_normal(units).astype(np.float32), name)
    reach = int(rng.choice([0, 1 << 8, 1 << 15]))
    values = rng.integers(-reach, reach + 1, units).astype(dtype.numpy)
    return constant(values, name, Quant.per_tensor(scale))


def _svdf(rng: Rng, dtype: DType, held: DType) -> Graph:
    """Any number of filters a unit; state scales over many octaves, so that some saturate."""
    batch, inputs, units = size(rng, 1, 3), size(rng, 1, 17), size(rng, 1, 6)
    rank, steps = size(rng, 1, 3), size(rng, 1, 9)
    filters, real = units * rank, dtype.is_float
    x = graph_input((batch, inputs), dtype, "x", some_quant(rng, dtype, 0.05))
    features = _weights(rng, (filters, inputs), dtype, "features")
    kept = None
    if not real:
        points = 1 if held is DType.S16 else size(rng, -128, 127)
        natural = 0.05 * features.type.scale * 127 * 74 * np.sqrt(inputs)
        scale = natural / held.limits[1] * 2.0 ** rng.uniform(-2, 3)
        kept = Quant.per_tensor(scale, points if held is DType.S8 else 0)
    old = _zeros((batch, filters * steps), held, "state", kept)
    new = Node(Op.SVDF_STATE, (x, features, old), Attrs(), "new")
    # TFLM wants the bias within 1e-5 of state times weights, whatever their sizes.
    weights = _weights(rng, (filters, steps), held, "weights")
    product = 1.0 if real else old.type.scale * weights.type.scale
    bias = _bias(rng, units, DType.F32 if real else DType.S32, "bias", product)
    quant, clamp = None, some_clamp(rng)
    if not real:
        reach = held.limits[1] ** 2 / 3 * np.sqrt(rank * steps)
        quant, clamp = (
            some_quant(rng, DType.S8, product * reach / 128 * 2 ** rng.uniform(-2, 2)),
            NO_CLAMP,
        )
    y = Node(Op.SVDF, (new, weights, bias), Svdf(rank, clamp, quant), "y")
    return Graph((x,), (y,), ((old, new),))


def draw_svdf(rng: Rng, dtype: DType) -> Graph:
    """f32, or s8 with a state of 16 or 8 bits."""
    if dtype.is_float:
        return _svdf(rng, dtype, dtype)
    return _svdf(rng, dtype, DType.S16 if rng.random() < 0.6 else DType.S8)


def draw_lstm(rng: Rng, dtype: DType) -> Graph:
    """Either order of axes, with a bound of the cell or without."""
    batch, steps = size(rng, 1, 3), size(rng, 1, 5)
    inputs, units = size(rng, 1, 9), size(rng, 1, 8)
    first, real = bool(rng.random() < 0.5), dtype.is_float
    shape = (steps, batch, inputs) if first else (batch, steps, inputs)
    weight = DType.F32 if real else DType.S8
    wide = {DType.F32: DType.F32, DType.S8: DType.S32, DType.S16: DType.S64}[dtype]
    fine = 1.0 if dtype is DType.S8 else 1 / 256
    x = graph_input(shape, dtype, "x", some_quant(rng, dtype, 2.0 ** rng.uniform(-7, -4) * fine))
    shown = some_quant(rng, dtype, 2.0 ** rng.uniform(-8, -6) * fine)
    hidden = _zeros((batch, units), dtype, "hidden", shown)
    power = None if real else Quant.per_tensor(2.0 ** size(rng, -15, -9))
    cell = _zeros((batch, units), DType.F32 if real else DType.S16, "cell", power)
    given = [_weights(rng, (units, inputs), weight, f"w_{gate}") for gate in GATES]
    recurrent = [_weights(rng, (units, units), weight, f"r_{gate}") for gate in GATES]
    biases = [
        _bias(rng, units, wide, f"b_{gate}", 1.0 if real else x.type.scale * w.type.scale)
        for gate, w in zip(GATES, given, strict=True)
    ]
    clip = float(rng.choice([0.0, 0.0, 0.5, 3.0]))
    attrs = Lstm(first, clip, shown)
    src = (x, *given, *recurrent, *biases, hidden, cell)
    node = Node(Op.LSTM, src, attrs, "lstm")
    types = lstm_parts(attrs, [s.type for s in src])
    y, new_hidden, new_cell = parts(node, types, ["y", "y.hidden", "y.cell"])
    return Graph((x,), (y,), ((hidden, new_hidden), (cell, new_cell)))


def draw_scan(rng: Rng, dtype: DType) -> Graph:
    """A leaky sum of a sequence with a capture, a second sequence, a result or none."""
    batch, steps, width = size(rng, 1, 3), size(rng, 1, 5), size(rng, 1, 7)
    quant = None if dtype.is_float else Quant.per_tensor(2.0 ** rng.uniform(-6, -4), 3)
    pair = bool(rng.random() < 0.5)

    def given(name: str, *shape: int) -> Node:
        return graph_input(shape, dtype, name, quant)

    def add(a: Node, b: Node, name: str) -> Node:
        return Node(Op.ADD, (a, b), Elementwise(some_clamp(rng), quant), name)

    one = [given(name, batch, 1, width) for name in ("x", "z")[: 1 + pair]]
    held, capture = given("held", batch, 1, width), given("capture", width)
    new = add(add(one[0], held, "sum"), capture, "new")
    result = add(new, one[1], "result") if pair else add(new, new, "result")
    inputs = (*one, held, capture)
    body = Graph(inputs, (result, new) if rng.random() < 0.8 else (new, new), name="body")
    sequences = [given(name, batch, steps, width) for name in ("x", "z")[: 1 + pair]]
    old = _zeros((batch, 1, width), dtype, "old", quant)
    carried = bool(rng.random() < 0.7)
    start = old if carried else given("start", batch, 1, width)
    more = given("more", width)
    attrs = Scan(body, steps, len(sequences), 1)
    node = Node(Op.SCAN, (*sequences, start, more), attrs, "scan")
    y, last = parts(node, attrs.results, ["y", "last"])
    if carried:
        return Graph((*sequences, more), (y,), ((old, last),))
    return Graph((*sequences, start, more), (y, last))


OPERATORS: dict[str, Draw] = {"svdf": draw_svdf, "lstm": draw_lstm, "scan": draw_scan}
# (operator, element type of its activations): what is compared with TensorFlow Lite Micro.
GRID: list[tuple[str, DType]] = [
    ("svdf", DType.F32),
    ("svdf", DType.S8),
    ("lstm", DType.F32),
    ("lstm", DType.S8),
    ("lstm", DType.S16),
    ("scan", DType.F32),
    ("scan", DType.S8),
]
