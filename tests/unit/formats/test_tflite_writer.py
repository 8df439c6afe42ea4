"""What milliwatt writes as .tflite: the same graph when read, files that others load."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from milliwatt.compiler.pipeline import run_passes
from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_write import WRITERS
from milliwatt.formats.tflite_write.written import Written
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import (
    NO_CLAMP,
    Clamp,
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    Lookup,
    Pool2d,
    Reshape,
    Unary,
)
from milliwatt.ir.attrs.control import If
from milliwatt.ir.attrs.matrix import TransposeConv2d
from milliwatt.ir.attrs.move import ShiftIn
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session, run
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType, Quant
from milliwatt.zoo.recurrent import rnn
from support.effort import cpu_seconds
from support.oracle import LiteRt, Tflm
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf, shared
from support.single_ops import random_inputs
from support.tflite_edit import small_graph

MODELS = [
    *(f"models/mlperf_tiny/{file}" for file in (*INT8_MODELS.values(), *FLOAT_MODELS.values())),
    *(f"models/tflm/{name}.tflite" for name in ("micro_speech_quantized", "person_detect")),
    *(f"models/tflm/audio_preprocessor_{kind}.tflite" for kind in ("int8", "float")),
]


def tree(model: bytes) -> Any:
    """The file's object form, by LiteRT's own schema."""
    return schema.ModelT.InitFromPackedBuf(model, 0)


@pytest.mark.parametrize("file", MODELS)
def test_reading_what_was_written_is_the_same_graph(file: str) -> None:
    graph = read_tflite(shared(file))
    model = write_tflite(graph)
    again = read_tflite(model, name=graph.name)
    assert print_graph(again) == print_graph(graph)
    assert write_tflite(again) == model


def test_a_model_is_written_at_once() -> None:
    graph = read_tflite(mlperf(FLOAT_MODELS["ad"]))
    assert cpu_seconds(lambda: write_tflite(graph), 0.5)[0] < 0.5


@pytest.mark.parametrize("key", INT8_MODELS)
def test_others_give_the_same_bytes(key: str) -> None:
    path = mlperf(INT8_MODELS[key])
    graph = read_tflite(path)
    model, inputs = write_tflite(graph), random_inputs(graph, 0)
    wanted = Tflm(path.read_bytes(), 4 << 20).run(inputs)
    assert np.array_equal(Tflm(model, 4 << 20).run(inputs), wanted)
    litert = LiteRt(path.read_bytes()).run_all(inputs)[0]
    assert np.array_equal(LiteRt(model).run_all(inputs)[0], litert)


def test_constants_are_aligned_and_stored_once() -> None:
    x = graph_input((1, 6), DType.F32, "x")
    twice = [constant(np.arange(6, dtype=np.float32), name) for name in ("a", "b")]
    y = Node(
        Op.ADD, (Node(Op.ADD, (x, twice[0]), Elementwise(), "y"), twice[1]), Elementwise(), "z"
    )
    model = write_tflite(Graph((x,), (y,)))
    data = np.arange(6, dtype="<f4").tobytes()
    assert model.count(data) == 1
    assert model.index(data) % 16 == 0
    assert print_graph(read_tflite(model)) == print_graph(Graph((x,), (y,)))


def test_signature_names_inputs_and_outputs() -> None:
    from ai_edge_litert.interpreter import Interpreter

    graph = small_graph()
    x = random_inputs(graph, 0)[0]
    runner = Interpreter(model_content=write_tflite(graph)).get_signature_runner("serving_default")
    assert list(runner(x=x)) == ["soft"]


def test_operator_versions_follow_the_types() -> None:
    found = {c.builtinCode: c.version for c in tree(write_tflite(small_graph())).operatorCodes}
    codes = schema.BuiltinOperator
    # s8 convolution 3, pool and softmax 2; fully_connected without a bias 6.
    assert found[codes.CONV_2D] == 3
    assert found[codes.AVERAGE_POOL_2D] == found[codes.SOFTMAX] == 2
    assert found[codes.FULLY_CONNECTED] == 6
    assert found[codes.RESHAPE] == 1


@pytest.mark.parametrize("first", [0, 5])
def test_states_go_on_in_other_interpreters(first: int) -> None:
    quant = Quant.per_tensor(0.5, -3)
    x = graph_input((1, 4), DType.S8, "x", quant)
    memory = state(np.full((1, 4), first, np.int8), "memory", quant)
    y = Node(Op.ADD, (x, memory), Elementwise(quant=quant), "y")
    graph = Graph((x,), (y,), ((memory, y),))
    model = write_tflite(graph)
    assert print_graph(read_tflite(model)) == print_graph(graph)
    ours, others = Session(graph), (Tflm(model), LiteRt(model))
    for frame in range(4):
        value = random_inputs(graph, frame)
        (wanted,) = ours.run(value)
        assert all(np.array_equal(other.run_all(value)[0], wanted) for other in others)


def test_branches_are_subgraphs() -> None:
    x, flag = graph_input((1, 4), DType.F32, "x"), graph_input((), DType.BOOL, "flag")

    def branch(factor: float) -> Graph:
        a = graph_input((1, 4), DType.F32, "a")
        b = constant(np.full((1, 4), factor, np.float32), "b")
        return Graph((a,), (Node(Op.MUL, (a, b), Elementwise(), "scaled"), a), name="branch")

    chosen = Node(Op.IF, (flag, x), If(branch(2.0), branch(3.0)), "scaled.results")
    scaled, same = parts(chosen, chosen.attrs.results, ("scaled", "same"))
    graph = Graph((flag, x), (scaled, same))
    model = write_tflite(graph)
    assert len(tree(model).subgraphs) == 3
    again = read_tflite(model)
    assert write_tflite(again) == model
    for value in (True, False):
        inputs = [np.array(value), np.arange(4, dtype=np.float32).reshape(1, 4)]
        for got in (run(again, inputs), LiteRt(model).run_all(inputs, 2)):
            assert all(np.array_equal(g, w) for g, w in zip(got, run(graph, inputs), strict=True))


def test_s4_constants_are_packed() -> None:
    """Two values a byte, the first in the low half; an odd one out leaves a half empty."""
    values = np.array([[1, -2, 7], [-8, 0, 3]], np.int8)
    quant = Quant.per_tensor(0.5)
    held = [constant(v, f"c{n}", quant, DType.S4) for n, v in enumerate((values, values[:, :1]))]
    model = write_tflite(Graph((), tuple(held)))
    stored = [bytes(b.data) for b in tree(model).buffers if b.data is not None]
    assert stored == [bytes([0xE1, 0x87, 0x30]), bytes([0x81])]
    assert {t.type for t in tree(model).subgraphs[0].tensors} == {schema.TensorType.INT4}


def padded(op: Op, dtype: DType) -> Graph:
    """A window over padding that is neither SAME nor VALID."""
    quant = None if dtype.is_float else Quant.per_tensor(0.5, 7)
    x = graph_input((1, 5, 6, 3), dtype, "x", quant)
    around = (2, 0, 1, 2)
    if op is not Op.CONV2D:
        return Graph((x,), (Node(op, (x,), Pool2d((3, 3), (1, 2), around), "y"),))
    weight = constant(
        np.arange(54).reshape(2, 3, 3, 3).astype(dtype.numpy) - 27,
        "y.weight",
        quant and Quant.per_tensor(0.25),
    )
    attrs = Conv2d((1, 2), around, quant=quant and Quant.per_tensor(16.0))
    return Graph((x,), (Node(op, (x, weight), attrs, "y"),))


@pytest.mark.parametrize("dtype", [DType.S8, DType.F32])
@pytest.mark.parametrize("op", [Op.CONV2D, Op.MAX_POOL2D])
def test_explicit_padding_becomes_a_pad(op: Op, dtype: DType) -> None:
    graph = padded(op, dtype)
    model = write_tflite(graph)
    assert [n.op for n in read_tflite(model).nodes() if n.src] == [Op.PAD, op]
    inputs = random_inputs(graph, 0)
    assert np.allclose(Tflm(model).run(inputs), run(graph, inputs)[0], rtol=1e-6, atol=1e-4)


def test_what_passes_fuse_is_written_out() -> None:
    """Residual adds and folded biases of compiler passes are TFLite's operators again."""
    graph = run_passes(read_tflite(mlperf(INT8_MODELS["ic"])))
    assert any(getattr(node.attrs, "folded", False) for node in graph.nodes())
    inputs = random_inputs(graph, 0)
    assert np.array_equal(Tflm(write_tflite(graph), 4 << 20).run(inputs), run(graph, inputs)[0])


