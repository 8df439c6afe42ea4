"""Graphs that keep states: calibrated over sequences, quantized with their states, equal in C."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compress.accuracy import predict
from milliwatt.compress.quantize import quantize, quantize_with_report
from milliwatt.compress.report import layer_report
from milliwatt.compress.stream import stream
from milliwatt.errors import BadData
from milliwatt.ir.attrs import Concat, Conv2d, Elementwise, Reshape, Unary
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.quantize_nets import assert_same_everywhere, dense

LINEAR = (-np.inf, np.inf)
INPUTS, UNITS = 5, 6


def gated_cell() -> Graph:
    """A minimal gated unit: h = (1 - f) * h + f * tanh(W x + U (f * h)); logits of 3 classes."""
    rng = np.random.default_rng(2)
    x = graph_input((1, INPUTS), DType.F32, "x")
    held = state(np.full((1, UNITS), 0.1, np.float32), "h")
    joined = Node(Op.CONCAT, (x, held), Concat(1), "joined")
    gate = dense(rng.standard_normal((UNITS, INPUTS + UNITS)) / 2, joined, "gate_sum", LINEAR)
    f = Node(Op.LOGISTIC, (gate,), Unary(), "f")
    kept = Node(Op.MUL, (f, held), Elementwise(), "kept")
    again = Node(Op.CONCAT, (x, kept), Concat(1), "again")
    fresh = dense(rng.standard_normal((UNITS, INPUTS + UNITS)) / 2, again, "fresh_sum", LINEAR)
    new = Node(Op.TANH, (fresh,), Unary(), "fresh")
    rest = Node(Op.SUB, (constant(np.float32(1), "one"), f), Elementwise(), "rest")
    first = Node(Op.MUL, (rest, held), Elementwise(), "old_part")
    second = Node(Op.MUL, (f, new), Elementwise(), "new_part")
    after = Node(Op.ADD, (first, second), Elementwise(), "after")
    logits = dense(rng.standard_normal((3, UNITS)), after, "logits", LINEAR)
    return Graph((x,), (logits,), ((held, after),), name="gated")


def tanh_cell() -> Graph:
    """h = tanh(W [x, h]): the state has tanh's fixed quantization."""
    rng = np.random.default_rng(4)
    x = graph_input((1, INPUTS), DType.F32, "x")
    held = state(np.zeros((1, UNITS), np.float32), "h")
    joined = Node(Op.CONCAT, (x, held), Concat(1), "joined")
    total = dense(rng.standard_normal((UNITS, INPUTS + UNITS)) / 2, joined, "sum", LINEAR)
    after = Node(Op.TANH, (total,), Unary(), "after")
    return Graph((x,), (after,), ((held, after),), name="elman")


def sequences(count: int, frames: int, seed: int = 0, width: int = INPUTS) -> np.ndarray:
    """f32 [count, frames, width]: noise that wanders, so that states matter."""
    rng = np.random.default_rng(seed)
    drift = np.cumsum(rng.standard_normal((count, frames, width)), axis=1) / 4
    return (drift + 0.3 * rng.standard_normal(drift.shape)).astype(np.float32)


CELLS = {"gated": gated_cell, "elman": tanh_cell}
# Of states and outputs: the last frames carry the noise of thirty.
LEAST_DB = {"int8": 28, "int16": 38}


@pytest.mark.parametrize("activations", ["int8", "int16"])
@pytest.mark.parametrize("name", CELLS)
def test_cells(name, activations) -> None:
    """Integer states, close to float over whole sequences, the same bytes in C and TFLM."""
    graph = CELLS[name]()
    data = sequences(24, 30)
    quantized = quantize(graph, data, activations=activations)
    assert not any(n.type.dtype.is_float for n in quantized.nodes())
    for held, new in quantized.updates:
        assert held.type == new.type
        real = (held.attrs.value.astype(np.float64) - held.type.zero_point) * held.type.scale
        np.testing.assert_allclose(real, graph.updates[0][0].attrs.value, atol=held.type.scale / 2)
    rows = {row.name: row for row in layer_report(graph, quantized, sequences(4, 30, seed=9))}
    kept = [rows[node.name].sqnr_db for node in (*graph.outputs, *graph.updates[0])]
    assert min(kept) > LEAST_DB[activations]
    assert_same_everywhere(quantized, [sequences(1, 12, seed=7)[0]], oracle="tflm")


def test_a_fixed_next_value_fixes_the_state() -> None:
    """No conversion between tanh and the state; where the first value does not fit there is one."""
    graph = tanh_cell()
    quantized = quantize(graph, sequences(8, 10))
    ((held, new),) = quantized.updates
    assert new.op is Op.TANH
    assert held.type.quant == new.type.quant
    far = state(np.full((1, UNITS), 3, np.float32), "h")
    moved = graph.rewrite(lambda n: far if n.op is Op.STATE else None)
    ((held, new),) = quantize(moved, sequences(8, 10)).updates
    assert (new.op, new.src[0].op) == (Op.REQUANTIZE, Op.TANH)
    assert held.type.scale * (127 - held.type.zero_point) >= 3 - held.type.scale


