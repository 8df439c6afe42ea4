"""Keep the loss of accuracy under a limit by leaving the costliest layers in f32."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from milliwatt.compress.int8 import LAYERS, Edges, Range, to_int8
from milliwatt.compress.progress import track
from milliwatt.errors import BadData, MilliwattError
from milliwatt.ir.batch import run_samples
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops.quantization import dequantize_array, quantize_array

Score = Callable[..., float]
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class LayerCost:
    """What quantizing one layer alone costs, all others in f32.

    `drop` is the loss of score, `sqnr_db` the signal to noise ratio it leaves at the first output.
    """

    name: str
    op: str
    drop: float
    sqnr_db: float


def predict(graph: Graph, samples: Arrays) -> Arrays:
    """Real-valued outputs, f32 [N, ...] each, of a float or s8 graph on f32 samples [N, ...]."""
    given = tuple(
        array if node.type.dtype.is_float else quantize_array(array, node.type)
        for array, node in zip(samples, graph.inputs, strict=True)
    )
    # An overflow is `calibrate`'s to report: it knows sample and layer.
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = run_samples(graph, given)
    return tuple(
        array if node.type.dtype.is_float else dequantize_array(array, node.type)
        for array, node in zip(outputs, graph.outputs, strict=True)
    )


def sqnr_db(signal: float, noise: float) -> float:
    """10 log10(signal power / noise power); infinite where there is no noise."""
    if noise <= 0:
        return float("inf")
    return 10 * float(np.log10(signal / noise)) if signal > 0 else float("-inf")


def top1(outputs: Arrays, labels: np.ndarray) -> float:
    """Share of samples whose largest value of the first output is at index `labels` [N]."""
    rows = outputs[0].reshape(len(labels), -1)
    return float(np.mean(rows.argmax(axis=1) == labels))


def make_score(
    float_outputs: Arrays, labels: np.ndarray | None, score: Score | None
) -> Callable[[Arrays], float]:
    """The measure: `score`, accuracy against `labels`, or agreement with the float graph.

    BadData where labels do not fit the samples or the output is no vector of class values.
    """
    if score is not None and labels is not None:
        raise BadData("both labels and score given; one of them wanted")
    if score is not None:
        return lambda outputs: _checked(score(*outputs))
    rows = float_outputs[0].reshape(len(float_outputs[0]), -1)
    if rows.shape[1] < 2:
        raise BadData("the output is one value a sample, no choice of class; pass score=")
    if labels is None:
        found = rows.argmax(axis=1)
        return lambda outputs: top1(outputs, found)
    wanted = np.asarray(labels)
    if wanted.shape != (len(rows),) or not np.issubdtype(wanted.dtype, np.integer):
        raise BadData(
            f"labels are {wanted.dtype}{list(wanted.shape)}; integers [{len(rows)}] wanted, "
            "one a sample"
        )
    if wanted.min() < 0 or wanted.max() >= rows.shape[1]:
        raise BadData(
            f"labels run from {wanted.min()} to {wanted.max()}; 0 to {rows.shape[1] - 1} wanted"
        )
    return lambda outputs: top1(outputs, wanted)


def _checked(value: Any) -> float:
    """What the caller's score returned as a float; BadData where it is no finite number."""
    try:
        number = math.nan if isinstance(value, str) or np.ndim(value) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        found = " ".join(str(value).split())[:60]
        raise BadData(
            f"score returned {found} ({type(value).__name__}); a finite number wanted, "
            "higher for better"
        )
    return number


@dataclass(frozen=True)
class Trial:
    """One float graph, its ranges and samples: quantizes it in mixes and measures them."""

    graph: Graph
    ranges: Mapping[str, Range]
    samples: Arrays
    measure: Callable[[Arrays], float]
    float_outputs: Arrays
    edges: Edges

    @property
    def float_score(self) -> float:
        """Score of the float graph."""
        return self.measure(self.float_outputs)

    def quantized(self, keep: frozenset[str] = frozenset()) -> Graph:
        """The s8 graph with the layers named in `keep` left in f32."""
        return to_int8(self.graph, self.ranges, keep=keep, edges=self.edges)

    def drop(self, keep: frozenset[str] = frozenset()) -> float:
        """Loss of score against the float graph with `keep` in f32."""
        return self.float_score - self.measure(predict(self.quantized(keep), self.samples))

    def costs(self) -> tuple[LayerCost, ...]:
        """The cost of every layer quantized alone, dearest first (noise decides between equals)."""
        layers = [node for node in self.graph.nodes() if node.op in LAYERS]
        names = frozenset(node.name for node in layers)
        signal = float(np.square(self.float_outputs[0].astype(np.float64)).sum())
        rows = []
        for node in track(layers, "measuring layers", len(layers)):
            outputs = predict(self.quantized(names - {node.name}), self.samples)
            error = outputs[0].astype(np.float64) - self.float_outputs[0]
            ratio = sqnr_db(signal, float(np.square(error).sum()))
            loss = self.float_score - self.measure(outputs)
            rows.append(LayerCost(node.name, str(node.op), loss, ratio))
        return tuple(sorted(rows, key=lambda row: (-row.drop, row.sqnr_db)))


def keep_float(trial: Trial, max_drop: float) -> tuple[frozenset[str], tuple[LayerCost, ...]]:
    """Names of layers to leave in f32 so that the score drops by at most `max_drop`, and all costs.

    Layers are added dearest first until the limit holds, then each is taken out again, cheapest
    first, where the limit still holds without it: no layer in the result can be spared.
    MilliwattError where even all layers in f32 lose more; it says the best reached.
    """
    costs = trial.costs()
    kept: list[str] = []
    best, limit = float("inf"), max_drop + 1e-9
    for row in track(costs, "choosing f32 layers", len(costs)):
        kept.append(row.name)
        drop = trial.drop(frozenset(kept))
        best = min(best, drop)
        if drop <= limit:
            break
    else:
        raise MilliwattError(
            f"{trial.graph.name}: score drops by {best:.4f} at best with layers left in f32; "
            f"max_drop {max_drop:g} wanted; give more samples or keep the edges float (io='f32')"
        )
    for name in reversed(kept[:-1]):
        fewer = [other for other in kept if other != name]
        if trial.drop(frozenset(fewer)) <= limit:
            kept = fewer
    return frozenset(kept), costs
