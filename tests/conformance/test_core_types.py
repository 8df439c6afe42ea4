"""Sums, products, pools, activations and conversions beyond what the drawn grid says of them.

Every argument of the int16 tables, special floats, ranks, what TensorFlow Lite Micro leaves out.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from milliwatt.errors import UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import (
    NO_CLAMP,
    RELU,
    RELU6,
    Attrs,
    Clamp,
    ClampAttrs,
    Elementwise,
    Mean,
    Pool2d,
    Quantize,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from support.oracle import Tflm, litert
from support.single_ops import random_inputs, single_op
from support.tflite_edit import edited, operator

F32, S8, S16, S32 = DType.F32, DType.S8, DType.S16, DType.S32
COUNT = 300
RELU_0_TO_1: Clamp = (0.0, 1.0)
SPECIAL = np.array(
    [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, 6, 7, 0.5], np.float32
)
PAIRS = np.array(list(itertools.product(SPECIAL, SPECIAL)), np.float32)


def _graph(node: Node) -> Graph:
    return Graph(tuple(dict.fromkeys(n for n in node.src if n.op is Op.INPUT)), (node,))


def _ours(model: bytes, inputs: list[np.ndarray]) -> np.ndarray:
    return run(read_tflite(model), inputs)[0]


def _equal(graph: Graph, inputs: list[np.ndarray]) -> None:
    """The file of `graph` gives TFLM's bytes."""
    model = write_tflite(graph)
    wanted, got = Tflm(model, 8 << 20).run(inputs), _ours(model, inputs)
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted, strict=True)


def _drawn_clamp(dtype: DType, bounds: Clamp, seed: int) -> Graph:
    node = single_op("clamp", dtype, seed).outputs[0]
    return _graph(Node(Op.CLAMP, node.src, replace(node.attrs, bounds=bounds), "y"))


def test_int16_relu_equals_tflite_micro() -> None:
    for seed in range(COUNT):
        graph = _drawn_clamp(S16, RELU, seed)
        _equal(graph, random_inputs(graph, seed))


def test_int16_relu6_equals_litert() -> None:
    """TFLM's RELU6 does not rescale: docs/spec.md, "Known deviations"."""
    differing = 0
    for seed in range(COUNT):
        graph = _drawn_clamp(S16, RELU6, seed)
        inputs, model = random_inputs(graph, seed), write_tflite(graph)
        got = _ours(model, inputs)
        np.testing.assert_array_equal(got, litert(model, inputs))
        if graph.outputs[0].type == graph.inputs[0].type:
            np.testing.assert_array_equal(got, Tflm(model).run(inputs))
        else:
            differing += int((got != Tflm(model).run(inputs)).any())
    assert differing > 0, "TFLM rescales RELU6 now: take the row out of docs/spec.md"


@pytest.mark.parametrize("dtype", [S8, F32], ids=str)
def test_relu_0_to_1_equals_litert(dtype: DType) -> None:
    """TFLM has no RELU_0_TO_1; TensorFlow Lite has."""
    for seed in range(COUNT // 3):
        graph = _drawn_clamp(dtype, RELU_0_TO_1, seed)
        inputs, model = random_inputs(graph, seed), write_tflite(graph)
        np.testing.assert_array_equal(_ours(model, inputs), litert(model, inputs))


# What is every value read at: a power of two as it is, one nearby, one that rounds, the coarsest.
SCALES = (2.0**-12, 2.0**-12 * 1.0004, 2.0**-11, 3.3e-4, 1e-9, 0.37, 2.6665)


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH], ids=str)
@pytest.mark.parametrize("scale", SCALES)
def test_int16_functions_of_every_value(op: Op, scale: float) -> None:
    every = np.arange(-(2**15), 2**15).astype(np.int16)
    x = graph_input(every.shape, S16, "x", Quant.per_tensor(scale))
    _equal(_graph(Node(op, (x,), Unary(), "y")), [every])


def test_int16_softmax_of_every_difference() -> None:
    """Two values a row, 0 to 65535 apart in steps of the table: both tables from end to end."""
    apart = np.arange(2**16)
    rows = np.stack([np.full(2**16, 32767), 32767 - apart], axis=1).astype(np.int16)
    x = graph_input(rows.shape, S16, "x", Quant.per_tensor(10 / 65535))
    _equal(_graph(Node(Op.SOFTMAX, (x,), Softmax(), "y")), [rows])