def window_net() -> Graph:
    """Two convolutions over time, ReLU and a linear layer, for streams of 4 bands."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 12, 4, 1), DType.F32, "frames")
    value = x
    for index, channels in enumerate((6, 5)):
        shape = (channels, 3, value.type.shape[2], value.type.shape[3])
        weight = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        src = (
            value,
            constant(weight.astype(np.float32), f"w{index}"),
            constant(0.1 * rng.standard_normal(channels).astype(np.float32), f"b{index}"),
        )
        attrs = Conv2d(dilation=(index + 1, 1), clamp=(0.0, np.inf))
        value = Node(Op.CONV2D, src, attrs, f"conv{index}")
    flat = Node(Op.RESHAPE, (value,), Reshape((1, value.type.size)), "flat")
    head = dense(rng.standard_normal((3, value.type.size)) / 4, flat, "head", LINEAR)
    return Graph((x,), (head,), name="window")


@pytest.mark.parametrize("activations", ["int8", "int16"])
def test_streaming_convolutions(activations) -> None:
    """A stream quantized over sequences of frames: ring buffers in integers, the same in C."""
    graph = stream(window_net())
    data = sequences(16, 40, width=4).reshape(16, 40, 1, 4, 1)
    quantized = quantize(graph, data, activations=activations)
    assert len(quantized.updates) >= 2
    assert not any(n.type.dtype.is_float for n in quantized.nodes())
    assert not any(n.op is Op.REQUANTIZE for n in quantized.nodes())
    rows = layer_report(graph, quantized, data[:4])
    assert min(row.sqnr_db for row in rows) > (30 if activations == "int8" else 38)
    assert_same_everywhere(quantized, [data[3, :20]])


def test_streamed_then_quantized_is_quantized_then_streamed() -> None:
    """One sequence as long as the window: both ways round see the same values."""
    window = window_net()
    data = sequences(32, 12, width=4).reshape(32, 12, 4, 1)
    first = stream(quantize(window, data))
    ready = predict(first, (data.reshape(32, 12, 1, 4, 1),))[0].reshape(32, 12, 3)[:, -1]
    np.testing.assert_array_equal(ready, predict(quantize(window, data), (data,))[0])


def counter() -> Graph:
    """x times what is kept of it: a state of two axes without a batch, moved by slices."""
    x = graph_input((3,), DType.F32, "x")
    held = state(np.zeros(6, np.float32), "ring")
    joined = Node(Op.CONCAT, (held, x), Concat(0), "joined")
    new = Node(Op.STRIDED_SLICE, (joined,), StridedSlice((3,), (6,), (1,)), "new")
    first = Node(Op.STRIDED_SLICE, (joined,), StridedSlice((0,), (3,), (1,)), "first")
    return Graph((x,), (Node(Op.MUL, (x, first), Elementwise(), "y"),), ((held, new),), "counter")


def test_states_without_a_batch_axis() -> None:
    """One sequence at a time; a ring and what goes in share one scale."""
    graph = counter()
    data = sequences(5, 8, width=3)
    quantized = quantize(graph, data)
    ((held, new),) = quantized.updates
    assert held.type.quant == quantized.inputs[0].type.quant == new.type.quant
    wanted, got = (predict(g, (data,))[0] for g in (graph, quantized))
    assert wanted.shape == (40, 3)
    assert np.abs(wanted - got).max() < 0.02 * np.abs(wanted).max()
    assert_same_everywhere(quantized, [data[0]], boards=("host",))


def test_sequences_as_they_come() -> None:
    """An array of sequences, one long one, a generator of several lengths: the same ranges."""
    graph = gated_cell()
    data = sequences(3, 10)
    whole = quantize(graph, data)
    for other in (
        (row for row in data),
        [data[:2], data[2]],
        data[:, :, None],
        (row[:, None] for row in data),
    ):
        again = quantize(graph, other)
        assert [n.type for n in again.nodes()] == [n.type for n in whole.nodes()]
    one = quantize(graph, sequences(1, 20)[0])
    assert len(one.updates) == 1
    uneven = quantize(graph, [data[0], data[1, :4]])
    assert len(uneven.updates) == 1


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (np.zeros((2, 4, 7), np.float32), {}, r"shape \[2, 4, 7\] given; \[1, 5\] wanted, a frame"),
        (np.zeros(5, np.float32), {}, r"shape \[5\] given; .* sequences \[N, frames, ...\]"),
        (np.zeros((2, 0, 5), np.float32), {}, "holds no samples"),
        ([np.ones((4, 5)), np.ones((3, 5))], {"max_drop": 0.1}, "sequences of 3 to 4 frames"),
        (np.ones((2, 4, 5)), {"labels": np.zeros(2, int)}, r"integers \[8\] wanted, .* a frame"),
    ],
)
def test_bad_sequences(data, options, message) -> None:
    with pytest.raises(BadData, match=message):
        quantize(gated_cell(), data, **options)


def test_accuracy_of_frames() -> None:
    """Every frame is a decision; a limit promotes layers here too."""
    graph = gated_cell()
    data = sequences(16, 20)
    wanted = predict(graph, (data,))[0].argmax(axis=1).reshape(16, 20)
    quantized, report = quantize_with_report(graph, data, labels=wanted, max_drop=0.004)
    assert report.float_score == 1.0
    assert report.score >= 0.996
    assert report.integer_score < 0.996
    assert report.promoted
    assert_same_everywhere(quantized, [data[0, :6]], boards=("host",), tolerance=1e-5)
