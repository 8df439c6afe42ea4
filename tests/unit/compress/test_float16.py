"""Float16: constants in binary16, half the flash, the outputs of float within its rounding."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compiler.program import compile_graph
from milliwatt.compress.accuracy import predict
from milliwatt.compress.quantize import quantize, quantize_with_report
from milliwatt.compress.report import layer_report
from milliwatt.errors import BadData
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.quantize_nets import assert_same_everywhere, digits, samples, small_cnn
from support.shared import FLOAT_MODELS, mlperf


def test_every_constant_is_f16_behind_a_dequantize() -> None:
    """As TensorFlow Lite's float16 quantization has it; inputs and outputs stay f32."""
    quantized = quantize(small_cnn(), weights="float16")
    constants = [n for n in quantized.nodes() if n.is_constant]
    assert len(constants) == 8
    assert {n.type.dtype for n in constants} == {DType.F16}
    users = quantized.users()
    assert all([u.op for u in users[n]] == [Op.DEQUANTIZE] for n in constants)
    assert [n.type for n in (*quantized.inputs, *quantized.outputs)] == [
        n.type for n in (*small_cnn().inputs, *small_cnn().outputs)
    ]
    again = read_tflite(write_tflite(quantized))
    assert [n.type for n in again.nodes() if n.is_constant] == [n.type for n in constants]


def test_same_everywhere() -> None:
    """Reference, C on the host and a Cortex-M4, LiteRT; TFLM has no DEQUANTIZE of f16."""
    graph = small_cnn()
    data = samples(graph, 6)
    quantized = quantize(graph, weights="float16")
    assert_same_everywhere(quantized, [data], oracle="litert", tolerance=1e-5)
    error = np.abs(predict(quantized, (data,))[0] - predict(graph, (data,))[0])
    assert 0 < error.max() < 2e-3


def test_flash_and_file_are_half() -> None:
    """Constants of the MLPerf image classifier in flash, and its file."""
    path = mlperf(FLOAT_MODELS["ic"])
    graph = read_tflite(path)
    quantized = quantize(graph, weights="float16")
    weights = 4 * sum(n.type.size for n in graph.nodes() if n.is_constant)
    exact, half = (compile_graph(g).weight_bytes for g in (graph, quantized))
    assert exact > 0.95 * weights
    assert half < 0.52 * exact
    assert len(write_tflite(quantized)) < 0.55 * len(path.read_bytes())


def test_scores_and_rows() -> None:
    """Accuracy within a limit, and the noise of weights of 11 bits, by layer."""
    graph, _, images, labels = digits()
    quantized, report = quantize_with_report(
        graph, images[:200], weights="float16", labels=labels[:200], max_drop=0.01
    )
    assert report.score >= report.float_score - 0.01
    assert (report.metric, report.samples) == ("top-1 accuracy", 200)
    rows = layer_report(graph, quantized, images[:50])
    assert [row.weight_bits for row in rows if row.op == "conv2d"] == [16, 16]
    assert all(65 < row.weight_sqnr_db < 90 for row in rows if row.op == "conv2d")
    assert min(row.sqnr_db for row in rows) > 60


def test_a_limit_that_f16_does_not_hold() -> None:
    """Large offsets round away what the class hangs on: refused with the loss."""
    x = graph_input((1, 2), DType.F32, "x")
    offsets = constant(np.array([1000.2, 1000], np.float32), "offsets")
    graph = Graph((x,), (Node(Op.ADD, (x, offsets), Elementwise(), "y"),), name="near")
    data = np.random.default_rng(0).uniform(0, 0.4, (100, 2)).astype(np.float32)
    with pytest.raises(BadData, match=r"near: score drops by 0\.\d+ with f16 weights; .* 0\.01"):
        quantize(graph, data, weights="float16", max_drop=0.01)


def test_a_constant_too_large() -> None:
    """Beyond 65504 there is no f16."""
    x = graph_input((1, 1), DType.F32, "x")
    graph = Graph((x,), (Node(Op.MUL, (x, constant(np.float32([7e4]), "c")), Elementwise(), "y"),))
    with pytest.raises(BadData, match=r"c \(constant\): holds 70000; at most 65504 wanted for f16"):
        quantize(graph, weights="float16")
