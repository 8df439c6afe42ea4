"""How far a quantized graph is from its float graph, layer by layer."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from milliwatt.compress.accuracy import LayerCost, sqnr_db
from milliwatt.compress.progress import track
from milliwatt.compress.promote import Promotion
from milliwatt.compress.rules import WEIGHTED, is_plain
from milliwatt.compress.samples import Data, batches, runs
from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.batch import batch_size
from milliwatt.ir.fold import fold_batch_norm, fold_constants, fuse_activation
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import dequantize_array, quantize_array


@dataclass(frozen=True)
class LayerError:
    """One value of the network, float against quantized.

    sqnr_db: signal to noise of the value in the running quantized graph, the error of all layers
    before it included. float_low, float_high: range of the float value. low, high: what the stored
    value can represent (None in f32). clipped_percent: float values outside that, by over half a
    step. weight_bits and weight_sqnr_db: of the layer's weight, None where it has none.
    """

    name: str
    op: str
    dtype: str
    sqnr_db: float
    float_low: float
    float_high: float
    low: float | None
    high: float | None
    scale: float | None
    zero_point: int | None
    clipped_percent: float
    weight_bits: int | None
    weight_sqnr_db: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, ready for JSON: infinite ratios become None."""
        return _plain(asdict(self))


@dataclass(frozen=True)
class QuantizeReport:
    """What quantization did to the accuracy; scores are None where nothing was measured.

    metric: "top-1 accuracy", "agreement with the float model" or "score". integer_score: every
    layer in integers, before any was promoted. score: the returned graph. kept: operators left in
    f32, in graph order: those promoted to it and those without an integer form. promoted: what
    accuracy control changed, in graph order. costs: every layer's cost, dearest first; both are
    empty unless accuracy control had to look.
    """

    calibration: str
    samples: int | None = None
    metric: str | None = None
    float_score: float | None = None
    integer_score: float | None = None
    score: float | None = None
    kept: tuple[str, ...] = ()
    promoted: tuple[Promotion, ...] = ()
    costs: tuple[LayerCost, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values by field name, ready for JSON."""
        rows = {
            "promoted": [_plain(asdict(row)) for row in self.promoted],
            "costs": [_plain(asdict(row)) for row in self.costs],
        }
        return _plain(asdict(self) | rows)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in row.items()
    }


def prepare(graph: Graph) -> Graph:
    """The float graph as it is quantized: constants, batch norm and activations folded.

    In the bodies of scans too, whose nodes get the scan's name before theirs.
    """
    inside = graph.rewrite(_prepare_body).rewrite(_as_product)
    return fuse_activation(fold_batch_norm(fold_constants(inside)))


def _as_product(node: Node) -> Node | None:
    """-x as x times -1: of integers TFLM has no NEG, and LiteRT's does not rescale."""
    if node.op is not Op.NEG or not node.type.dtype.is_float:
        return None
    minus = constant(np.array([-1.0], np.float32), f"{node.name}.minus_one")
    return Node(Op.MUL, (node.src[0], minus), Elementwise(), node.name)


def _prepare_body(node: Node) -> Node | None:
    if not isinstance(node.attrs, Scan):
        return None
    body = node.attrs.body.rewrite(
        lambda inner: Node(inner.op, inner.src, inner.attrs, f"{node.name}/{inner.name}")
    )
    return Node(node.op, node.src, replace(node.attrs, body=prepare(body)), node.name)


class _Tally:
    """Running sums over the samples for one value."""

    def __init__(self, reference: Node, node: Node) -> None:
        self.reference, self.node = reference, node
        self.signal = self.noise = 0.0
        self.low, self.high = math.inf, -math.inf
        self.outside = self.count = 0

    @property
    def limits(self) -> tuple[float, float] | None:
        """Real values of the smallest and largest integer; None for f32."""
        kind = self.node.type
        if kind.dtype.is_float:
            return None
        least, most = kind.dtype.limits
        return (least - kind.zero_point) * kind.scale, (most - kind.zero_point) * kind.scale

    def add(self, wanted: np.ndarray, found: np.ndarray) -> None:
        """Take in one batch: the float value and the stored value."""
        kind = self.node.type
        real = found if kind.dtype.is_float else dequantize_array(found, kind)
        exact = wanted.astype(np.float64)
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(exact - real).sum())
        self.low = min(self.low, float(wanted.min()))
        self.high = max(self.high, float(wanted.max()))
        self.count += wanted.size
        if self.limits:
            low, high = self.limits
            slack = kind.scale / 2
            self.outside += int(((exact < low - slack) | (exact > high + slack)).sum())

    def row(self) -> LayerError:
        """The finished row."""
        kind, limits = self.node.type, self.limits
        bits, ratio = _weight_error(self.reference, self.node)
        return LayerError(
            name=self.node.name,
            op=str(self.node.op),
            dtype=str(kind.dtype),
            sqnr_db=sqnr_db(self.signal, self.noise),
            float_low=self.low,
            float_high=self.high,
            low=limits[0] if limits else None,
            high=limits[1] if limits else None,
            scale=kind.scale if kind.quant else None,
            zero_point=kind.zero_point if kind.quant else None,
            clipped_percent=100 * self.outside / self.count,
            weight_bits=bits,
            weight_sqnr_db=ratio,
        )


