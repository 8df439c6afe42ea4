"""Accuracy on real digits, and accuracy control that finds the layer to blame."""

from __future__ import annotations

import json

import numpy as np
import pytest

from milliwatt.compress.accuracy import predict
from milliwatt.compress.quantize import quantize, quantize_with_report
from milliwatt.errors import BadData, MilliwattError, MilliwattWarning
from milliwatt.ir.graph import Graph, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.quantize_nets import assert_same_everywhere, dense, digits, samples, small_cnn

LINEAR = (-np.inf, np.inf)


@pytest.mark.parametrize("calibration", ["min-max", "percentile:99.9", "mse"])
def test_digits_keep_their_accuracy(calibration) -> None:
    """Within 1 % of float on held-out digits, calibrated on 100 training digits."""
    graph, train, images, labels = digits()
    quantized = quantize(graph, train[:100], calibration=calibration)
    exact, got = (
        np.mean(predict(g, (images,))[0].argmax(axis=1) == labels) for g in (graph, quantized)
    )
    assert exact > 0.93
    assert got >= exact - 0.01


def test_scores_are_measured() -> None:
    """Labels given, no limit: scores in the report, every layer in s8."""
    graph, _, images, labels = digits()
    quantized, report = quantize_with_report(graph, images[:200], labels=labels[:200])
    exact = np.mean(predict(graph, (images[:200],))[0].argmax(axis=1) == labels[:200])
    assert report.metric == "top-1 accuracy"
    assert (report.samples, report.kept, report.costs) == (200, (), ())
    assert report.float_score == pytest.approx(exact)
    assert report.score == report.integer_score
    assert all(not n.type.dtype.is_float for n in quantized.nodes())


def dead_pixel_net() -> tuple[Graph, np.ndarray]:
    """Three layers; in `middle` a weight of 3000 on a unit that is always 0 drowns the others.

    `first` passes 8 features on, feature 0 dead. Every row of `middle` has the large weight, so
    that its s8 form rounds the rest to 0 and only f32 keeps the class.
    """
    rng = np.random.default_rng(3)
    keep = np.eye(8)
    keep[0] = 0
    x = graph_input((1, 8), DType.F32, "x")
    first = dense(keep, x, "first")
    mixing = rng.standard_normal((8, 8))
    mixing[:, 0] = 3000
    middle = dense(mixing, first, "middle")
    last = dense(rng.standard_normal((4, 8)), middle, "last", clamp=LINEAR)
    graph = Graph((x,), (last,), name="dead_pixel")
    return graph, rng.uniform(0, 1, (200, 8)).astype(np.float32)


