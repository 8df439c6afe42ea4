"""16x8: s16 activations, s8 weights, s64 biases, by TensorFlow Lite's specification."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compress.accuracy import predict
from milliwatt.compress.choose import symmetric
from milliwatt.compress.quantize import quantize
from milliwatt.compress.report import layer_report
from milliwatt.compress.rules import WEIGHTED
from milliwatt.errors import BadData
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.attrs import RELU, FullyConnected, Softmax, Unary
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.activation import SIGNED_UNIT_S16
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.quantize_nets import assert_same_everywhere, samples, small_cnn
from support.random_graphs import random_graph
from support.shared import FLOAT_MODELS, mlperf, shared


def check_rules(graph: Graph) -> None:
    """Every rule of 16x8 that can be read off the graph."""
    verify(graph)
    for node in graph.nodes():
        kind = node.type
        if kind.dtype is DType.S16:
            assert kind.quant is not None
            assert (kind.quant.axis, kind.zero_point) == (None, 0)
        if node.op in (Op.SOFTMAX, Op.LOGISTIC, Op.TANH):
            assert kind.quant == SIGNED_UNIT_S16
        if node.op in WEIGHTED:
            x, weight, *bias = node.src
            assert (x.type.dtype, weight.type.dtype) == (DType.S16, DType.S8)
            assert not any(weight.type.quant.zero_point)
            for b in bias:
                products = np.float64(x.type.scale) * weight.type.quant.scales
                assert b.type.dtype is DType.S64
                np.testing.assert_allclose(b.type.quant.scales, products, rtol=1e-6)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs(seed) -> None:
    """Any float graph: by the rules, without f32, every value as close as s8 weights allow."""
    graph = random_graph(seed, DType.F32)
    rng = np.random.default_rng(1)
    data = tuple(
        rng.standard_normal((8, *node.type.shape[1:])).astype(np.float32) for node in graph.inputs
    )
    quantized = quantize(graph, data, activations="int16")
    check_rules(quantized)
    assert {n.type.dtype for n in quantized.nodes()} <= {DType.S8, DType.S16, DType.S64}
    assert min(row.sqnr_db for row in layer_report(graph, quantized, data)) > 28


def test_same_bytes_everywhere() -> None:
    """Reference, C on the host and a Cortex-M4, and TensorFlow Lite Micro."""
    graph = small_cnn()
    quantized = quantize(graph, samples(graph, 32), activations="int16")
    assert [n.type.dtype for n in (*quantized.inputs, *quantized.outputs)] == [DType.S16] * 2
    assert_same_everywhere(quantized, [samples(graph, 6, seed=5)], oracle="tflm")


@pytest.mark.parametrize(("io", "dtype"), [("f32", DType.F32), ("s8", DType.S8)])
def test_other_edges(io, dtype) -> None:
    """Inputs and outputs of another type; f32 ones give what the s16 ones do."""
    graph = small_cnn()
    data = samples(graph, 16)
    s16, other = (quantize(graph, data, activations="int16", io=edge) for edge in (None, io))
    check_rules(other)
    assert [n.type.dtype for n in (*other.inputs, *other.outputs)] == [dtype] * 2
    got, wanted = predict(other, (data,))[0], predict(s16, (data,))[0]
    if io == "f32":
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_allclose(got, wanted, atol=0.02)
    assert_same_everywhere(other, [data[:2]], boards=("host",), oracle="tflm")


def test_closer_than_int8() -> None:
    """Less than half of s8's noise on a network whose weights are 8 bits in both."""
    graph = small_cnn()
    data = samples(graph, 48)
    noise = []
    for activations in ("int8", "int16"):
        quantized = quantize(graph, data, activations=activations)
        noise.append(min(row.sqnr_db for row in layer_report(graph, quantized, data)))
    assert noise[1] > noise[0] + 4


def test_symmetric() -> None:
    """The larger end sets the step."""
    assert symmetric(-1, 3) == symmetric(-3, 0)
    assert symmetric(0, 32767).scale == (1.0,)
    assert symmetric(0, 0).scale[0] > 0
    assert symmetric(0, 1, least=1.0).scale == (1.0,)


def dense(weight, bias, clamp=(-np.inf, np.inf)) -> Graph:
    """One fully connected layer."""
    weight, bias = np.array(weight, np.float32), np.array(bias, np.float32)
    x = graph_input((1, weight.shape[1]), DType.F32, "x")
    src = (x, constant(weight, "w"), constant(bias, "b"))
    return Graph((x,), (Node(Op.FULLY_CONNECTED, src, FullyConnected(clamp), "y"),))


