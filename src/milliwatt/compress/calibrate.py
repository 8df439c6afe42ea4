"""Observe the float graph on samples and choose the real range of every value.

Memory is bounded whatever the number of samples: an observer keeps two numbers or one histogram.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from milliwatt.compress.choose import LEAST_SCALE, Range, nodes_inside, split_outputs
from milliwatt.compress.progress import track
from milliwatt.compress.rules import RULES, S8, S16, Follows, is_plain
from milliwatt.compress.samples import Data, batches, runs
from milliwatt.errors import BadData, MilliwattWarning
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.batch import batch_size
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run_all
from milliwatt.ir.types import DType

BINS = 8192
DEFAULT_PERCENTILE = 99.99
# Clipping candidates of the MSE search, as fractions of the largest magnitude: 2**0 to 2**-12.
FRACTIONS = 2.0 ** (-np.arange(97) / 8)
STEPS = {S8: 255, S16: 65535}
# Sums of products of what is larger leave float32, where an activation may hide that.
_MOST = np.float32(2.0**100)


class MinMax:
    """Smallest and largest value seen."""

    def __init__(self) -> None:
        self.low, self.high = np.inf, -np.inf

    def observe(self, values: np.ndarray) -> None:
        """Take in one batch of values of any shape."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))

    def range(self, dtype: DType = S8) -> Range:
        """(smallest, largest), what values of `dtype` are to hold."""
        return self.low, self.high