@pytest.mark.parametrize("row", [1, 3, 1000, 65535])
def test_int16_softmax_of_long_rows(row: int) -> None:
    rng = np.random.default_rng(row)
    x = graph_input((1, row), S16, "x", Quant.per_tensor(1e-5))
    values = rng.integers(-(2**15), 2**15, (1, row)).astype(np.int16)
    _equal(_graph(Node(Op.SOFTMAX, (x,), Softmax(), "y")), [values])


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB], ids=str)
def test_int16_sums_with_zero_points(op: Op) -> None:
    """The 16-bit specification has none, TFLM's ADD and SUB take them."""
    rng = np.random.default_rng(0)
    for zero in (-32767, -5, 1000, 32766):
        a = graph_input((500,), S16, "a", Quant.per_tensor(0.001, zero))
        b = graph_input((500,), S16, "b", Quant.per_tensor(0.003, -zero // 2))
        node = Node(op, (a, b), Elementwise(quant=Quant.per_tensor(0.004, zero // 3)), "y")
        values = [rng.integers(-(2**15), 2**15, 500).astype(np.int16) for _ in range(2)]
        _equal(_graph(node), values)


def test_int32_add_keeps_its_activation() -> None:
    """TFLM drops the activation of an int32 ADD, TensorFlow Lite applies it."""
    a, b = (graph_input((4,), S32, name) for name in "ab")
    left = np.array([5, -9, 2**30, 3], np.int32)
    right = np.array([-7, 10, 2**29, 2], np.int32)
    for clamp in (RELU, RELU6, (-1.0, 1.0)):
        model = write_tflite(_graph(Node(Op.ADD, (a, b), Elementwise(clamp), "y")))
        got = _ours(model, [left, right])
        np.testing.assert_array_equal(got, litert(model, [left, right]))
        assert (Tflm(model).run([left, right]) == left + right).all(), "take it out of docs/spec.md"


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB, Op.MUL], ids=str)
def test_indices_wrap(op: Op) -> None:
    a, b = (graph_input((4,), S32, name) for name in "ab")
    low, high = -(2**31), 2**31 - 1
    values = [np.array([high, low, low, 65537], np.int32), np.array([1, -1, low, 65539], np.int32)]
    _equal(_graph(Node(op, (a, b), Elementwise(), "y")), values)


def _same_bits(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Equal with the sign of zero, any NaN being any other."""
    return (got.view(np.int32) == wanted.view(np.int32)) | (np.isnan(got) & np.isnan(wanted))


def _special_nodes() -> list[tuple[Node, list[np.ndarray]]]:
    a, b = (graph_input((len(PAIRS),), F32, name) for name in "ab")
    both = [PAIRS[:, 0].copy(), PAIRS[:, 1].copy()]
    image = graph_input((1, len(PAIRS), 2, 1), F32, "x")
    rows = graph_input(PAIRS.shape, F32, "x")
    window = Pool2d((1, 2), (1, 2))
    return [
        *(
            (Node(op, (a, b), Elementwise(clamp), "y"), both)
            for op in (Op.ADD, Op.SUB, Op.MUL)
            for clamp in (NO_CLAMP, RELU, RELU6)
        ),
        (Node(Op.CLAMP, (rows,), ClampAttrs(RELU6), "y"), [PAIRS]),
        (Node(Op.MAX_POOL2D, (image,), window, "y"), [PAIRS.reshape(image.type.shape)]),
        (Node(Op.AVERAGE_POOL2D, (image,), window, "y"), [PAIRS.reshape(image.type.shape)]),
        (Node(Op.MEAN, (rows,), Mean((1,)), "y"), [PAIRS]),
    ]


@pytest.mark.parametrize(("node", "values"), _special_nodes(), ids=lambda v: str(v)[:40])
def test_special_floats_are_tflite_micros(node: Node, values: list[np.ndarray]) -> None:
    """Infinities, NaN, subnormals, signed zeros and sums that overflow, bit for bit."""
    model = write_tflite(_graph(node))
    got, wanted = _ours(model, values), Tflm(model).run(values)
    assert _same_bits(got, wanted).all()


def test_special_floats_of_softmax() -> None:
    x = graph_input(PAIRS.shape, F32, "x")
    model = write_tflite(_graph(Node(Op.SOFTMAX, (x,), Softmax(), "y")))
    got, wanted = _ours(model, [PAIRS]), Tflm(model).run([PAIRS])
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_relu_of_infinity_is_the_largest_float() -> None:
    """As a fused RELU of TFLite gives it, so that fusing changes nothing; TFLM's RELU keeps it."""
    x = graph_input((2,), F32, "x")
    values = [np.array([np.inf, -np.inf], np.float32)]
    alone = write_tflite(_graph(Node(Op.CLAMP, (x,), ClampAttrs(RELU), "y")))
    fused = write_tflite(_graph(Node(Op.ADD, (x, x), Elementwise(RELU), "y")))
    top = np.finfo(np.float32).max
    np.testing.assert_array_equal(_ours(alone, values), [top, 0])
    np.testing.assert_array_equal(Tflm(fused).run(values), [top, 0])
    np.testing.assert_array_equal(Tflm(alone).run(values), [np.inf, 0])


@pytest.mark.parametrize("dtype", [F32, S8, S16, S32, DType.U8, DType.BOOL], ids=str)
def test_scalars_and_eight_axes(dtype: DType) -> None:
    """Reshapes between no axes, one, and eight."""
    for before, after in (((1,), ()), ((), (1, 1)), ((2, 6), (1, 2, 1, 3, 1, 2, 1, 1))):
        x = graph_input(before, dtype, "x", Quant.per_tensor(0.5) if dtype in (S8, S16) else None)
        graph = _graph(Node(Op.RESHAPE, (x,), Reshape(after), "y"))
        _equal(graph, random_inputs(graph, 0))


def test_sums_of_scalars() -> None:
    a, b = graph_input((), F32, "a"), graph_input((2, 3), F32, "b")
    values = [np.array(2.5, np.float32), np.arange(6, dtype=np.float32).reshape(2, 3)]
    for op, pair in itertools.product((Op.ADD, Op.SUB, Op.MUL), ((a, b), (b, a))):
        _equal(
            _graph(Node(op, pair, Elementwise(), "y")), [values[pair[0] is b], values[pair[0] is a]]
        )


def test_transpose_of_eight_axes_equals_litert() -> None:
    """TFLM ends at five axes, LiteRT at six; NumPy judges what is beyond."""
    perm = (5, 0, 3, 1, 4, 2)
    x = graph_input((2, 1, 3, 2, 2, 2), S8, "x", Quant.per_tensor(0.5))
    graph = _graph(Node(Op.TRANSPOSE, (x,), Transpose(perm), "y"))
    inputs = random_inputs(graph, 0)
    np.testing.assert_array_equal(
        _ours(write_tflite(graph), inputs), litert(write_tflite(graph), inputs)
    )


@pytest.mark.parametrize(("number", "name"), [(4, "TANH"), (5, "SIGN_BIT")])
@pytest.mark.parametrize("name_of_op", ["add", "mul", "max_pool2d"])
def test_fused_activations_that_nobody_runs(number: int, name: str, name_of_op: str) -> None:
    model = write_tflite(single_op(name_of_op, S8, 0))

    def other(tree: object) -> None:
        operator(tree, "y").builtinOptions.fusedActivationFunction = number

    with pytest.raises(UnsupportedOp, match=rf"y \(.*\): fused activation {name}; NONE, RELU"):
        read_tflite(edited(model, other))


def test_a_computed_shape_is_the_declared_one() -> None:
    """Converters compute the shapes of RESHAPE at run time; TFLM too takes the declared one."""
    x, size = graph_input((2, 6), F32, "x"), graph_input((2,), S32, "size")
    twice = Node(Op.ADD, (size, size), Elementwise(), "twice")
    flat = Node(Op.RESHAPE, (x,), Reshape((3, 4)), "flat")
    graph = Graph((x, size), (flat, twice))

    def computed(tree: Any) -> None:
        flat = operator(tree, "flat")
        flat.inputs = [flat.inputs[0], operator(tree, "twice").outputs[0]]
        subgraph = tree.subgraphs[0]
        subgraph.operators = sorted(subgraph.operators, key=lambda op: op is flat)

    model = edited(write_tflite(graph), computed)
    inputs = [np.arange(12, dtype=np.float32).reshape(2, 6), np.array([1, 2], np.int32)]
    np.testing.assert_array_equal(_ours(model, inputs), Tflm(model).run(inputs))


def test_per_axis_weights_of_float_models_are_dequantized() -> None:
    """A float model that stores int8 weights with a scale a channel: one constant after folding."""
    from milliwatt.ir.fold import fold_constants
    from milliwatt.ir.graph import constant

    values = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    weight = constant(values, "w", Quant.per_axis(np.array([0.5, 1, 2], np.float32), 0))
    real = Node(Op.DEQUANTIZE, (weight,), Attrs(), "real")
    x = graph_input((3, 4), F32, "x")
    graph = Graph((x,), (Node(Op.ADD, (x, real), Elementwise(), "y"),))
    inputs = [np.zeros((3, 4), np.float32)]
    got = _ours(write_tflite(graph), inputs)
    np.testing.assert_array_equal(got, values * np.array([[0.5], [1], [2]], np.float32))
    assert all(n.op is not Op.DEQUANTIZE for n in fold_constants(graph).nodes())


@pytest.mark.parametrize("zero", [0, 5])
def test_bytes_change_their_sign(zero: int) -> None:
    """uint8 models around int8 ones: the shift by 128 and the general change of scale."""
    every = np.arange(256).astype(np.uint8)
    x = graph_input((256,), DType.U8, "x", Quant.per_tensor(0.5, 128 + zero))
    signed = Node(Op.REQUANTIZE, (x,), Quantize(S8, Quant.per_tensor(0.5, 0)), "signed")
    back = Quantize(DType.U8, Quant.per_tensor(0.4, 128))
    _equal(Graph((x,), (Node(Op.REQUANTIZE, (signed,), back, "y"),)), [every])
