"""Measure accuracy: outputs of a graph on samples, scores, and what a layer costs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.batch import run_samples, run_sequences
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
    """Real-valued outputs, f32 [N, ...] each, of any graph of `quantize` on f32 samples [N, ...].

    Of a graph with state samples are sequences [N, frames, ...], outputs [N * frames, ...].
    """
    given = tuple(
        array if node.type.dtype.is_float else quantize_array(array, node.type)
        for array, node in zip(samples, graph.inputs, strict=True)
    )
    # An overflow is `calibrate`'s to report: it knows sample and layer.
    with np.errstate(over="ignore", invalid="ignore"):
        outputs = _frames(graph, given) if graph.updates else run_samples(graph, given)
    return tuple(
        array if node.type.quant is None else dequantize_array(array, node.type)
        for array, node in zip(outputs, graph.outputs, strict=True)
    )


def _frames(graph: Graph, samples: Arrays) -> Arrays:
    """Outputs of every frame of every sequence, the frames of a sequence one after the other."""
    frames: list[list[list[np.ndarray]]] = []
    for _, frame, values in run_sequences(graph, samples):
        if frame == 0:
            frames.append([])
        frames[-1].append([values[node.name] for node in graph.outputs])
    columns = [
        # [frames, rows, ...] to [rows, frames, ...] of every group of sequences
        np.concatenate([np.stack([step[index] for step in steps], axis=1) for steps in frames])
        for index in range(len(graph.outputs))
    ]
    return tuple(column.reshape(-1, *column.shape[2:]) for column in columns)


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
    if wanted.ndim == 2:
        wanted = wanted.reshape(-1)  # [N, frames]
    if wanted.shape != (len(rows),) or not np.issubdtype(wanted.dtype, np.integer):
        raise BadData(
            f"labels are {wanted.dtype}{list(wanted.shape)}; integers [{len(rows)}] wanted, "
            "one a sample, one a frame where the graph has state"
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