class Histogram(MinMax):
    """Counts of values in BINS bins over [-radius, radius]; the radius doubles to fit.

    Exact zeros are counted apart: they are representable whatever the range, and ReLU makes many.
    """

    def __init__(self) -> None:
        super().__init__()
        self.radius = 0.0
        self.counts = np.zeros(BINS, np.int64)
        self.zeros = 0

    def observe(self, values: np.ndarray) -> None:
        """Take in one batch of values of any shape."""
        super().observe(values)
        flat = values.reshape(-1)
        kept = flat[flat != 0].astype(np.float64)
        self.zeros += flat.size - kept.size
        if kept.size:
            self._grow(float(np.abs(kept).max()))
            self.counts += np.histogram(kept, BINS, (-self.radius, self.radius))[0]

    def _grow(self, largest: float) -> None:
        if self.radius == 0.0:
            # A power of two, so that the bins do not depend on the order of the samples.
            self.radius = 2.0 ** np.ceil(np.log2(largest))
        while self.radius < largest:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(BINS, np.int64)
            self.counts[BINS // 4 : -BINS // 4] = pairs
            self.radius *= 2

    @property
    def edges(self) -> np.ndarray:
        """Bin borders, f64 [BINS + 1]."""
        return np.linspace(-self.radius, self.radius, BINS + 1)


class Percentile(Histogram):
    """Cut off the outermost (100 - percentile) % of the values at either end."""

    def __init__(self, percentile: float) -> None:
        super().__init__()
        self.percentile = percentile

    def range(self, dtype: DType = S8) -> Range:
        """Outer borders of the bins that hold the two percentiles, within what was seen."""
        counts = self.counts.copy()
        counts[BINS // 2] += self.zeros
        total = np.cumsum(counts)
        tail = total[-1] * (1 - self.percentile / 100)
        first = int(np.searchsorted(total, tail, side="right"))
        last = int(np.searchsorted(total, total[-1] - tail, side="left"))
        low, high = self.edges[min(first, BINS - 1)], self.edges[min(last, BINS - 1) + 1]
        return max(self.low, float(low)), min(self.high, float(high))


class MeanSquare(Histogram):
    """The range of least mean square error between the values and their quantization.

    Every pair of clipping candidates is tried on the histogram. A value outside the range costs its
    squared distance from it, one inside its squared rounding error. Real 0 is on the grid whatever
    the range, so rounding depends on the step alone and is summed once per step.
    """

    def range(self, dtype: DType = S8) -> Range:
        """The best of all pairs of clipping candidates, for the steps of `dtype`."""
        if self.radius == 0.0:
            return self.low, self.high
        lows = np.unique(np.append(min(self.low, 0.0) * FRACTIONS, 0.0))
        highs = np.unique(np.append(max(self.high, 0.0) * FRACTIONS, 0.0))
        centres = (self.edges[1:] + self.edges[:-1]) / 2
        counts = self.counts.astype(np.float64)
        above = _excess(centres, counts, highs)
        below = _excess(-centres[::-1], counts[::-1], -lows)
        error = (
            below[:, None]
            + above[None, :]
            + _rounding(
                centres, counts, (highs[None, :] - lows[:, None]) / STEPS[dtype], (lows, highs)
            )
        )
        best = np.unravel_index(int(np.argmin(error)), error.shape)
        return float(lows[best[0]]), float(highs[best[1]])


def _excess(centres: np.ndarray, counts: np.ndarray, borders: np.ndarray) -> np.ndarray:
    """Sum of counts * (centre - border)**2 over the centres above each border, f64 [borders]."""
    powers = [counts, counts * centres, counts * centres**2]
    tails = [np.append(np.cumsum(p[::-1])[::-1], 0.0) for p in powers]
    at = np.searchsorted(centres, borders, side="right")
    total = tails[2][at] - 2 * borders * tails[1][at] + borders**2 * tails[0][at]
    clipped: np.ndarray = np.maximum(total, 0.0)
    return clipped


def _rounding(
    centres: np.ndarray,
    counts: np.ndarray,
    steps: np.ndarray,
    ends: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """Sum of squared rounding errors of the values inside each range, f64 [lows, highs].

    `steps` holds each range's, `ends` are the lows and the highs.

    Steps are grouped by eighths of an octave. Where the step is finer than two bins, the histogram
    does not tell where a value lies between steps: step**2 / 12, the mean, stands for it.
    """
    octaves = np.round(8 * np.log2(np.maximum(steps, LEAST_SCALE))).astype(np.int64)
    first, last = (np.searchsorted(centres, borders) for borders in ends)
    width = centres[1] - centres[0]
    total: np.ndarray = np.zeros_like(steps)
    for octave in np.unique(octaves):
        step = 2.0 ** (octave / 8)
        errors = np.full(BINS, step**2 / 12)
        if step > 2 * width:
            errors = np.square(centres - step * np.round(centres / step)) + width**2 / 12
        sums = np.append(0.0, np.cumsum(counts * errors))
        inside = sums[last][None, :] - sums[first][:, None]
        here = octaves == octave
        total[here] = (inside * np.square(steps / step))[here]
    return total


@dataclass(frozen=True)
class Method:
    """A parsed calibration method: name and, for "percentile", the percentile kept."""

    name: str
    percentile: float = DEFAULT_PERCENTILE

    @staticmethod
    def parse(text: str) -> Method:
        """Read "min-max", "percentile", "percentile:99.9" or "mse"; BadData for anything else."""
        name, _, number = text.partition(":")
        if name not in ("min-max", "percentile", "mse") or (number and name != "percentile"):
            raise BadData(
                f'calibration is "{text}"; "min-max", "percentile", "percentile:99.9" or '
                '"mse" wanted'
            )
        try:
            percentile = float(number) if number else DEFAULT_PERCENTILE
        except ValueError:
            percentile = -1.0
        if not 50 < percentile <= 100:
            raise BadData(f'calibration is "{text}"; a percentile above 50, up to 100 wanted')
        return Method(name, percentile)

    def observer(self) -> MinMax:
        """A fresh observer of one value."""
        if self.name == "min-max":
            return MinMax()
        return Percentile(self.percentile) if self.name == "percentile" else MeanSquare()


def observed(graph: Graph) -> list[Node]:
    """The values whose range matters: reals that do not share their operand's or their update's."""
    followers = {op for op, rule in RULES.items() if rule.follows is Follows.FIRST}
    without = {Op.CONSTANT, Op.STATE, *followers}
    return [n for n in graph.nodes() if n.op not in without and not is_plain(n)]


def calibrate(graph: Graph, data: Data, method: Method) -> dict[DType, dict[str, Range]]:
    """Run the float graph over `data`; the real range (low, high) of every value by name.

    The ranges are those to be held by s8 and those to be held by s16: clipping that pays in 8 bits
    need not in 16. A graph with state runs over sequences of frames.
    BadData for bad samples (see `samples.batches`) and where a value overflows float32 on the way.
    MilliwattWarning where the samples say little.
    """
    count = 0
    observers = {node.name: method.observer() for node in observed(graph)}
    bodies = [n.attrs.body for n in nodes_inside(graph) if isinstance(n.attrs, Scan)]
    inner_observers = {n.name: method.observer() for body in bodies for n in observed(body)}
    total = -(-len(data) // batch_size(graph)) if isinstance(data, np.ndarray) else None
    for first, values in track(_runs(graph, data), "calibrating", total):
        for name, observer in observers.items():
            value = values[name]
            # NaN fails both comparisons.
            if not (value.max() < _MOST and value.min() > -_MOST):
                flat = np.abs(value.reshape(len(value), -1))
                bad = first + int(np.argmax(~(flat < _MOST).all(axis=1)))
                raise BadData(
                    f"{name}: value is NaN or beyond 2^100 on sample {bad}, where float32 "
                    "overflows; check the weights and the scale of the input"
                )
            observer.observe(value)
        for inner in _inside(graph, values):
            for name, value in inner.items():
                if name in inner_observers:
                    inner_observers[name].observe(value)
        count += len(values[graph.inputs[0].name])
    _warn(graph, {node.name: observers[node.name] for node in graph.inputs}, count)
    return {
        dtype: {
            name: observer.range(dtype) for name, observer in (observers | inner_observers).items()
        }
        for dtype in STEPS
    }


def _inside(graph: Graph, values: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Values by name inside the scans of a graph, position by position, run once more for them.

    A graph with a scan runs sample by sample, so that values are those of one.
    """
    for node in graph.nodes():
        if not isinstance(node.attrs, Scan):
            continue
        attrs, end = node.attrs, node.attrs.sequences + node.attrs.states
        args = [
            s.value if s.is_constant else values[s.name].reshape(s.type.shape) for s in node.src
        ]
        carried = args[attrs.sequences : end]
        for step in range(attrs.steps):
            now = [whole[:, step : step + 1] for whole in args[: attrs.sequences]]
            found = run_all(attrs.body, [*now, *carried, *args[end:]])
            by_name = {inner.name: value for inner, value in found.items()}
            yield by_name
            yield from _inside(attrs.body, by_name)
            carried = [found[new] for new in split_outputs(attrs)[1]]


def _warn(graph: Graph, inputs: dict[str, MinMax], count: int) -> None:
    """Tell of a single sample and of inputs that hold one value throughout."""
    if count == 1:
        text = "1 calibration sample given; 50 to 200 are usual"
        warnings.warn(f"{graph.name}: {text}", MilliwattWarning, stacklevel=2)
    for name, seen in inputs.items():
        if seen.low == seen.high:
            samples = f"all {count} samples" if count > 1 else "the sample"
            text = f"input {name} is constant on {samples}: ranges will be useless"
            warnings.warn(f"{graph.name}: {text}", MilliwattWarning, stacklevel=2)


def _runs(graph: Graph, data: Data) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """(index of the first sample, values by name) of every batch that is run."""
    first, overflows = 0, list[object]()
    for arrays in batches(graph, data):
        steps = runs(graph, arrays)
        while True:
            # Not around the whole loop: the caller's own generator keeps its settings.
            with np.errstate(
                over="call", call=lambda *seen: overflows.append(seen), invalid="ignore"
            ):
                step = next(steps, None)
            if step is None:
                break
            rows, values = step
            yield first + rows.start, values
            if overflows:  # inside a layer, whose clamp makes it finite again
                largest = max(float(np.abs(array).max()) for array in arrays)
                raise BadData(
                    f"{graph.name}: a value overflows float32 near sample {first + rows.start}, "
                    f"inputs reach {largest:.3g}; check the weights and the scale of the input"
                )
        first += len(arrays[0])