def test_the_layer_to_blame_stays_float() -> None:
    """Exactly `middle` is left in f32, is listed first, and the limit holds."""
    graph, data = dead_pixel_net()
    quantized, report = quantize_with_report(graph, data, max_drop=0.1)
    assert report.metric == "agreement with the float model"
    assert report.float_score == 1.0
    assert report.integer_score < 0.6
    assert report.kept == ("middle",)
    rows = [(row.name, row.dtype, row.reason) for row in report.promoted]
    assert rows == [("middle", "f32", "weights")]
    assert report.score >= 0.9
    assert report.costs[0].name == "middle"
    assert report.costs[0].drop > 0.3
    assert {row.name for row in report.costs} == {"first", "middle", "last"}
    assert max(row.drop for row in report.costs[1:]) < 0.1
    verify(quantized)
    floats = [
        n.name for n in quantized.nodes() if n.type.dtype.is_float and n.op in (Op.FULLY_CONNECTED,)
    ]
    assert floats == ["middle"]
    names = {n.name: n.op for n in quantized.nodes()}
    assert names["first.dequantize"] is Op.DEQUANTIZE
    assert names["middle.quantize"] is Op.QUANTIZE
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_wide_activation_needs_the_layers_on_both_sides() -> None:
    """A value that s8 cannot hold is kept out of s8 by its producer and its reader in s16."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 6), DType.F32, "x")
    spread = np.eye(6) + 0.1 * rng.standard_normal((6, 6))
    spread[0] *= 500
    narrow = rng.standard_normal((4, 6))
    narrow[:, 0] = 0
    wide = dense(spread, dense(np.eye(6), x, "first"), "wide")
    head = dense(narrow, wide, "head", clamp=LINEAR)
    last = dense(np.eye(4), head, "last", clamp=LINEAR)
    graph = Graph((x,), (last,), name="wide")
    data = rng.uniform(0, 1, (200, 6)).astype(np.float32)
    quantized, report = quantize_with_report(graph, data, max_drop=0.05)
    assert report.kept == ()
    rows = [(row.name, row.dtype, row.reason) for row in report.promoted]
    assert rows == [("wide", "s16", "activations"), ("head", "s16", "activations")]
    assert [row.mac_bytes for row in report.promoted] == [36, 24]
    assert [row.flash_bytes for row in report.promoted] == [6 * 4, 4 * 4]
    assert report.score >= 0.95 > report.integer_score
    kinds = {n.name: n.type.dtype for n in quantized.nodes()}
    assert [kinds[name] for name in ("first", "wide", "head", "last")] == [
        DType.S8,
        DType.S16,
        DType.S16,
        DType.S8,
    ]
    conversions = {n.name for n in quantized.nodes() if n.op is Op.REQUANTIZE}
    assert conversions == {"first.requantize", "head.requantize"}
    assert_same_everywhere(quantized, [data[:5]], oracle="tflm")


def test_one_promoted_layer_keeps_a_wide_input() -> None:
    """Small differences on an input with large values: lost in s8, kept by one layer in s16."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 6), DType.F32, "x")
    narrow = rng.standard_normal((8, 6))
    narrow[:, 0] = 0
    first = dense(narrow, x, "first")
    last = dense(rng.standard_normal((4, 8)), first, "last", clamp=LINEAR)
    graph = Graph((x,), (last,), name="wide_input")
    data = rng.uniform(0, 1, (300, 6)).astype(np.float32)
    data[:, 0] *= 300
    quantized, report = quantize_with_report(graph, data, max_drop=0.02, io="f32")
    assert report.integer_score < 0.8
    assert report.score >= 0.98
    assert [(row.name, row.dtype) for row in report.promoted] == [("first", "s16")]
    row = report.promoted[0]
    assert (row.reason, row.mac_bytes, row.flash_bytes) == ("activations", 48, 32)
    assert row.drop > 0.1
    assert_same_everywhere(quantized, [data[:5]], oracle="tflm")


def test_from_int16_there_is_only_float() -> None:
    """A layer that 8-bit weights spoil goes from s16 to f32."""
    graph, data = dead_pixel_net()
    quantized, report = quantize_with_report(graph, data, activations="int16", max_drop=0.1)
    assert [(row.name, row.dtype, row.reason) for row in report.promoted] == [
        ("middle", "f32", "weights")
    ]
    assert report.promoted[0].flash_bytes == 3 * 64 - 4 * 8
    assert report.promoted[0].mac_bytes == 64 * 2
    assert report.kept == ("middle",)
    kinds = {str(n.type.dtype) for n in quantized.nodes() if n.op is Op.FULLY_CONNECTED}
    assert kinds == {"s16", "f32"}


def test_no_search_where_s8_is_good_enough() -> None:
    """Within the limit from the start: nothing is kept, nothing is ranked."""
    graph, _, images, labels = digits()
    _, report = quantize_with_report(graph, images[:100], labels=labels[:100], max_drop=0.05)
    assert (report.kept, report.costs) == ((), ())


def test_limit_out_of_reach() -> None:
    """Classes closer together than the s8 input can tell: the best reached is said."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 2), DType.F32, "x")
    graph = Graph((x,), (dense(np.array([[1, 0], [0, 1.0]]), x, "fc", clamp=LINEAR),), name="tie")
    near = 100 + 1e-3 * rng.standard_normal((50, 2))
    with pytest.raises(MilliwattError, match=r"tie: score drops by 0\.\d+ at best .* 0\.01 wanted"):
        quantize(graph, near.astype(np.float32), max_drop=0.01)


def test_own_score() -> None:
    """A score of the caller's: higher is better, here minus the mean error."""
    graph = small_cnn()
    data = samples(graph, 16)
    wanted = predict(graph, (data,))[0]

    def score(outputs: np.ndarray) -> float:
        return -float(np.abs(outputs - wanted).mean())

    _, report = quantize_with_report(graph, data, score=score)
    assert report.metric == "score"
    assert report.float_score == 0.0
    assert -0.02 < report.score < 0


