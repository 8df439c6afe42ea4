"""The table of per-layer errors, and accuracy of the float MLPerf keyword model once quantized."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from milliwatt.compress.accuracy import predict
from milliwatt.compress.quantize import quantize
from milliwatt.compress.report import layer_report
from milliwatt.errors import BadData, InvalidGraph
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.graph import Graph, graph_input
from milliwatt.ir.types import DType
from support.quantize_nets import dense, digits, samples, small_cnn
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf, shared


def test_rows_of_a_small_net() -> None:
    """One row a value in order, ranges as observed, weights of 8 bits above 40 dB."""
    graph = small_cnn()
    data = samples(graph, 32)
    rows = layer_report(graph, quantize(graph, data), data)
    names = ["x", "first", "depth", "added", "side", "joined", "pooled", "mean", "head", "prob"]
    assert [row.name for row in rows] == names
    first = rows[1]
    assert (first.op, first.dtype, first.weight_bits) == ("conv2d", "s8", 8)
    assert first.weight_sqnr_db > 40
    assert (first.low, first.float_low) == (0.0, 0.0)
    assert first.high == pytest.approx(first.float_high, rel=0.01)
    assert rows[0].weight_bits is None
    assert rows[0].float_high == data.max()
    assert all(row.clipped_percent == 0 for row in rows[:-1])


def test_sqnr_by_hand() -> None:
    """The input row's ratio and clipping follow from the definition."""
    x = graph_input((1, 2), DType.F32, "x")
    graph = Graph((x,), (dense(np.eye(2), x, "y"),))
    quantized = quantize(graph, np.array([[0.0, 2.55]] * 2, np.float32))
    row = layer_report(graph, quantized, np.array([[1.004, 3.55]], np.float32))[0]
    wanted = 10 * math.log10((1.004**2 + 3.55**2) / (0.004**2 + 1.0**2))
    assert row.sqnr_db == pytest.approx(wanted, abs=0.01)
    assert row.clipped_percent == 50


def test_folded_layers_are_compared_after_folding() -> None:
    """conv0's row is the value behind its batch norm and ReLU."""
    graph, train, images, _ = digits()
    rows = layer_report(graph, quantize(graph, train[:100]), images[:100])
    assert [row.name for row in rows] == ["x", "conv0", "conv1", "pool", "flat", "head"]
    assert min(row.sqnr_db for row in rows) > 30
    assert rows[1].float_low == 0


def test_clipping_is_reported() -> None:
    """Data far beyond the calibration range is clipped, in per cent."""
    graph = small_cnn()
    data = samples(graph, 16)
    rows = layer_report(graph, quantize(graph, data), 3 * data)
    assert 1 < rows[0].clipped_percent < 60
    assert rows[0].sqnr_db < 20


def test_plain_values() -> None:
    """Rows go into JSON: no infinities, no numpy numbers."""
    graph = small_cnn()
    data = samples(graph, 4)
    exact = layer_report(graph, graph, data)
    assert math.isinf(exact[0].sqnr_db)
    rows = [row.to_dict() for row in (*exact, *layer_report(graph, quantize(graph, data), data))]
    assert rows[0]["sqnr_db"] is None
    assert "sqnr_db" in json.loads(json.dumps(rows, allow_nan=False))[-1]


def test_graphs_that_do_not_belong_together() -> None:
    """Other inputs, or no name in common."""
    graph = small_cnn()
    other, train, _, _ = digits()
    with pytest.raises(InvalidGraph, match="inputs .* wanted"):
        layer_report(graph, quantize(other, train[:4]), samples(graph, 4))
    x = graph_input((1, 2), DType.F32, "x")
    left, right = (Graph((x,), (dense(np.eye(2), x, name),)) for name in "ab")
    with pytest.raises(InvalidGraph, match="no node shares its name"):
        layer_report(left, right, np.ones((1, 2), np.float32))


def test_bad_samples() -> None:
    """The same checks as for calibration."""
    graph = small_cnn()
    with pytest.raises(BadData, match="sample 0, input x: NaN"):
        layer_report(graph, graph, np.full((2, 8, 8, 3), np.nan, np.float32))


def test_keyword_model_on_real_utterances() -> None:
    """MLPerf's float keyword model, quantized here: at most 1 % below their own int8 file."""
    graph = read_tflite(mlperf(FLOAT_MODELS["kws"]))
    official = read_tflite(mlperf(INT8_MODELS["kws"]))
    stored = np.load(shared("data/mlperf_kws01/mlperf_kws01.npz"))
    x = (stored["x"].astype(np.float32) - 83) * np.float32(0.5847029)
    quantized = quantize(graph, x[:100])
    accuracy = [
        np.mean(predict(g, (x[100:300],))[0].argmax(axis=1) == stored["y"][100:300])
        for g in (quantized, official)
    ]
    assert accuracy[1] > 0.85
    assert accuracy[0] >= accuracy[1] - 0.01
