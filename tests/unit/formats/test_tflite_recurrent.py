"""SVDF and LSTM of .tflite files: what of them is read, and what is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, InvalidGraph, MilliwattError, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.recurrent import Lstm
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType
from support.conformance import difference, single_case
from support.ops.recurrent import draw_lstm, draw_svdf
from support.oracle import LiteRt, Tflm
from support.tflite_edit import Edit, edited, operator, tensor

TANH, SIGN_BIT = 4, 5


def lstm_model(dtype: DType = DType.F32, seed: int = 0) -> bytes:
    return write_tflite(draw_lstm(np.random.default_rng(seed), dtype))


def svdf_model(dtype: DType = DType.F32, seed: int = 0) -> bytes:
    return write_tflite(draw_svdf(np.random.default_rng(seed), dtype))


def same_as_tflm(model: bytes, runs: int = 4) -> Graph:
    """Our reference equals TFLM over several runs; floats within 1e-5."""
    graph, rng = read_tflite(model), np.random.default_rng(1)
    ours, theirs = Session(graph), Tflm(model)
    for _ in range(runs):
        given = []
        for node in graph.inputs:
            values = rng.standard_normal(node.type.shape) * (1 if node.type.dtype.is_float else 40)
            given.append(values.astype(node.type.dtype.numpy))
        wanted, got = theirs.run(given), ours.run(given)[0]
        if got.dtype == np.float32:
            np.testing.assert_allclose(got, wanted, atol=1e-5)
        else:
            np.testing.assert_array_equal(got, wanted)
    return graph


def change_operand(tree: Any, index: int, number: int) -> None:
    inputs = list(operator(tree, "y").inputs)
    inputs[index] = number
    operator(tree, "y").inputs = inputs


def given(index: int, name: str) -> Edit:
    """Let operand `index` of the LSTM be the tensor called `name`."""

    def edit(tree: Any) -> None:
        tensors = tree.subgraphs[0].tensors
        change_operand(tree, index, tensors.index(tensor(tree, name)))

    return edit


def option(field: str, value: Any) -> Edit:
    def edit(tree: Any) -> None:
        setattr(operator(tree, "y").builtinOptions, field, value)

    return edit


def left_out(index: int) -> Edit:
    def edit(tree: Any) -> None:
        change_operand(tree, index, -1)

    return edit


def fixed_state(tree: Any) -> None:
    tensor(tree, "hidden").isVariable = False


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        (given(9, "b_input"), UnsupportedOp, r"y \(UNIDIREC.*operand 9 .*: peephole weights"),
        (given(16, "r_cell"), UnsupportedOp, r"operand 16 \(r_cell\): a projection; an LSTM"),
        (given(23, "b_cell"), UnsupportedOp, "operand 23 .*: layer normalization"),
        (left_out(1), UnsupportedOp, "the input gate is coupled to the forget gate"),
        (left_out(6), ImportFailed, "operand 6 is missing"),
        (option("fusedActivationFunction", 1), UnsupportedOp, r"number 1; 4 \(TANH\) wanted"),
        (option("diagonalRecurrentTensors", True), UnsupportedOp, "weights are diagonal"),
        (fixed_state, MilliwattError, "hidden"),
        (option("cellClip", float("nan")), ImportFailed, "cell_clip is nan; a finite number"),
    ],
)
def test_lstms_that_are_refused(edit: Edit, kind: type[MilliwattError], message: str) -> None:
    with pytest.raises(kind, match=message):
        read_tflite(edited(lstm_model(), edit))


def test_operands_are_counted() -> None:
    def fewer(tree: Any) -> None:
        operator(tree, "y").inputs = operator(tree, "y").inputs[:20]

    with pytest.raises(ImportFailed, match="20 operands; 24 wanted"):
        read_tflite(edited(lstm_model(), fewer))


def test_f32_with_integer_weights_is_refused() -> None:
    """TFLM would take the bytes for floats."""
    with pytest.raises(UnsupportedOp, match="f32 with s8 weights is computed by no kernel"):
        read_tflite(edited(lstm_model(), hybrid))


def hybrid(tree: Any) -> None:
    for gate in ("input", "forget", "cell", "output"):
        for role in "wr":
            entry = tensor(tree, f"{role}_{gate}")
            entry.type = 9  # INT8
            tree.buffers[entry.buffer].data = tree.buffers[entry.buffer].data[::4]


@pytest.mark.parametrize("dtype", [DType.F32, DType.S8, DType.S16])
def test_edited_lstms_equal_tflm(dtype: DType) -> None:
    """Another cell bound, and no signature of ours, over several runs."""
    for seed in range(4):
        clipped = edited(lstm_model(dtype, seed), option("cellClip", 0.25))
        graph = same_as_tflm(clipped)
        (node,) = (n for n in graph.nodes() if isinstance(n.attrs, Lstm))
        assert node.attrs.cell_clip == 0.25
        assert [(s.op, n.op) for s, n in graph.updates] == [(Op.STATE, Op.PART)] * 2


@pytest.mark.parametrize("dtype", [DType.F32, DType.S8])
def test_litert_opens_what_we_write(dtype: DType) -> None:
    """Integer models state the scales of their gates, which TFLM does not read."""
    model = lstm_model(dtype, 1)
    (x,) = read_tflite(model).inputs
    LiteRt(model).run_all([np.zeros(x.type.shape, x.type.dtype.numpy)])


def test_svdf_with_tanh_is_two_operators() -> None:
    graph = same_as_tflm(edited(svdf_model(), option("fusedActivationFunction", TANH)))
    assert [node.op for node in graph.nodes()][-2:] == [Op.SVDF, Op.TANH]


def test_integer_svdf_has_no_activation() -> None:
    """TFLM ignores what the file says; the result's zero point is where it cuts."""
    for seed in range(3):
        same_as_tflm(edited(svdf_model(DType.S8, seed), option("fusedActivationFunction", 1)))


