"""Observers: exact ranges, bounded memory, and clipping that beats min-max on outliers."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compress.calibrate import BINS, MeanSquare, Method, MinMax, Percentile, calibrate
from milliwatt.compress.choose import affine
from milliwatt.errors import BadData
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import dequantize_array, quantize_array
from milliwatt.ir.types import DType, Type
from support.quantize_nets import samples, small_cnn


def quantization_error(values: np.ndarray, low: float, high: float) -> float:
    """Mean square error of `values` through s8 of the given range, by the reference operators."""
    kind = Type(values.shape, DType.S8, affine(low, high))
    return float(np.square(dequantize_array(quantize_array(values, kind), kind) - values).mean())


def feed(observer, values: np.ndarray, batches: int = 7):
    """Observe in batches."""
    for part in np.array_split(values, batches):
        observer.observe(part)
    return observer.range()


def heavy_tailed(count: int = 20000) -> np.ndarray:
    """Standard normal with four outliers at +-60."""
    values = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    values[:4] = [60, -60, 55, -58]
    return np.random.default_rng(1).permutation(values)


def test_min_max_is_exact() -> None:
    """The extremes, to the bit."""
    values = heavy_tailed()
    assert feed(MinMax(), values) == (values.min(), values.max())


@pytest.mark.parametrize("percentile", [99.0, 99.9])
def test_percentile_matches_numpy(percentile) -> None:
    """Within three bins of the exact percentiles."""
    values = heavy_tailed()
    observer = Percentile(percentile)
    low, high = feed(observer, values)
    width = 2 * observer.radius / BINS
    assert low == pytest.approx(np.percentile(values, 100 - percentile), abs=3 * width)
    assert high == pytest.approx(np.percentile(values, percentile), abs=3 * width)


def test_percentile_100_is_min_max() -> None:
    """Nothing is cut."""
    values = heavy_tailed()
    assert feed(Percentile(100.0), values) == (values.min(), values.max())


def test_percentile_counts_zeros() -> None:
    """With 99.95 % zeros the rest lies beyond the 99.9th percentile, but within the 99.99th."""
    values = np.zeros(10000, np.float32)
    values[:5] = [1, 2, 3, 4, 5]
    assert feed(Percentile(99.9), values)[1] < 0.01
    assert feed(Percentile(99.99), values)[1] == pytest.approx(5, abs=1.01)


def test_percentile_beats_min_max_on_outliers() -> None:
    """A few wild values no longer set the step: the error of all others falls fiftyfold."""
    values = heavy_tailed()
    bulk = values[np.abs(values) < 10]
    clipped = quantization_error(bulk, *feed(Percentile(99.95), values))
    assert clipped < quantization_error(bulk, *feed(MinMax(), values)) / 50


def test_mse_beats_min_max_on_a_rare_outlier() -> None:
    """One wild value in a million is clipped: the error over all values, that one too, halves."""
    values = np.random.default_rng(3).standard_normal(1_000_000).astype(np.float32)
    values[0] = 30
    low, high = feed(MeanSquare(), values)
    chosen = quantization_error(values, low, high)
    assert high < 15
    assert chosen < 0.5 * quantization_error(values, *feed(MinMax(), values))
    best = min(quantization_error(values, low, end) for end in np.linspace(3, 30, 28))
    assert chosen < 1.05 * best


def test_mse_keeps_rare_large_values_that_matter() -> None:
    """Values that are mostly tiny gain nothing from clipping: the error of min-max is kept."""
    values = (np.random.default_rng(3).standard_normal(30000) ** 5).astype(np.float32)
    chosen = quantization_error(values, *feed(MeanSquare(), values))
    assert chosen <= 1.02 * quantization_error(values, *feed(MinMax(), values))


def test_mse_keeps_a_uniform_range_whole() -> None:
    """Where nothing is an outlier nothing is cut."""
    values = np.random.default_rng(0).uniform(-1, 3, 20000).astype(np.float32)
    assert feed(MeanSquare(), values) == pytest.approx((-1, 3), rel=0.02)


@pytest.mark.parametrize("make", [MinMax, MeanSquare, lambda: Percentile(99.9)])
def test_ranges_do_not_depend_on_batches(make) -> None:
    """One batch or many, small values first or last."""
    values = heavy_tailed()
    ordered = values[np.argsort(np.abs(values))]
    wanted = feed(make(), values, 1)
    assert feed(make(), ordered, 50) == wanted
    assert feed(make(), ordered[::-1], 50) == wanted


def test_histogram_memory_is_bounded() -> None:
    """BINS counters over thirty orders of magnitude, no value lost."""
    observer = MeanSquare()
    for exponent in range(-15, 16):
        observer.observe(np.full(10, 10.0**exponent))
    assert observer.counts.size == BINS
    assert observer.counts.sum() == 310


def test_all_zero() -> None:
    """A value that is always 0 has the range (0, 0)."""
    for observer in (MinMax(), MeanSquare(), Percentile(99.9)):
        assert feed(observer, np.zeros(50, np.float32)) == (0, 0)


def test_methods() -> None:
    """The spellings that users write."""
    assert Method.parse("percentile") == Method("percentile", 99.99)
    assert Method.parse("percentile:99.5") == Method("percentile", 99.5)
    assert Method.parse("mse").name == "mse"


@pytest.mark.parametrize(
    "text", ["kl", "", "mse:3", "percentile:x", "percentile:10", "percentile:nan"]
)
def test_unknown_method(text) -> None:
    """One line that lists what goes."""
    with pytest.raises(BadData, match=f'calibration is "{text}"; .* wanted'):
        Method.parse(text)


def test_calibrate_streams_a_generator() -> None:
    """A generator and the whole array give the same ranges."""
    graph = small_cnn()
    x = samples(graph, 9)
    whole = calibrate(graph, x, Method("min-max"))[DType.S16]
    streamed = calibrate(graph, (row for row in x), Method("min-max"))[DType.S16]
    assert whole.keys() == streamed.keys()
    for name, limits in whole.items():
        assert streamed[name] == pytest.approx(limits, rel=1e-5)
    assert whole["x"] == (x.min(), x.max())
    assert whole["first"][0] == 0.0


def test_overflow_names_node_and_sample() -> None:
    """Activations next to the end of float32 on a sample: which value and which sample."""
    x = graph_input((1, 2), DType.F32, "x")
    huge = constant(np.float32(1e30), "huge")
    graph = Graph((x,), (Node(Op.MUL, (x, huge), Elementwise(), "y"),))
    data = np.array([[0, 1], [1, 0], [0, 5]], np.float32)
    with pytest.raises(BadData, match="y: .* on sample 2"):
        calibrate(graph, data, Method("min-max"))
