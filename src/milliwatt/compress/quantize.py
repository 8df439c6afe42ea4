"""Post-training quantization: a float graph and some samples in, an s8 graph out."""

from __future__ import annotations

import math
import numbers
from typing import Any

import numpy as np

from milliwatt.compress.accuracy import LayerCost, Score, Trial, keep_float, make_score, predict
from milliwatt.compress.calibrate import Method, calibrate
from milliwatt.compress.int8 import Edges, to_int8
from milliwatt.compress.report import QuantizeReport, prepare
from milliwatt.compress.samples import Data, collect
from milliwatt.errors import BadData, InvalidGraph, UnsupportedOp
from milliwatt.ir.graph import Graph
from milliwatt.ir.verify import verify


def quantize(
    graph: Graph,
    data: Data,
    *,
    calibration: str = "min-max",
    labels: np.ndarray | None = None,
    score: Score | None = None,
    max_drop: float | None = None,
    io: Edges = "s8",
) -> Graph:
    """Quantize a float graph to int8 after training, by the TFLite int8 specification.

    Batch norm and activations are folded into the layers before them first. Weights become
    symmetric s8 per output channel, activations asymmetric s8, biases s32.

    Args:
        graph: every value f32.
        data: samples of the input as the network was trained on, f32: an array [N, ...], an
            iterable of samples or batches, or a function that returns one; tuples for several
            inputs.
        calibration: how ranges follow from the samples: "min-max", "percentile" (99.99 % kept),
            "percentile:99.9", or "mse" (clipping of least mean square error).
        labels: class index of each sample, [N]: accuracy is the share of right argmaxes.
        score: measures accuracy in place of labels: f32 outputs [N, ...] in, higher for better.
        max_drop: largest loss of accuracy against the float graph, e.g. 0.01 for 1 %, below 1
            unless score has units of its own. Where all layers in
            s8 lose more, the fewest and costliest stay in f32. Without labels or score, accuracy is
            the share of samples on which the argmax of both graphs agrees.
        io: "s8" makes inputs and outputs s8; "f32" keeps them float and adds conversions.
    Returns: the quantized graph; nodes keep their names. MilliwattWarning tells of samples that
        say little: a single one, or an input that never changes.
    Raises: BadData for samples, labels or options that do not fit (it names sample and input),
        InvalidGraph for a graph that is quantized already, UnsupportedOp for a node without an s8
        form, MilliwattError where max_drop cannot be met.
    Source: Jacob et al., CVPR 2018; TensorFlow Lite 8-bit quantization specification.
    """
    return quantize_with_report(
        graph,
        data,
        calibration=calibration,
        labels=labels,
        score=score,
        max_drop=max_drop,
        io=io,
    )[0]


def quantize_with_report(
    graph: Graph,
    data: Data,
    *,
    calibration: str = "min-max",
    labels: np.ndarray | None = None,
    score: Score | None = None,
    max_drop: float | None = None,
    io: Edges = "s8",
) -> tuple[Graph, QuantizeReport]:
    """`quantize`, and what it measured: scores, layers left in f32, cost of each layer."""
    method = Method.parse(calibration)
    if io not in ("s8", "f32"):
        raise BadData(f'io is "{io}"; "s8" or "f32" wanted')
    _check_max_drop(max_drop, of_share=score is None)
    _check_float(graph)
    prepared = prepare(verify(graph))
    if labels is None and score is None and max_drop is None:
        ranges = calibrate(prepared, data, method)
        return verify(to_int8(prepared, ranges, edges=io)), QuantizeReport(calibration)
    samples = collect(prepared, data)
    float_outputs = predict(prepared, samples)
    measure = make_score(float_outputs, labels, score)
    ranges = calibrate(prepared, samples, method)
    trial = Trial(prepared, ranges, samples, measure, float_outputs, io)
    drop = trial.drop()
    kept: frozenset[str] = frozenset()
    costs: tuple[LayerCost, ...] = ()
    final = drop
    if max_drop is not None and drop > max_drop:
        kept, costs = keep_float(trial, max_drop)
        final = trial.drop(kept)
    top1 = "top-1 accuracy" if labels is not None else "agreement with the float model"
    report = QuantizeReport(
        calibration,
        samples=len(samples[0]),
        metric="score" if score is not None else top1,
        float_score=trial.float_score,
        s8_score=trial.float_score - drop,
        score=trial.float_score - final,
        kept=tuple(node.name for node in prepared.nodes() if node.name in kept),
        costs=costs,
    )
    return verify(trial.quantized(kept)), report


def _check_max_drop(max_drop: Any, of_share: bool) -> None:
    """BadData where `max_drop` is no loss; one of a share (accuracy, agreement) is below 1."""
    if max_drop is None:
        return
    is_number = isinstance(max_drop, numbers.Real) and not isinstance(max_drop, bool)
    if not is_number or not 0 <= max_drop < (1 if of_share else math.inf):
        most = " and below 1 wanted: 0.01 is 1 %" if of_share else " wanted, in units of the score"
        raise BadData(f"max_drop is {max_drop!r}; a finite number of 0 or more{most}")


def _check_float(graph: Graph) -> None:
    if graph.updates:
        state = graph.updates[0][0].name
        raise UnsupportedOp(
            f"{graph.name}: state {state} is updated by the graph; a graph without state wanted"
        )
    for node in graph.nodes():
        if node.type.quant is not None:
            raise InvalidGraph(
                f"{node.name} ({node.op}): {node.type.short} is quantized already; "
                "give mw.quantize the float graph"
            )
        if node.is_constant and not np.isfinite(node.value).all():
            raise InvalidGraph(
                f"{node.name} (constant): holds NaN or infinity; finite values wanted"
            )
        if not node.is_constant and not node.type.dtype.is_float:
            raise InvalidGraph(f"{node.name} ({node.op}): {node.type.short}; f32 wanted")
