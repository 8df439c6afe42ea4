"""Post-training quantization: a float graph and some samples in, a smaller graph out."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from milliwatt.compress.accuracy import Score, make_score, predict
from milliwatt.compress.calibrate import Method, calibrate
from milliwatt.compress.float16 import to_float16
from milliwatt.compress.promote import Mix, Trial, promote
from milliwatt.compress.rebuild import Edges, levels, rebuild
from milliwatt.compress.report import QuantizeReport, prepare
from milliwatt.compress.rules import F32, S8, S16, is_computed, is_plain
from milliwatt.compress.samples import Data, collect
from milliwatt.errors import BadData, InvalidGraph, MilliwattWarning
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify

Activations = Literal["int8", "int16"]
Weights = Literal["int8", "float16"]
_INTEGERS = {"int8": S8, "int16": S16}
_EDGES = {"s8": S8, "s16": S16, "f32": F32}
_NAMED = 5


def quantize(
    graph: Graph,
    data: Data | None = None,
    *,
    activations: Activations | None = None,
    weights: Weights = "int8",
    calibration: str = "min-max",
    labels: np.ndarray | None = None,
    score: Score | None = None,
    max_drop: float | None = None,
    io: Edges | None = None,
) -> Graph:
    """Quantize a float graph after training, by the TensorFlow Lite specifications.

    Batch norm and activations are folded into the layers before them first. In integers, weights
    become symmetric s8 per output channel; activations asymmetric s8 with s32 biases, or symmetric
    s16 with s64 biases ("16x8"). Operators without an integer kernel stay in f32 between
    conversions; a MilliwattWarning names them.

    Args:
        graph: every value f32, but for indices and bools.
        data: samples of the input as the network was trained on, f32: an array [N, ...], an
            iterable of samples or batches, or a function that returns one; tuples for several
            inputs. Of a graph with state: sequences [N, frames, ...]. Float16 needs none.
        activations: "int8" (the default) or "int16".
        weights: "int8", or "float16": constants in binary16, half the flash, arithmetic in f32.
        calibration: how ranges follow from the samples: "min-max", "percentile" (99.99 % kept),
            "percentile:99.9", or "mse" (clipping of least mean square error).
        labels: class index of each sample, [N] ([N, frames] with state): accuracy is the share of
            right argmaxes.
        score: measures accuracy in place of labels: f32 outputs [N, ...] in, higher for better.
        max_drop: largest loss of accuracy against the float graph, e.g. 0.01 for 1 %, below 1
            unless score has units of its own. Where integers lose more, the fewest layers that
            help are promoted, to int16 activations or else to f32. Without labels or score,
            accuracy is the share of samples on which the argmax of both graphs agrees.
        io: element type of inputs and outputs: "s8", "s16" or "f32"; that of the activations by
            default. Conversions are added where they differ.
    Returns: the quantized graph; nodes keep their names. MilliwattWarning tells of samples that
        say little: a single one, or an input that never changes.
    Raises: BadData for samples, labels or options that do not fit (it names sample and input),
        InvalidGraph for a graph that is quantized already, MilliwattError where max_drop cannot be
        met.
    Source: Jacob et al., CVPR 2018; TensorFlow Lite 8-bit quantization specification and its
        16x8 extension.
    """
    return quantize_with_report(
        graph,
        data,
        activations=activations,
        weights=weights,
        calibration=calibration,
        labels=labels,
        score=score,
        max_drop=max_drop,
        io=io,
    )[0]


def quantize_with_report(
    graph: Graph,
    data: Data | None = None,
    *,
    activations: Activations | None = None,
    weights: Weights = "int8",
    calibration: str = "min-max",
    labels: np.ndarray | None = None,
    score: Score | None = None,
    max_drop: float | None = None,
    io: Edges | None = None,
) -> tuple[Graph, QuantizeReport]:
    """`quantize`, and what it measured: scores, layers promoted, cost of each layer."""
    wanted = _Wanted.parse(activations, weights, calibration, io)
    _check_max_drop(max_drop, of_share=score is None)
    _check_float(graph)
    prepared = prepare(verify(graph))
    measured = not (labels is None and score is None and max_drop is None)
    if data is None and (measured or not wanted.is_float16):
        raise BadData("no samples given; f32 samples wanted as data, 50 to 200 are usual")
    if not measured or data is None:
        if wanted.is_float16:
            return verify(to_float16(prepared)), QuantizeReport(wanted.calibration)
        assert data is not None
        ranges = calibrate(prepared, data, wanted.method)
        kept = _left_in_f32(prepared, wanted, Mix({}))
        _warn_of(prepared, kept, wanted.base)
        made = rebuild(prepared, ranges, base=wanted.base, edges=wanted.edges)
        return verify(made), QuantizeReport(wanted.calibration, kept=_names(kept))
    samples = collect(prepared, data)
    float_outputs = predict(prepared, samples)
    measure = make_score(float_outputs, labels, score)
    metric = "top-1 accuracy" if labels is not None else "agreement with the float model"
    report = QuantizeReport(
        wanted.calibration,
        samples=len(samples[0]),
        metric="score" if score is not None else metric,
        float_score=measure(float_outputs),
    )
    if wanted.is_float16:
        return _scored_float16(prepared, samples, report, measure, max_drop)
    ranges = calibrate(prepared, samples, wanted.method)
    trial = Trial(prepared, ranges, samples, measure, float_outputs, wanted.base, wanted.edges)
    return _scored(trial, wanted, report, max_drop)


@dataclass(frozen=True)
class _Wanted:
    """Checked options: element types of activations, of inputs and outputs; calibration."""

    base: DType
    edges: DType
    calibration: str
    method: Method

    @property
    def is_float16(self) -> bool:
        return self.base is F32

    @staticmethod
    def parse(activations: Any, weights: Any, calibration: str, io: Any) -> _Wanted:
        """BadData for options that do not exist or do not go together."""
        for name, value, known in (
            ("activations", activations, (None, *_INTEGERS)),
            ("weights", weights, get_args(Weights)),
            ("io", io, (None, *_EDGES)),
        ):
            if value not in known:
                listed = " or ".join(f'"{text}"' for text in known if text is not None)
                raise BadData(f'{name} is "{value}"; {listed} wanted')
        method = Method.parse(calibration)
        if weights != "float16":
            base = _INTEGERS[activations or "int8"]
            return _Wanted(base, _EDGES[io] if io else base, calibration, method)
        if activations is not None or io not in (None, "f32"):
            raise BadData(
                'weights are "float16": activations, inputs and outputs are f32 then; '
                "leave activations and io out"
            )
        return _Wanted(F32, F32, calibration, method)


def _scored_float16(
    prepared: Graph, samples: Any, report: QuantizeReport, measure: Any, max_drop: float | None
) -> tuple[Graph, QuantizeReport]:
    """float16 and its score; BadData where that drops by more than `max_drop`."""
    made = verify(to_float16(prepared))
    score = measure(predict(made, samples))
    assert report.float_score is not None
    if max_drop is not None and report.float_score - score > max_drop + 1e-9:
        raise BadData(
            f"{prepared.name}: score drops by {report.float_score - score:.4f} with f16 weights; "
            f"max_drop {max_drop:g} wanted; the f32 model is needed"
        )
    return made, replace(report, score=score)


def _scored(
    trial: Trial, wanted: _Wanted, report: QuantizeReport, max_drop: float | None
) -> tuple[Graph, QuantizeReport]:
    """The graph in integers, layers promoted as `max_drop` asks, and the full report."""
    drop, mix = trial.drop(), Mix({})
    final = drop
    if max_drop is not None and drop > max_drop:
        mix = promote(trial, max_drop)
        final = trial.drop(mix.chosen)
    kept = _left_in_f32(trial.graph, wanted, mix)
    _warn_of(trial.graph, [n for n in kept if n.name not in mix.chosen], trial.base)
    made = verify(trial.quantized(mix.chosen))
    return made, replace(
        report,
        integer_score=trial.float_score - drop,
        score=trial.float_score - final,
        kept=_names(kept),
        promoted=mix.promotions(trial),
        costs=mix.costs,
    )


def _left_in_f32(graph: Graph, wanted: _Wanted, mix: Mix) -> list[Node]:
    """Operators that compute with reals in f32, inside integer scans too."""
    return list(_floating(graph, levels(graph, wanted.base, mix.chosen, wanted.edges)))


def _floating(graph: Graph, level: Mapping[Node, DType]) -> Iterator[Node]:
    for node in graph.nodes():
        if node.is_constant:
            continue
        dtype = level[node]
        if isinstance(node.attrs, Scan) and dtype is not F32:
            yield from _floating(node.attrs.body, levels(node.attrs.body, dtype, {}, dtype))
        real = not all(is_plain(value) for value in (node, *node.src))
        if dtype is F32 and is_computed(node) and real:
            yield node


def _names(nodes: list[Node]) -> tuple[str, ...]:
    return tuple(node.name for node in nodes)


def _warn_of(graph: Graph, kept: list[Node], base: DType) -> None:
    """Tell of operators that have no integer form."""
    if not kept:
        return
    names = ", ".join(f"{node.name} ({node.op})" for node in kept[:_NAMED])
    rest = f" and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
    text = f"no {base} form, left in f32: {names}{rest}"
    warnings.warn(f"{graph.name}: {text}", MilliwattWarning, stacklevel=3)


def _check_max_drop(max_drop: Any, of_share: bool) -> None:
    """BadData where `max_drop` is no loss; one of a share (accuracy, agreement) is below 1."""
    if max_drop is None:
        return
    is_number = isinstance(max_drop, numbers.Real) and not isinstance(max_drop, bool)
    if not is_number or not 0 <= max_drop < (1 if of_share else math.inf):
        most = " and below 1 wanted: 0.01 is 1 %" if of_share else " wanted, in units of the score"
        raise BadData(f"max_drop is {max_drop!r}; a finite number of 0 or more{most}")


def _check_float(graph: Graph) -> None:
    """InvalidGraph where a value is quantized, or an input or state is no real number."""
    for node in graph.nodes():
        if node.type.quant is not None:
            raise InvalidGraph(
                f"{node.name} ({node.op}): {node.type.short} is quantized already; "
                "give mw.quantize the float graph"
            )
        if node.is_constant and node.type.dtype.is_float and not np.isfinite(node.value).all():
            raise InvalidGraph(
                f"{node.name} (constant): holds NaN or infinity; finite values wanted"
            )
        if node.op is Op.INPUT and node.type.dtype is not F32:
            raise InvalidGraph(f"{node.name} ({node.op}): {node.type.short}; f32 wanted")