def _is_same_value(reference: Node, node: Node) -> bool:
    """Both are reals of one shape, as they are or quantized."""
    real = node.type.dtype.is_float or node.type.quant is not None
    return real and not is_plain(reference) and node.type.shape == reference.type.shape


def _weight_error(reference: Node, node: Node) -> tuple[int | None, float | None]:
    """(bits, SQNR in dB) of a layer's weight; (None, None) where it has none."""
    weight = node.src[1] if node.op in WEIGHTED else node
    if weight.op is Op.DEQUANTIZE:
        weight = weight.src[0]
    if not weight.is_constant:
        return None, None
    bits = 8 * weight.type.dtype.itemsize
    if reference.op is not node.op or reference.src[1].type.shape != weight.type.shape:
        return bits, None
    exact = reference.src[1].value.astype(np.float64)
    real = weight.value
    if weight.type.quant is not None:
        real = dequantize_array(weight.value, weight.type)
    return bits, sqnr_db(float(np.square(exact).sum()), float(np.square(exact - real).sum()))


def layer_report(float_graph: Graph, quantized_graph: Graph, data: Data) -> tuple[LayerError, ...]:
    """Run both graphs on `data` (as for `quantize`) and compare the values that share a name.

    Rows come in execution order, inputs first. The float graph is folded as `quantize` folds it, so
    that a convolution's row is the value after its batch norm and activation. InvalidGraph where
    the inputs differ or no names agree; BadData for bad samples.
    """
    prepared = prepare(float_graph)
    shapes = [[node.type.shape for node in g.inputs] for g in (prepared, quantized_graph)]
    if shapes[0] != shapes[1]:
        raise InvalidGraph(f"{quantized_graph.name}: inputs {shapes[1]}; {shapes[0]} wanted")
    references = {n.name: n for n in prepared.nodes() if not n.is_constant}
    tallies = [
        _Tally(references[node.name], node)
        for node in quantized_graph.nodes()
        if node.name in references and _is_same_value(references[node.name], node)
    ]
    if all(tally.node.op is Op.INPUT for tally in tallies):
        raise InvalidGraph(
            f"{quantized_graph.name}: no node shares its name with {float_graph.name}"
        )
    step = min(batch_size(prepared), batch_size(quantized_graph))
    for arrays in track(batches(prepared, data), "comparing layers"):
        given = [
            array if node.type.dtype.is_float else quantize_array(array, node.type)
            for array, node in zip(arrays, quantized_graph.inputs, strict=True)
        ]
        pairs = zip(
            runs(prepared, arrays, step),
            runs(quantized_graph, given, step),
            strict=True,
        )
        for (_, wanted), (_, found) in pairs:
            for tally in tallies:
                tally.add(wanted[tally.node.name], found[tally.node.name])
    return tuple(tally.row() for tally in tallies)
