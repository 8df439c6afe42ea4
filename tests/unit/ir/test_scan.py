"""Scans in the IR: types, rules, text form, cost; how a file says them."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Elementwise, FullyConnected
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.batch import run_samples
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify

F32 = DType.F32
STEPS, WIDTH = 4, 3


def body(width: int = WIDTH, rank: int = 3) -> Graph:
    """new = x + W held; it gives new twice."""
    shape = (1, 1, width)[3 - rank :]
    x, held = (graph_input(shape, F32, name) for name in ("x", "held"))
    weight = constant(np.eye(width, dtype=np.float32) / 2, "weight")
    fed = Node(Op.FULLY_CONNECTED, (held, weight), FullyConnected(), "fed")
    new = Node(Op.ADD, (x, fed), Elementwise(), "new")
    return Graph((x, held), (new, new), name="body")


def scan(attrs: Scan, *shapes: tuple[int, ...]) -> Graph:
    """A scan of inputs of `shapes`; outputs: all its results."""
    inputs = tuple(graph_input(shape, F32, f"in{i}") for i, shape in enumerate(shapes))
    node = Node(Op.SCAN, inputs, attrs, "scan")
    names = [f"out{i}" for i in range(len(attrs.results))]
    return verify(Graph(inputs, parts(node, attrs.results, names)))


def test_results_and_cost() -> None:
    graph = scan(Scan(body(), STEPS), (1, STEPS, WIDTH), (1, 1, WIDTH))
    assert [node.type.shape for node in graph.outputs] == [(1, STEPS, WIDTH), (1, 1, WIDTH)]
    node = graph.outputs[0].src[0]
    assert OPS[Op.SCAN].macs(node.attrs, node.type, []) == STEPS * WIDTH * WIDTH


def test_text_form() -> None:
    graph = scan(Scan(body(), STEPS), (1, STEPS, WIDTH), (1, 1, WIDTH))
    text = print_graph(graph)
    assert "scan(in0, in1) {steps=4}" in text
    assert "    body: graph body" in text
    assert print_graph(parse_graph(text)) == text


@pytest.mark.parametrize(
    ("attrs", "shapes", "message"),
    [
        (
            Scan(body(), 5),
            [(1, 4, 3), (1, 1, 3)],
            r"scan \(scan\): sequence is f32\[1,4,3\]; 5 pos",
        ),
        (Scan(body(), 0), [(1, 4, 3), (1, 1, 3)], "0 steps; 1 to"),
        (Scan(body(), 4, 0), [(1, 4, 3), (1, 1, 3)], "0 sequences and 1 states of 2 operands"),
        (Scan(body(), 4, 2), [(1, 4, 3), (1, 4, 3)], "2 sequences and 1 states of 2 operands"),
        (Scan(body(), 4, 1, 3), [(1, 4, 3)] * 4, "body has 2 outputs; 3 states wanted"),
        (Scan(body(), 4), [(1, 4, 2), (1, 1, 3)], r"body takes f32\[1,1,3\].*f32\[1,1,2\].*wanted"),
        (Scan(body(), 4), [(1, 4, 3), (1, 1, 3), (2,)], r"body takes .*f32\[2\] wanted"),
        (Scan(body(rank=2), 4), [(4, 4), (1, 3)], r"body takes"),
    ],
)
def test_what_does_not_fit_is_named(
    attrs: Scan, shapes: list[tuple[int, ...]], message: str
) -> None:
    with pytest.raises(InvalidGraph, match=message):
        scan(attrs, *shapes)


def test_a_body_keeps_no_state_of_its_own() -> None:
    x, held = graph_input((1, 1, 3), F32, "x"), graph_input((1, 1, 3), F32, "held")
    own = state(np.zeros((1, 1, 3), np.float32), "own")
    new = Node(Op.ADD, (x, own), Elementwise(), "new")
    with pytest.raises(InvalidGraph, match=r"scan \(scan\): body keeps state"):
        scan(Scan(Graph((x, held), (new, held), ((own, new),)), 4), (1, 4, 3), (1, 1, 3))


def test_files_say_it_step_by_step() -> None:
    """One copy of the body a step, one of its weights; the same numbers."""
    graph = scan(Scan(body(), STEPS), (1, STEPS, WIDTH), (1, 1, WIDTH))
    again = read_tflite(write_tflite(graph), name="again")
    found = [node.op for node in again.nodes()]
    assert found.count(Op.FULLY_CONNECTED) == STEPS
    assert Op.SCAN not in found
    rng = np.random.default_rng(1)
    inputs = [rng.standard_normal(n.type.shape).astype(np.float32) for n in graph.inputs]
    for a, b in zip(run(graph, inputs), run(again, inputs), strict=True):
        np.testing.assert_array_equal(a, b)
    assert again.outputs[0].name == "out0"


def test_samples_run_one_by_one() -> None:
    graph = scan(Scan(body(), STEPS), (1, STEPS, WIDTH), (1, 1, WIDTH))
    rng = np.random.default_rng(2)
    inputs = [rng.standard_normal((5, *n.type.shape[1:])).astype(np.float32) for n in graph.inputs]
    found = run_samples(graph, inputs)
    for index in range(5):
        (wanted, _) = run(graph, [v[index : index + 1] for v in inputs])
        np.testing.assert_array_equal(found[0][index], wanted[0])