@pytest.mark.parametrize("bounds", [(-0.75, 2.5), (-np.inf, 1.5), (0.25, np.inf), NO_CLAMP])
@pytest.mark.parametrize("dtype", [DType.S8, DType.F32])
def test_other_clamps_are_maxima_and_minima(dtype: DType, bounds: Clamp) -> None:
    quant = None if dtype.is_float else Quant.per_tensor(0.03, -9)
    finer = None if dtype.is_float else Quant.per_tensor(0.02, 4)
    x = graph_input((2, 33), dtype, "x", quant)
    alone = Node(Op.CLAMP, (x,), ClampAttrs(bounds, finer), "alone")
    fused = Node(Op.ADD, (x, x), Elementwise(bounds, quant), "fused")
    graph = Graph((x,), (alone, fused))
    model = write_tflite(graph)
    inputs = random_inputs(graph, 0)
    wanted = run(graph, inputs)
    for got in (Tflm(model).run_all(inputs, 2), run(read_tflite(model), inputs)):
        assert all(np.array_equal(g, w) for g, w in zip(got, wanted, strict=True))


def test_tables_are_gathered_from() -> None:
    table = np.random.default_rng(0).integers(-128, 128, 256).astype(np.int8)
    x = graph_input((2, 128), DType.S8, "x", Quant.per_tensor(0.5, 3))
    graph = Graph((x,), (Node(Op.LOOKUP, (x,), Lookup(table, Quant.per_tensor(0.1)), "y"),))
    value = np.arange(-128, 128).astype(np.int8).reshape(2, 128)
    for oracle in (Tflm(write_tflite(graph)), LiteRt(write_tflite(graph))):
        assert np.array_equal(oracle.run_all([value])[0], run(graph, [value])[0])