@pytest.mark.parametrize(
    ("edit", "kind", "message"),
    [
        (option("fusedActivationFunction", SIGN_BIT), UnsupportedOp, "activation SIGN_BIT; NONE"),
        (option("rank", 0), ImportFailed, "rank is 0; 1 or more wanted"),
        (option("rank", 5000), ImportFailed, "rank is 5000 of .* filters; a divisor wanted"),
        (left_out(4), ImportFailed, "operand 4 is missing"),
        (left_out(1), ImportFailed, "operand 1 is missing"),
    ],
)
def test_svdfs_that_are_refused(edit: Edit, kind: type[MilliwattError], message: str) -> None:
    with pytest.raises(kind, match=rf"y(\.state)? \((SVDF|svdf|svdf_state)\): .*{message}"):
        read_tflite(edited(svdf_model(), edit))


def test_svdf_without_a_bias_adds_zeros() -> None:
    """TFLM looks at a bias that is not there; the reference takes zeros."""
    model = edited(svdf_model(), left_out(3))
    graph = read_tflite(model)
    (node,) = (n for n in graph.nodes() if n.op is Op.SVDF)
    assert not node.src[2].value.any()
    same_as_tflm(write_tflite(graph))


def test_mixed_svdf_types_are_refused() -> None:
    def mixed(tree: Any) -> None:
        entry = tensor(tree, "weights")
        wide = entry.type == 7  # INT16
        entry.type = 9 if wide else 7
        data = np.array(tree.buffers[entry.buffer].data, np.uint8)
        tree.buffers[entry.buffer].data = list(data[::2] if wide else np.repeat(data, 2))

    with pytest.raises(UnsupportedOp, match=r"y \(SVDF\): time weights are s\d+, the state s\d+"):
        read_tflite(edited(svdf_model(DType.S8), mixed))


def test_states_that_are_computed_cannot_be_written() -> None:
    x = graph_input((1, 2, 3), DType.F32, "x")
    shapes = [(2, 3)] * 4 + [(2, 2)] * 4 + [(2,)] * 4
    fixed = [constant(np.ones(s, np.float32), f"c{i}") for i, s in enumerate(shapes)]
    states = [graph_input((1, 2), DType.F32, name) for name in ("h", "c")]
    node = Node(Op.LSTM, (x, *fixed, *states), Lstm(), "lstm")
    (y,) = parts(node, [node.type.__class__((1, 2, 2), DType.F32)], ["y"])
    with pytest.raises(InvalidGraph, match=r"lstm \(lstm\): h is computed \(input\); TFLite's op"):
        write_tflite(Graph((x, *states), (y,)))
    held = graph_input((1, 4), DType.F32, "held")
    features = constant(np.ones((2, 3), np.float32), "features")
    flat = graph_input((1, 3), DType.F32, "x")
    new = Node(Op.SVDF_STATE, (flat, features, held), Attrs(), "new")
    with pytest.raises(InvalidGraph, match=r"new \(svdf_state\): no svdf reads it"):
        write_tflite(Graph((flat, held), (new,)))


def test_hostile_scales_and_missing_ones_are_no_crash() -> None:
    """Factors beyond float32, results without a scale: numbers that saturate, or a refusal."""

    def scaled(tree: Any) -> None:
        for entry in tree.subgraphs[0].tensors:
            if entry.quantization is not None and entry.name in (b"x", b"w_input", b"features"):
                entry.quantization.scale = [3e38]

    for model in (lstm_model(DType.S8), svdf_model(DType.S8)):
        graph = read_tflite(edited(model, scaled))
        (x,) = graph.inputs
        Session(graph).run([np.ones(x.type.shape, np.int8)])

    def unscaled(tree: Any) -> None:
        tensor(tree, "y").quantization = None

    for model in (lstm_model(DType.S8), svdf_model(DType.S8)):
        with pytest.raises(ImportFailed, match="y .*has no quantization"):
            read_tflite(edited(model, unscaled))


@pytest.mark.parametrize("seed", [1017, 1092])
def test_gate_factors_are_products_in_double(seed: int) -> None:
    """Products in float32 are halves of a 15-bit step here: they would round the other way."""
    case = single_case("lstm", DType.S16, seed)
    assert difference(case, case.wanted(), case.reference()).problem is None