HARD = {
    "all weights zero": (dense([[0, 0], [0, 0]], [1, -2]), 1),
    "dead channel with large bias": (dense([[1e-20, 0], [1, 1]], [0.7, 0]), 1),
    "bias far beyond the products": (dense([[1e-6, 1e-6]], [1000]), 1),
    "never active relu": (dense([[1, 1]], [-1e4], RELU), 1),
    "huge values": (dense([[1e10, -1e10]], [1e12]), 1e8),
    "tiny values": (dense([[1e-5, -1e-5]], [1e-14]), 1e-8),
    "channels of very different size": (dense([[1e4, 0], [1e-3, 1e-3]], [0, 5]), 1),
}


@pytest.mark.parametrize(("graph", "size"), HARD.values(), ids=HARD)
def test_hard_ranges(graph, size) -> None:
    """Zero, dead, huge and tiny: within 1 % of the largest, in C too."""
    data = (size * np.random.default_rng(0).uniform(-1, 1, (64, 2))).astype(np.float32)
    quantized = quantize(graph, data, activations="int16")
    check_rules(quantized)
    wanted, got = (predict(g, (data,))[0] for g in (graph, quantized))
    assert np.abs(got - wanted).max() <= 0.01 * np.abs(wanted).max() + 1e-5 * (not wanted.any())
    assert_same_everywhere(quantized, [data[:5]], boards=("host",), oracle="tflm")


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH], ids=str)
@pytest.mark.parametrize("size", [1, 500, 3000, 1e6])
def test_saturating_operators_on_wide_inputs(op, size) -> None:
    """0 gives the middle, the ends the limits; inputs wider than the tables are read in +-8."""
    x = graph_input((1, 3), DType.F32, "x")
    graph = Graph((x,), (Node(op, (x,), Unary(), "y"),))
    data = np.array([[-size, 0, size]] * 2, np.float32)
    quantized = quantize(graph, data, activations="int16")
    check_rules(quantized)
    error = np.abs(predict(quantized, (data,))[0] - predict(graph, (data,))[0])
    assert error.max() <= 0.001
    assert_same_everywhere(quantized, [data[:1]], boards=("host",), oracle="tflm")


def test_softmax_alone() -> None:
    """A thousandth off at most."""
    x = graph_input((1, 7), DType.F32, "x")
    graph = Graph((x,), (Node(Op.SOFTMAX, (x,), Softmax(2.0), "y"),))
    data = 3 * samples(graph, 40)
    quantized = quantize(graph, data, activations="int16")
    assert np.abs(predict(quantized, (data,))[0] - predict(graph, (data,))[0]).max() < 1e-3


OPTIONS = {
    "activations": ({"activations": "int4"}, 'activations is "int4"; "int8" or "int16" wanted'),
    "weights": ({"weights": "int4"}, 'weights is "int4"; "int8" or "float16" wanted'),
    "edges": ({"io": "u8"}, 'io is "u8"; "s8" or "s16" or "f32" wanted'),
    "both": (
        {"weights": "float16", "activations": "int16"},
        'weights are "float16": activations, inputs and outputs are f32',
    ),
    "no samples": ({"data": None}, "no samples given; f32 samples wanted as data"),
}


@pytest.mark.parametrize(("options", "message"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options(options, message) -> None:
    graph = small_cnn()
    with pytest.raises(BadData, match=message):
        quantize(graph, **{"data": samples(graph, 4)} | options)


def test_keyword_model_on_real_utterances() -> None:
    """MLPerf's float keyword model: the classes of float more often than int8 finds them."""
    graph = read_tflite(mlperf(FLOAT_MODELS["kws"]))
    stored = np.load(shared("data/mlperf_kws01/mlperf_kws01.npz"))
    x = (stored["x"].astype(np.float32) - 83) * np.float32(0.5847029)
    wanted = predict(graph, (x[100:300],))[0].argmax(axis=1)
    agreed = []
    for activations in ("int8", "int16"):
        quantized = quantize(graph, x[:100], activations=activations)
        found = predict(quantized, (x[100:300],))[0].argmax(axis=1)
        agreed.append(np.mean(found == wanted))
    assert agreed[1] >= agreed[0]
    assert agreed[1] > 0.98
    assert_same_everywhere(quantized, [x[:3]], oracle="tflm")