OPTIONS = {
    "labels too short": (
        {"labels": np.zeros(3, int)},
        r"labels are int64\[3\]; integers \[8\] wanted",
    ),
    "labels not integers": ({"labels": np.zeros(8)}, r"labels are float64\[8\]"),
    "labels out of range": ({"labels": np.full(8, 7)}, "labels run from 7 to 7; 0 to 4 wanted"),
    "both": ({"labels": np.zeros(8, int), "score": np.mean}, "both labels and score"),
    "score is nan": ({"score": lambda y: float("nan")}, "score returned nan"),
    "negative limit": ({"max_drop": -0.1}, "max_drop is -0.1"),
    "limit of everything": ({"max_drop": 1}, "max_drop is 1; .* below 1 wanted: 0.01 is 1 %"),
    "limit in percent": ({"max_drop": "1%"}, "max_drop is '1%'; .* 0.01 is 1 %"),
    "limit is a flag": ({"max_drop": True}, "max_drop is True"),
    "limit of a score": (
        {"max_drop": -2, "score": lambda y: 1.0},
        "max_drop is -2; a finite number of 0 or more wanted, in units of the score",
    ),
    "score is nothing": ({"score": lambda y: None}, r"score returned None \(NoneType\)"),
    "score is text": ({"score": lambda y: "0.5"}, r"score returned 0.5 \(str\)"),
    "score is a row": ({"score": lambda y: y[0]}, r"score returned \[.* \(ndarray\)"),
    "limit is nan": ({"max_drop": float("nan")}, "max_drop is nan"),
    "unknown edges": ({"io": "u8"}, 'io is "u8"'),
    "unknown calibration": ({"calibration": "kl"}, 'calibration is "kl"'),
}


@pytest.mark.parametrize(("options", "message"), OPTIONS.values(), ids=OPTIONS)
def test_bad_options(options, message) -> None:
    """One line each."""
    graph = small_cnn()
    with pytest.raises(BadData, match=message) as caught:
        quantize(graph, samples(graph, 8), **options)
    assert "\n" not in str(caught.value)


def test_a_score_has_its_own_units() -> None:
    """A limit of 5 points of a score that counts in points."""
    graph = small_cnn()
    data = samples(graph, 8)
    _, report = quantize_with_report(
        graph, data, score=lambda y: np.float32(100 - 0 * y.sum()), max_drop=5
    )
    assert (report.score, report.kept) == (100.0, ())


@pytest.mark.parametrize("options", [{}, {"max_drop": 0.5}, {"labels": np.zeros(8, int)}])
@pytest.mark.parametrize("calibration", ["min-max", "percentile", "mse"])
def test_samples_beyond_float32(options, calibration) -> None:
    """Values that overflow on the way are refused, without a warning from NumPy."""
    graph = small_cnn()
    huge = np.full((8, 8, 8, 3), 3e38, np.float32)
    huge[0] = -3e38
    with pytest.raises(BadData, match="check the weights and the scale of the input"):
        quantize(graph, huge, calibration=calibration, **options)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((6, 8, 8, 3)), "input x is constant on all 6 samples: ranges will be useless"),
        (
            lambda: (np.full((1, 8, 8, 3), 7.0) for _ in range(3)),
            "input x is constant on all 3 samples",
        ),
        (np.eye(8)[None, :, :, None] * np.ones(3), "1 calibration sample given; 50 to 200"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"max_drop": 0.99}])
def test_samples_that_say_little(data, message, options) -> None:
    with pytest.warns(MilliwattWarning, match=f"^small: {message}") as caught:
        quantize(small_cnn(), data() if callable(data) else data, **options)
    assert len(caught) == 1


def test_regression_needs_a_score() -> None:
    """One output value a sample is no class."""
    x = graph_input((1, 2), DType.F32, "x")
    graph = Graph((x,), (dense(np.ones((1, 2)), x, "fc"),))
    with pytest.raises(BadData, match="pass score="):
        quantize(graph, np.ones((4, 2), np.float32), max_drop=0.1)
