"""The s8 graph keeps the rules of the TFLite int8 specification and the float graph's values."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compress.accuracy import predict
from milliwatt.compress.choose import affine
from milliwatt.compress.quantize import quantize
from milliwatt.compress.report import layer_report
from milliwatt.compress.weights import quantize_bias, quantize_weight
from milliwatt.errors import InvalidGraph, MilliwattWarning
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import (
    RELU,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Pad,
    Pool2d,
    Softmax,
    Unary,
)
from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.activation import PROBABILITY, SIGNED_UNIT
from milliwatt.ir.ops.conv import multipliers
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify
from support.oracle import Tflm
from support.quantize_nets import dense, samples, small_cnn
from support.random_graphs import random_graph

SAME = (Op.MAX_POOL2D, Op.AVERAGE_POOL2D, Op.RESHAPE, Op.TRANSPOSE, Op.PAD, Op.CONCAT)
FIXED = {Op.SOFTMAX: PROBABILITY, Op.LOGISTIC: PROBABILITY, Op.TANH: SIGNED_UNIT}


def random_data(graph: Graph, count: int = 8) -> tuple[np.ndarray, ...]:
    """Standard normal samples for every input."""
    rng = np.random.default_rng(1)
    shapes = [(count, *node.type.shape[1:]) for node in graph.inputs]
    return tuple(rng.standard_normal(shape).astype(np.float32) for shape in shapes)


def check_rules(graph: Graph) -> None:
    """Every rule of the specification that can be read off the graph."""
    verify(graph)
    for node in graph.nodes():
        kind = node.type
        if kind.dtype is DType.S8 and kind.quant.axis is None and not node.is_constant:
            assert -128 <= kind.zero_point <= 127
            low, high = ((q - kind.zero_point) * kind.scale for q in (-128, 127))
            assert low <= 0 <= high
        if node.op in SAME:
            assert all(s.type.quant == kind.quant for s in node.src)
        if node.op in FIXED:
            assert kind.quant == FIXED[node.op]
        if node.op in WEIGHT_AXIS:
            x, weight, *bias = node.src
            axis = WEIGHT_AXIS[node.op]
            assert weight.type.quant.axis == axis
            assert not any(weight.type.quant.zero_point)
            assert weight.value.min() >= -127
            shifts = multipliers(x.type, weight.type, kind)[1]
            assert shifts.min() > -17
            if bias:
                products = np.float64(x.type.scale) * weight.type.quant.scales
                assert bias[0].value.dtype == np.int32
                np.testing.assert_allclose(bias[0].type.quant.scales, products, rtol=1e-6)


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed) -> None:
    """Any float graph: legal, by the rules, all s8, and every value close to the float one."""
    graph = random_graph(seed, DType.F32)
    data = random_data(graph)
    quantized = quantize(graph, data)
    check_rules(quantized)
    assert {n.type.dtype for n in quantized.nodes()} <= {DType.S8, DType.S32}
    rows = layer_report(graph, quantized, data)
    assert min(row.sqnr_db for row in rows) > 15
    assert np.median([row.sqnr_db for row in rows]) > 30


@pytest.mark.parametrize("calibration", ["min-max", "percentile", "mse"])
def test_well_behaved_net(calibration) -> None:
    """Every layer of a normal CNN stays above 30 dB and the class stays the same."""
    graph = small_cnn()
    data = samples(graph, 48)
    quantized = quantize(graph, data, calibration=calibration)
    check_rules(quantized)
    assert min(row.sqnr_db for row in layer_report(graph, quantized, data)) > 30
    wanted, got = (predict(g, (data,))[0].argmax(axis=1) for g in (graph, quantized))
    assert np.mean(wanted == got) > 0.95


def test_oracle_runs_the_quantized_graph() -> None:
    """TensorFlow Lite Micro accepts the quantized net and gives the same bytes as our reference."""
    graph = small_cnn()
    quantized = quantize(graph, samples(graph, 16))
    tflm = Tflm(write_tflite(quantized))
    scale = quantized.outputs[0].type.scale
    for row in samples(graph, 8, seed=5):
        x = quantized.inputs[0].type
        raw = np.clip(np.round(row / x.scale) + x.zero_point, -128, 127).astype(np.int8)[None]
        real = ((raw.astype(np.float32) - x.zero_point) * x.scale).astype(np.float32)
        ours = predict(quantized, (real,))[0]
        theirs = (tflm.run([raw]).astype(np.int64) + 128) * scale
        np.testing.assert_array_equal(ours, theirs.astype(np.float32))


def test_float_edges() -> None:
    """io="f32" keeps the types of the float graph; the values equal those of the s8 edges."""
    graph = small_cnn()
    data = samples(graph, 8)
    s8, f32 = quantize(graph, data), quantize(graph, data, io="f32")
    check_rules(f32)
    assert [n.type for n in (*f32.inputs, *f32.outputs)] == [
        n.type for n in (*graph.inputs, *graph.outputs)
    ]
    np.testing.assert_array_equal(predict(s8, (data,))[0], predict(f32, (data,))[0])
    assert [n.type.dtype for n in (*s8.inputs, *s8.outputs)] == [DType.S8, DType.S8]


def test_affine() -> None:
    """0 is always inside and exact; the ends are held to half a step."""
    assert affine(0, 6).zero_point == (-128,)
    assert affine(-6, 0).zero_point == (127,)
    assert affine(2, 6) == affine(0, 6)
    assert affine(-1, 1).scale[0] == pytest.approx(2 / 255)
    for low, high in ((-3.7, 9.1), (-0.001, 1000), (-1e30, 1e-3), (-5, -1)):
        quant = affine(low, high)
        ends = [(q - quant.zero_point[0]) * quant.scale[0] for q in (-128, 127)]
        assert ends[0] <= min(low, 0) + quant.scale[0] / 2
        assert ends[1] >= max(high, 0) - quant.scale[0] * 0.51


def test_affine_of_nothing() -> None:
    """A value that was always 0 gets a small positive scale, and so does a denormal range."""
    assert affine(0, 0).scale[0] > 0
    assert affine(0, 1e-44).scale[0] > 1e-20


def test_weight_rows() -> None:
    """Row maxima land on 127; zero rows and dead rows keep a scale that fits their bias."""
    weight = np.array([[1, -2], [0, 0], [1e-30, 0]], np.float32)
    bias = np.array([0.5, 3.0, -4.0], np.float32)
    values, quant = quantize_weight(weight, 0, 0.01, 0.05, bias)
    assert values.tolist() == [[64, -127], [0, 0], [0, 0]]
    integers, bias_quant = quantize_bias(bias, 0.01, quant)
    np.testing.assert_allclose(integers * bias_quant.scales, bias, rtol=1e-4)
    reals = 0.01 * quant.scales / 0.05
    assert reals.min() >= 2.0**-16 * (1 - 1e-6)


def fc(weight, bias, clamp=(-np.inf, np.inf)) -> Graph:
    """One fully connected layer."""
    weight, bias = np.array(weight, np.float32), np.array(bias, np.float32)
    x = graph_input((1, weight.shape[1]), DType.F32, "x")
    src = (x, constant(weight, "w"), constant(bias, "b"))
    return Graph((x,), (Node(Op.FULLY_CONNECTED, src, FullyConnected(clamp), "y"),))


HARD = {
    "all weights zero": (fc([[0, 0], [0, 0]], [1, -2]), 1),
    "weight and bias zero": (fc([[0, 0]], [0]), 1),
    "one zero channel": (fc([[0, 0], [1, 2]], [0.3, 0]), 1),
    "dead channel with large bias": (fc([[1e-20, 0], [1, 1]], [0.7, 0]), 1),
    "bias far beyond the products": (fc([[1e-6, 1e-6]], [1000]), 1),
    "never active relu": (fc([[1, 1]], [-1e4], RELU), 1),
    "huge values": (fc([[1e10, -1e10]], [1e12]), 1e8),
    "tiny values": (fc([[1e-5, -1e-5]], [1e-14]), 1e-8),
    "tiny input, large weight": (fc([[1e9, 1e9]], [5]), 1e-9),
    "zero input": (fc([[1, 1]], [0.25]), 0),
    "channels of very different size": (fc([[1e4, 0], [1e-3, 1e-3]], [0, 5]), 1),
}


@pytest.mark.filterwarnings("ignore:model. input x is constant")
@pytest.mark.parametrize(("graph", "size"), HARD.values(), ids=HARD)
def test_hard_ranges(graph, size) -> None:
    """Zero, dead, huge and tiny: every output within 1 % of the largest, never wrapped."""
    rng = np.random.default_rng(0)
    data = (size * rng.uniform(-1, 1, (64, 2))).astype(np.float32)
    quantized = quantize(graph, data)
    check_rules(quantized)
    wanted, got = (predict(g, (data,))[0] for g in (graph, quantized))
    assert np.abs(got - wanted).max() <= 0.01 * np.abs(wanted).max() + 1e-5 * (not wanted.any())


def test_concat_of_fixed_results() -> None:
    """Two logistic results join as they are; a tanh beside a free value is requantized."""
    x = graph_input((1, 4), DType.F32, "x")
    logistic = [Node(Op.LOGISTIC, (x,), Unary(), name) for name in "ab"]
    tanh = Node(Op.TANH, (x,), Unary(), "c")
    graph = Graph(
        (x,),
        (
            Node(Op.CONCAT, tuple(logistic), Concat(1), "same"),
            Node(Op.CONCAT, (tanh, x, logistic[0]), Concat(1), "mixed"),
        ),
    )
    data = samples(graph, 20)
    quantized = quantize(graph, data)
    check_rules(quantized)
    same, mixed = quantized.outputs
    assert same.type.quant == PROBABILITY
    assert [s.op for s in same.src] == [Op.LOGISTIC] * 2
    assert [s.op for s in mixed.src] == [Op.REQUANTIZE, Op.INPUT, Op.REQUANTIZE]
    for wanted, got in zip(predict(graph, (data,)), predict(quantized, (data,)), strict=True):
        assert np.abs(wanted - got).max() < 0.03


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH], ids=str)
@pytest.mark.parametrize("size", [1, 500, 3000, 1e6])
def test_saturating_operators_on_wide_inputs(op, size) -> None:
    """Whatever the range of the input, 0 gives the middle and the ends the limits."""
    x = graph_input((1, 3), DType.F32, "x")
    graph = Graph((x,), (Node(op, (x,), Unary(), "y"),))
    data = np.array([[-size, 0, size]] * 2, np.float32)
    quantized = quantize(graph, data)
    check_rules(quantized)
    error = np.abs(predict(quantized, (data,))[0] - predict(graph, (data,))[0])
    assert error.max() <= 0.012


def test_concat_takes_the_union() -> None:
    """Operands of ranges 1 and 10 share a range of 10."""
    x = graph_input((1, 2), DType.F32, "x")
    wide = dense(np.eye(2) * 10, x, "wide", clamp=(-np.inf, np.inf))
    graph = Graph((x,), (Node(Op.CONCAT, (x, wide), Concat(1), "y"),))
    quantized = quantize(graph, np.array([[1, -1], [0.5, 1]], np.float32))
    assert quantized.inputs[0].type.scale == pytest.approx(20 / 255)


def test_minus_infinity_padding() -> None:
    """The border of a max pool becomes -128 and leaves the range alone."""
    x = graph_input((1, 4, 4, 1), DType.F32, "x")
    padded = Node(Op.PAD, (x,), Pad(((0, 0), (1, 1), (1, 1), (0, 0)), float("-inf")), "pad")
    graph = Graph((x,), (Node(Op.MAX_POOL2D, (padded,), Pool2d((3, 3), (2, 2)), "y"),))
    data = samples(graph, 8) - 5
    quantized = quantize(graph, data)
    check_rules(quantized)
    pad = next(n for n in quantized.nodes() if n.op is Op.PAD)
    assert pad.attrs.value == -128
    assert np.abs(predict(quantized, (data,))[0] - predict(graph, (data,))[0]).max() < 0.05


def test_shared_weight_is_stored_once_where_it_can_be() -> None:
    """Two layers of one input and output range share the s8 weight; names stay unique."""
    x = graph_input((1, 2), DType.F32, "x")
    weight, bias = (
        constant(np.eye(2, dtype=np.float32), "w"),
        constant(np.zeros(2, np.float32), "b"),
    )
    first = Node(Op.FULLY_CONNECTED, (x, weight, bias), FullyConnected(), "first")
    second = Node(Op.FULLY_CONNECTED, (first, weight, bias), FullyConnected(RELU), "second")
    graph = Graph((x,), (Node(Op.ADD, (first, second), Elementwise(), "y"),))
    quantized = quantize(graph, samples(graph, 8))
    check_rules(quantized)
    assert len([n for n in quantized.nodes() if n.is_constant and n.type.dtype is DType.S8]) == 1


def test_run_time_weight_stays_float() -> None:
    """A product of two activations has no s8 form; it is said."""
    x = graph_input((1, 2), DType.F32, "x")
    weight = Node(Op.TANH, (x,), Unary(), "t")
    graph = Graph((x,), (Node(Op.FULLY_CONNECTED, (x, weight), FullyConnected(), "y"),))
    with pytest.warns(MilliwattWarning, match=r"no s8 form, left in f32: y \(fully_connected\)"):
        quantized = quantize(graph, samples(graph, 20))
    assert [n.op for n in quantized.outputs[0].src[0].src[0].src] == [Op.INPUT]


def test_nan_weight_is_named() -> None:
    """A weight that holds NaN is an invalid graph, not a bad sample."""
    with pytest.raises(InvalidGraph, match=r"w \(constant\): holds NaN"):
        quantize(fc([[np.nan, 1]], [0]), np.ones((3, 2), np.float32))


def test_quantized_graph_is_refused() -> None:
    """Quantizing twice is a mistake."""
    graph = small_cnn()
    once = quantize(graph, samples(graph, 4))
    with pytest.raises(InvalidGraph, match=r"x \(input\): s8\[1,8,8,3\] is quantized already"):
        quantize(once, samples(graph, 4))


def test_integer_graph_is_refused() -> None:
    """Integer activations without quantization are no float graph."""
    x = graph_input((1, 2), DType.S32, "x")
    graph = Graph((x,), (x,))
    with pytest.raises(InvalidGraph, match=r"x \(input\): s32\[1,2\]; f32 wanted"):
        quantize(graph, np.ones((3, 2), np.float32))


def test_unused_attrs_survive() -> None:
    """Stride, dilation, clamp and beta are the float graph's."""
    x = graph_input((1, 9, 9, 2), DType.F32, "x")
    weight = constant(np.ones((4, 3, 3, 2), np.float32), "w")
    attrs = Conv2d((2, 1), (1, 0, 1, 0), (1, 2), RELU)
    conv = Node(Op.CONV2D, (x, weight), attrs, "conv")
    graph = Graph((x,), (Node(Op.SOFTMAX, (conv,), Softmax(0.5), "y"),))
    quantized = quantize(graph, samples(graph, 4))
    got = next(n for n in quantized.nodes() if n.op is Op.CONV2D).attrs
    assert (got.stride, got.padding, got.dilation, got.clamp) == (
        attrs.stride,
        attrs.padding,
        attrs.dilation,
        RELU,
    )
    assert isinstance(got.quant, Quant)
    assert quantized.outputs[0].attrs == Softmax(0.5)