@pytest.mark.parametrize("new", [1, 3, 5])
def test_shifted_buffers_are_joined(new: int) -> None:
    quant = Quant.per_tensor(0.5, 3)
    buffer = graph_input((1, 5, 2), DType.S8, "buffer", quant)
    fresh = graph_input((1, new, 2), DType.S8, "fresh", quant)
    graph = Graph((buffer, fresh), (Node(Op.SHIFT_IN, (buffer, fresh), ShiftIn(1), "y"),))
    inputs = random_inputs(graph, 0)
    assert np.array_equal(Tflm(write_tflite(graph)).run_all(inputs)[0], run(graph, inputs)[0])


def test_what_tflite_cannot_say_is_named() -> None:
    with pytest.raises(
        InvalidGraph, match=r"y \(average_pool2d\): padding .* neither SAME nor VAL"
    ):
        write_tflite(padded(Op.AVERAGE_POOL2D, DType.F32))


def test_operators_keep_states_and_hide_what_they_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer may say of a state that it is a variable tensor, and of nodes that it does them."""
    x = graph_input((1, 4), DType.F32, "x")
    memory = state(np.zeros((1, 4), np.float32), "memory")
    inner = Node(Op.ADD, (x, memory), Elementwise(), "inner")
    y = Node(Op.TANH, (inner,), Unary(), "y")

    def together(node: Node, attrs: Any) -> Written:
        return Written("SVDF", 0, operands=(x, memory), variables=(memory,), hides=(inner,))

    monkeypatch.setitem(WRITERS, Op.TANH, together)
    file = tree(write_tflite(Graph((x,), (y,), ((memory, inner),)))).subgraphs[0]
    assert len(file.operators) == 1
    names = [file.tensors[i].name for i in file.operators[0].inputs]
    assert names == [b"x", b"memory"]
    assert [t.isVariable for t in file.tensors if t.name == b"memory"] == [True]
    with pytest.raises(InvalidGraph, match=r"reads inner \(add\), which TFLite computes inside"):
        write_tflite(Graph((x,), (y, inner), ((memory, inner),)))
    started = state(np.ones((1, 4), np.float32), "memory")
    memory, inner = started, Node(Op.ADD, (x, started), Elementwise(), "inner")
    y = Node(Op.TANH, (inner,), Unary(), "y")
    with pytest.raises(InvalidGraph, match=r"memory \(state\): starts at other values than 0"):
        write_tflite(Graph((x,), (y,), ((memory, inner),)))


def test_several_results_share_one_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are results in order; one that nobody reads has a tensor all the same."""
    x = graph_input((1, 4), DType.F32, "x")
    chosen = If(*(Graph((a,), (a, a, a)) for a in (graph_input((1, 4), DType.F32, "a"),) * 2))
    bundle = Node(Op.IF, (graph_input((), DType.BOOL, "flag"), x), chosen, "bundle")
    first, _, last = parts(bundle, chosen.results, ("first", "middle", "last"))
    joined = Node(Op.CONCAT, (last, first), Concat(0), "joined")
    file = tree(write_tflite(Graph((bundle.src[0], x), (joined,)))).subgraphs[0]
    results = [file.tensors[i].name for i in file.operators[0].outputs]
    assert results == [b"first", b"bundle.result1", b"last"]


