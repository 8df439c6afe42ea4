"""Recurrent layers (scans): their bodies are calibrated step by step and quantized as graphs."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compress.accuracy import predict
from milliwatt.compress.quantize import quantize, quantize_with_report
from milliwatt.compress.report import layer_report
from milliwatt.errors import MilliwattWarning
from milliwatt.ir import cells
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.attrs.pointwise import Pointwise
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.quantize_nets import assert_same_everywhere, dense

INPUTS, UNITS, STEPS = 5, 6, 12


def recurrent(kind: str, steps: int = STEPS) -> Graph:
    """A recurrent layer over 12 steps: all results, and 3 logits of the last state."""
    rng = np.random.default_rng(0)

    def weight(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / 2).astype(np.float32)

    x = graph_input((1, steps, INPUTS), DType.F32, "x")
    zero = constant(np.zeros((1, 1, UNITS), np.float32), "zero")
    if kind == "gru":
        w, u = weight(3 * UNITS, INPUTS), weight(3 * UNITS, UNITS)
        y, last = cells.gru(x, zero, w, u, weight(3 * UNITS), weight(3 * UNITS), "layer")
    elif kind == "lstm":
        w, u = weight(4 * UNITS, INPUTS), weight(4 * UNITS, UNITS)
        y, last, _ = cells.lstm(x, (zero, zero), w, u, weight(4 * UNITS), "layer")
    else:
        w, u = weight(UNITS, INPUTS), weight(UNITS, UNITS)
        y, last = cells.rnn(x, zero, w, u, weight(UNITS), "layer")
    head = dense(rng.standard_normal((3, UNITS)), last, "head", NO_CLAMP)
    return Graph((x,), (y, head), name=kind)


def clips(count: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, STEPS, INPUTS)).astype(np.float32)


def body_of(graph: Graph) -> Graph:
    return next(n.attrs.body for n in graph.nodes() if isinstance(n.attrs, Scan))


@pytest.mark.parametrize("activations", ["int8", "int16"])
@pytest.mark.parametrize("kind", ["gru", "lstm", "rnn"])
def test_layers(kind, activations) -> None:
    """No float inside; results and states close to float after 12 steps; the same bytes in C."""
    graph = recurrent(kind)
    quantized, report = quantize_with_report(graph, clips(40), activations=activations)
    assert report.kept == ()
    nodes = [*quantized.nodes(), *body_of(quantized).nodes()]
    assert not any(n.type.dtype.is_float for n in nodes)
    rows = layer_report(graph, quantized, clips(10))
    assert min(row.sqnr_db for row in rows) > (27 if activations == "int8" else 35)
    assert_same_everywhere(quantized, [clips(3, seed=5)])


def test_a_carried_value_has_one_quantization() -> None:
    """First value, input and output of the body, and the last value."""
    quantized = quantize(recurrent("gru"), clips(20))
    scan = next(n for n in quantized.nodes() if n.op is Op.SCAN)
    body = scan.attrs.body
    kinds = {scan.src[1].type.quant, body.inputs[1].type.quant, body.outputs[1].type.quant}
    assert len(kinds) == 1
    (last,) = [n for n in quantized.nodes() if n.name == "layer.last0"]
    assert {last.type.quant} == kinds
    assert body.inputs[0].type.quant == quantized.inputs[0].type.quant


def test_operators_without_a_form_inside() -> None:
    """exp in s16 stays f32 inside the body, and is named with its scan."""

    def step(b: cells.Body) -> tuple[Node, ...]:
        grown = Node(Op.EXP, (b.x,), Pointwise(), "grown")
        return (b.add(b.mul(b.states[0], b.fixed([0.5], "half"), "decayed"), grown, "sum"),)

    x = graph_input((1, STEPS, INPUTS), DType.F32, "x")
    zero = constant(np.zeros((1, 1, INPUTS), np.float32), "zero")
    y, _ = cells.scanned(x, (zero,), step, "layer")
    graph = Graph((x,), (y,), name="leaky")
    with pytest.warns(MilliwattWarning, match=r"left in f32: layer.scan/grown \(exp\)$"):
        quantized = quantize(graph, clips(20), activations="int16")
    assert min(row.sqnr_db for row in layer_report(graph, quantized, clips(5))) > 55
    assert_same_everywhere(quantized, [clips(2)], boards=("host",))


def test_a_scan_of_one_new_step_keeps_its_state() -> None:
    """A GRU that sees one frame a run: the scan's last state is the graph's."""
    x = graph_input((1, 1, INPUTS), DType.F32, "x")
    whole = recurrent("gru", 1)
    held = state(np.zeros((1, 1, UNITS), np.float32), "h")
    frame = whole.rewrite(lambda n: held if n.name == "zero" else (x if n.op is Op.INPUT else None))
    last = next(n for n in frame.nodes() if n.name == "layer.last0")
    graph = Graph((x,), frame.outputs, ((held, last),), name="one_step")
    data = clips(20)[:, :, None]
    quantized = quantize(graph, data)
    ((kept, new),) = quantized.updates
    assert kept.type == new.type
    assert not any(n.type.dtype.is_float for n in quantized.nodes())
    assert min(row.sqnr_db for row in layer_report(graph, quantized, data[:5])) > 24
    assert_same_everywhere(quantized, [data[0]])


def test_a_scan_can_be_promoted() -> None:
    """A limit that s8 misses: the recurrent layer goes to 16 bits as a whole."""
    graph = recurrent("gru")
    graph = Graph(graph.inputs, graph.outputs[1:], name="gru")
    data = clips(16)
    wanted = predict(graph, (data,))[0]

    def score(logits: np.ndarray) -> float:
        return -float(np.sqrt(np.square(logits - wanted).mean()))

    quantized, report = quantize_with_report(graph, data, score=score, max_drop=0.012, io="f32")
    assert report.integer_score < -0.012 <= report.score
    assert ("layer.scan", "s16") in {(row.name, row.dtype) for row in report.promoted}
    assert {n.type.dtype for n in body_of(quantized).inputs} == {DType.S16}
