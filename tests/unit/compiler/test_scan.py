"""Scans in C: the text, and what host and core compute; inside other graphs, and others inside."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compiler.build import build
from milliwatt.compiler.emit import emit
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.program import compile_graph
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import machine_for
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Elementwise, FullyConnected, Reshape, Unary
from milliwatt.ir.attrs.control import If
from milliwatt.ir.attrs.pointwise import Pointwise
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session, run
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify
from support.ladder import started
from support.single_ops import random_frames, single_op

F32 = DType.F32


def add(a: Node, b: Node, name: str) -> Node:
    return Node(Op.ADD, (a, b), Elementwise(), name)


def results(scan: Node, *names: str) -> tuple[Node, ...]:
    """The first results of a scan, under `names`."""
    assert isinstance(scan.attrs, Scan)
    return parts(scan, scan.attrs.results[: len(names)], names)


def accumulating(steps: int = 4, width: int = 3, batch: int = 1) -> Graph:
    """The running sum of a sequence, which carries on from run to run."""
    x, held = (graph_input((batch, 1, width), F32, name) for name in ("x", "held"))
    new = add(x, held, "new")
    body = Graph((x, held), (new, new), name="body")
    given = graph_input((batch, steps, width), F32, "given")
    total = state(np.zeros((batch, 1, width), np.float32), "total")
    node = Node(Op.SCAN, (given, total), Scan(body, steps), "scan")
    y, last = results(node, "y", "last")
    return verify(Graph((given,), (y,), ((total, last),), name="accumulating"))


@pytest.mark.parametrize("batch", [1, 2])
def test_the_reference_sums_along_axis_1(batch: int) -> None:
    graph = accumulating(batch=batch)
    x = np.arange(2 * batch * 12, dtype=np.float32).reshape(2, batch, 4, 3)
    session, before = Session(graph), np.zeros((batch, 1, 3), np.float32)
    for chunk in x:
        (found,) = session.run([chunk])
        np.testing.assert_array_equal(found, before + np.cumsum(chunk, axis=1))
        before = found[:, -1:]


@pytest.mark.parametrize(("board", "count"), [("host", 8), ("cortex-m4", 3)])
def test_draws_equal_the_reference(board: str, count: int) -> None:
    for seed in range(count):
        graph = single_op("scan", (F32, DType.S8)[seed % 2], seed)
        machine, session = started(graph, board), Session(graph)
        for frame in random_frames(graph, seed):
            found = machine.run(frame).outputs
            for a, b in zip(session.run(frame), found, strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-6, atol=1e-6)


def test_a_scan_is_one_loop_and_one_layer() -> None:
    """The code does not grow with the steps; the cycles do."""
    sizes, cycles = [], []
    for steps in (4, 40):
        graph = accumulating(steps)
        text = emit(compile_graph(graph))["mw_model.c"]
        assert f"for (int32_t t = 0; t < {steps}; t++) {{" in text
        sizes.append(len(text.splitlines()))
        board = find_board("cortex-m4")
        machine = machine_for(board).load(build(graph, board))
        trace = machine.run((np.zeros((1, steps, 3), np.float32),))
        assert [layer.name for layer in trace.layers] == ["scan", "(runtime)"]
        cycles.append(trace.layers[0].cycles)
    assert sizes[0] == sizes[1]
    assert 5 < cycles[1] / cycles[0] < 12


def test_passes_run_inside() -> None:
    """An activation is fused in the body, too."""
    x, held = (graph_input((1, 1, 3), F32, name) for name in ("x", "held"))
    weight = constant(np.eye(3, dtype=np.float32), "weight")
    flat = Node(Op.RESHAPE, (x,), Reshape((1, 3)), "flat")
    product = Node(Op.FULLY_CONNECTED, (flat, weight), FullyConnected(), "product")
    shaped = Node(Op.RESHAPE, (product,), Reshape((1, 1, 3)), "shaped")
    twice = Node(Op.TANH, (Node(Op.TANH, (add(shaped, held, "sum"),), Unary(), "a"),), Unary(), "b")
    kept = Node(Op.RESHAPE, (twice,), Reshape((1, 1, 3)), "kept")
    given = graph_input((1, 5, 3), F32, "given")
    start = constant(np.zeros((1, 1, 3), np.float32), "start")
    body = Graph((x, held), (kept, kept), name="body")
    node = Node(Op.SCAN, (given, start), Scan(body, 5), "scan")
    graph = Graph((given,), results(node, "y"))
    done = run_passes(verify(graph))
    (inner,) = (n.attrs for n in done.nodes() if isinstance(n.attrs, Scan))
    assert "kept" not in [n.name for n in inner.body.nodes()]
    values = np.linspace(-1, 1, 15, dtype=np.float32).reshape(1, 5, 3)
    np.testing.assert_array_equal(run(done, [values])[0], run(graph, [values])[0])


def nested() -> Graph:
    """A scan whose body holds a scan and a choice."""
    x, held = graph_input((2, 1, 3), F32, "x"), graph_input((2, 1, 1), F32, "held")
    a, b = graph_input((2, 1), F32, "a"), graph_input((2, 1), F32, "b")
    deep = Graph((a, b), (add(a, b, "both"), add(a, b, "next")), name="deep")
    turned = Node(Op.RESHAPE, (x,), Reshape((2, 3)), "row")
    start = Node(Op.RESHAPE, (held,), Reshape((2, 1)), "start")
    inner = Node(Op.SCAN, (turned, start), Scan(deep, 3), "inner")
    sums, last = results(inner, "sums", "last")
    limit = constant(np.array([[1.0]], np.float32), "limit")
    first = Node(Op.RESHAPE, (last,), Reshape((2, 1, 1)), "first")
    least = Node(Op.MINIMUM, (first, limit), Pointwise(), "least")
    out = Node(Op.RESHAPE, (sums,), Reshape((2, 1, 3)), "out")
    body = Graph((x, held), (out, least), name="body")
    given = graph_input((2, 4, 3), F32, "given")
    begin = graph_input((2, 1, 1), F32, "begin")
    node = Node(Op.SCAN, (given, begin), Scan(body, 4), "outer")
    return verify(Graph((given, begin), results(node, "y", "end")))


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_scans_nest(board: str) -> None:
    graph = nested()
    rng = np.random.default_rng(1)
    inputs = tuple(rng.standard_normal(n.type.shape).astype(np.float32) for n in graph.inputs)
    for wanted, found in zip(
        run(graph, inputs), started(graph, board).run(inputs).outputs, strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_scan_inside_a_choice() -> None:
    flag, x = graph_input((1,), DType.BOOL, "flag"), graph_input((1, 4, 3), F32, "x")

    def branch(name: str) -> Graph:
        given, start = (
            graph_input((1, 4, 3), F32, "x"),
            constant(np.zeros((1, 1, 3), np.float32), "s"),
        )
        a, b = (graph_input((1, 1, 3), F32, n) for n in "ab")
        new = add(a, b, "new")
        attrs = Scan(Graph((a, b), (new, new), name="body"), 4)
        node = Node(Op.SCAN, (given, start), attrs, "scan")
        return Graph((given,), parts(node, attrs.results[:1], ["sums"]), name=name)

    other = graph_input((1, 4, 3), F32, "x")
    otherwise = Graph((other,), (Node(Op.NEG, (other,), Pointwise(), "n"),), name="otherwise")
    attrs = If(branch("then"), otherwise)
    node = Node(Op.IF, (flag, x), attrs, "choice")
    graph = verify(Graph((flag, x), parts(node, attrs.results, ["y"])))
    machine = started(graph, "host")
    values = np.arange(12, dtype=np.float32).reshape(1, 4, 3)
    for choice in (True, False):
        given = (np.array([choice]), values)
        np.testing.assert_array_equal(machine.run(given).outputs[0], run(graph, given)[0])


def test_what_has_no_kernel_inside_is_named() -> None:
    quant = Quant.per_tensor(0.1)
    x, held = (graph_input((1, 1, 3), DType.S8, name, quant) for name in ("x", "held"))
    bias = graph_input((3,), DType.S32, "bias")
    weight = constant(np.eye(3, dtype=np.int8), "weight", quant)
    odd = Node(Op.FULLY_CONNECTED, (x, weight, bias), FullyConnected(quant=quant), "odd")
    shaped = Node(Op.RESHAPE, (odd,), Reshape((1, 1, 3)), "shaped")
    attrs = Scan(Graph((x, held, bias), (shaped, held)), 4)
    given = graph_input((1, 4, 3), DType.S8, "given", quant)
    start = graph_input((1, 1, 3), DType.S8, "start", quant)
    more = graph_input((3,), DType.S32, "more")
    node = Node(Op.SCAN, (given, start, more), attrs, "scan")
    graph = Graph((given, start, more), parts(node, attrs.results[:1], ["y"]))
    with pytest.raises(
        UnsupportedOp, match=r"scan \(scan\): body: odd \(.*\): bias is computed by"
    ):
        compile_graph(graph)