def test_a_first_result_that_nobody_reads_keeps_its_bundle_name() -> None:
    x, flag = graph_input((1, 4), DType.F32, "x"), graph_input((), DType.BOOL, "flag")
    a = graph_input((1, 4), DType.F32, "a")
    both = If(*(Graph((a,), (a, a), name="branch"),) * 2)
    bundle = Node(Op.IF, (flag, x), both, "loop.results")
    graph = Graph((flag, x), (parts(bundle, both.results, ("loop", "second"))[1],))
    again = read_tflite(write_tflite(graph))
    assert [node.name for node in again.nodes()] == [node.name for node in graph.nodes()]


def test_scalars_keep_their_shape() -> None:
    x = graph_input((1, 1), DType.F32, "x")
    graph = Graph((x,), (Node(Op.RESHAPE, (x,), Reshape(()), "y"),))
    model = write_tflite(graph)
    assert print_graph(read_tflite(model)) == print_graph(graph)
    value = np.array([[3.5]], np.float32)
    assert Tflm(model).run([value]) == LiteRt(model).run_all([value])[0] == 3.5


def test_16_bit_sums_say_that_scales_are_free() -> None:
    quant = Quant.per_tensor(0.0003)
    pair = [graph_input((1, 3), DType.S16, name, quant) for name in "ab"]
    graph = Graph(tuple(pair), (Node(Op.ADD, tuple(pair), Elementwise(quant=quant), "y"),))
    model = write_tflite(graph)
    assert not tree(model).subgraphs[0].operators[0].builtinOptions.potScaleInt16
    inputs = random_inputs(replace(graph, name="sum"), 0)
    assert np.array_equal(LiteRt(model).run_all(inputs)[0], run(graph, inputs)[0])


@pytest.mark.parametrize("steps", [3, 25, 101])
def test_scans_are_unrolled_for_tflm(steps: int) -> None:
    """As many steps as a sequence has; their results are joined ten at a time."""
    rng = np.random.default_rng(0)
    x = graph_input((1, steps, 3), DType.F32, "x")
    weights = [rng.normal(0, 0.5, (4, n)).astype(np.float32) for n in (3, 4)]
    layer = rnn(x, *weights)
    graph = Graph((x,), (layer.y,), layer.updates)
    model = write_tflite(graph)
    oracle, session = Tflm(model), Session(graph)
    for _ in range(2):
        values = rng.normal(0, 1, (1, steps, 3)).astype(np.float32)
        np.testing.assert_allclose(
            oracle.run_all([values])[0], session.run([values])[0], rtol=1e-5, atol=1e-6
        )


@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (3, 1), (2, 2), (3, 2), (1, 1)])
def test_transposed_convolutions_without_padding_open_in_litert(kernel: int, stride: int) -> None:
    size = (5 - 1) * stride + kernel
    x = graph_input((1, 5, 5, 4), DType.F32, "x")
    values = np.random.default_rng(0).normal(0, 1, (2, kernel, kernel, 4)).astype(np.float32)
    weight = constant(values, "weight")
    attrs = TransposeConv2d((size, size), (stride, stride), (0, 0))
    graph = Graph((x,), (Node(Op.TRANSPOSE_CONV2D, (x, weight), attrs, "y"),))
    inputs = random_inputs(graph, 0)
    model = write_tflite(graph)
    for oracle in (Tflm(model), LiteRt(model)):
        np.testing.assert_allclose(
            oracle.run_all(inputs)[0], run(graph, inputs)[0], rtol=1e-5, atol=1e-5
        )
    assert print_graph(read_tflite(model)) == print_graph(graph)
