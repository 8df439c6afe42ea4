"""Products beyond the drawn files: what files of another hand say, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from milliwatt.compiler.bind import bind
from milliwatt.compiler.pipeline import run_passes
from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import RELU, ClampAttrs, Conv2d, FullyConnected
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from support.oracle import Tflm, litert
from support.single_ops import random_inputs, single_op
from support.tflite_edit import edited, operator, tensor

F32, S8, S16 = DType.F32, DType.S8, DType.S16
HALF = Quant.per_tensor(0.5)


def as_uint8(tree: Any) -> None:
    """Turn every int8 tensor of a model into the uint8 tensor of the same values."""
    for entry in tree.subgraphs[0].tensors:
        if entry.type == tflite.TensorType.INT8:
            entry.type = tflite.TensorType.UINT8
            entry.quantization.zeroPoint = np.array(entry.quantization.zeroPoint) + 128
            if entry.buffer:
                data = np.array(tree.buffers[entry.buffer].data, np.uint8) ^ 0x80
                tree.buffers[entry.buffer].data = data


@pytest.mark.parametrize("name", ["conv2d_offset", "depthwise_conv2d_offset"])
def test_zero_points_of_weights_are_those_of_uint8_kernels(name: str) -> None:
    """The integers of LiteRT's uint8 convolutions, 128 more of everything."""
    compared = 0
    for seed in range(120):
        graph = single_op(name, S8, seed)
        if len(graph.outputs[0].src) < 3:
            continue  # LiteRT's CONV_2D wants a bias
        inputs = random_inputs(graph, seed)
        wanted = litert(
            edited(write_tflite(graph), as_uint8), [x.view(np.uint8) ^ 128 for x in inputs]
        )
        np.testing.assert_array_equal(run(graph, inputs)[0].view(np.uint8) ^ 128, wanted)
        compared += 1
    assert compared > 60


def test_tflm_leaves_zero_points_of_int8_convolution_weights_out() -> None:
    """docs/spec.md, "Known deviations": the specification wants 0 there, other files exist."""
    differing = 0
    for seed in range(20):
        graph = single_op("conv2d_offset", S8, seed)
        model, inputs = write_tflite(graph), random_inputs(graph, seed)
        differing += int((Tflm(model).run(inputs) != run(read_tflite(model), inputs)[0]).any())
    assert differing > 0, "TFLM subtracts them now: take the row out of docs/spec.md"


def test_tflm_takes_a_depthwise_bias_of_16x8_for_64_bits() -> None:
    """docs/spec.md, "Known deviations": with 32 bits it reads beyond it, LiteRT refuses."""
    x = graph_input((1, 2, 2, 2), S16, "x", HALF)
    weight = constant(np.full((1, 1, 1, 2), 4, np.int8), "w", Quant.per_tensor(0.25))
    bias = constant(np.array([7, 1], np.int32), "b", Quant.per_tensor(0.125))
    out = Conv2d(quant=Quant.per_tensor(0.125))
    graph = Graph((x,), (Node(Op.DEPTHWISE_CONV2D, (x, weight, bias), out, "y"),))
    model, inputs = write_tflite(graph), [np.arange(8, dtype=np.int16).reshape(1, 2, 2, 2)]
    got = run(read_tflite(model), inputs)[0]
    np.testing.assert_array_equal(got, 4 * inputs[0] + bias.value)
    with pytest.raises(RuntimeError, match="kTfLiteInt64"):
        litert(model, inputs)
    assert (Tflm(model).run(inputs) != got).any(), "take the row out of docs/spec.md"


def s16_graph(op: Op, out: float = 40.0) -> Graph:
    """conv2d or fully_connected of s16 without a bias, its sums far beyond 32 bits."""
    rng = np.random.default_rng(3)
    scales = np.array([0.5, 0.25, 0.125], np.float32)
    if op is Op.FULLY_CONNECTED:
        x = graph_input((2, 1500), S16, "x", HALF)
        values, attrs = (
            rng.integers(60, 128, (3, 1500)),
            FullyConnected(quant=Quant.per_tensor(out)),
        )
    else:
        x = graph_input((1, 3, 3, 300), S16, "x", HALF)
        values, attrs = rng.integers(60, 128, (3, 2, 2, 300)), Conv2d(quant=Quant.per_tensor(out))
    weight = constant(values.astype(np.int8), "w", Quant.per_axis(scales, 0))
    return Graph((x,), (Node(op, (x, weight), attrs, "y"),))


@pytest.mark.parametrize("op", [Op.CONV2D, Op.FULLY_CONNECTED], ids=str)
def test_type_of_sums_where_there_is_no_bias(op: Op) -> None:
    """The option `quantized_bias_type` decides between 32 and 64 bits; 32 wrap."""

    def without_bias(tree: Any, sums: int = tflite.TensorType.FLOAT32) -> None:
        made = operator(tree, "y")
        made.inputs = list(made.inputs)[:2]
        made.builtinOptions.quantizedBiasType = sums

    written = write_tflite(s16_graph(op, 40000.0))
    wide = edited(written, without_bias)
    results = []
    for model in (wide, edited(wide, lambda tree: without_bias(tree, tflite.TensorType.INT32))):
        graph = read_tflite(model)
        inputs = [np.full(graph.inputs[0].type.shape, 32000, np.int16)]
        got = run(graph, inputs)[0]
        np.testing.assert_array_equal(got, Tflm(model).run(inputs))
        assert print_types(read_tflite(write_tflite(graph))) == print_types(graph)
        results.append(got)
    assert (results[0] != results[1]).any()


def print_types(graph: Graph) -> list[str]:
    """The types of a graph's nodes."""
    return [str(node.type) for node in graph.nodes()]


def test_transpose_conv_with_a_bias_of_16_bits() -> None:
    """Old 16x8 models have one; TFLM sums it in 64 bits."""
    x = graph_input((1, 3, 3, 4), S16, "x", Quant.per_tensor(0.001))
    rng = np.random.default_rng(0)
    weight = rng.integers(-127, 128, (2, 3, 3, 4)).astype(np.int8)
    bias = constant(np.array([30000, -12345], np.int64), "b", Quant.per_tensor(0.0005))
    attrs = TransposeConv2d((6, 5), (2, 2), (0, 1), quant=Quant.per_tensor(0.05))
    node = Node(Op.TRANSPOSE_CONV2D, (x, constant(weight, "w", HALF), bias), attrs, "y")

    def narrow(tree: Any) -> None:
        entry = tensor(tree, "b")
        entry.type = tflite.TensorType.INT16
        tree.buffers[entry.buffer].data = bias.value.astype("<i2").view(np.uint8)

    model = edited(write_tflite(Graph((x,), (node,))), narrow)
    graph = read_tflite(model)
    inputs = random_inputs(graph, 0)
    np.testing.assert_array_equal(run(graph, inputs)[0], Tflm(model).run(inputs))


def test_transpose_conv_whose_shape_is_computed() -> None:
    """Keras computes it from the batch; TFLM looks at the result's declared shape only."""

    def compute(tree: Any) -> None:
        graph = tree.subgraphs[0]
        shape = operator(tree, "y").inputs[0]
        graph.tensors[shape].buffer = 0
        graph.inputs = [*graph.inputs, shape]

    for seed in range(10):
        graph = single_op("transpose_conv2d", S8, seed)
        again = read_tflite(edited(write_tflite(graph), compute))
        x = random_inputs(graph, seed)[0]
        got = run(again, [x, np.zeros(4, np.int32)])[0]
        np.testing.assert_array_equal(got, run(graph, [x])[0])


def test_activation_behind_a_transpose_conv_is_fused() -> None:
    x, weight = _image(2, F32), constant(np.ones((3, 2, 2, 2), np.float32), "w")
    node = Node(Op.TRANSPOSE_CONV2D, (x, weight), TransposeConv2d((8, 8), (2, 2)), "y")
    relu = Node(Op.CLAMP, (node,), ClampAttrs(RELU), "relu")
    (fused,) = run_passes(Graph((x,), (relu,))).outputs
    assert fused.op is Op.TRANSPOSE_CONV2D
    assert isinstance(fused.attrs, TransposeConv2d)
    assert fused.attrs.clamp == RELU


def test_f16_weights_stay_f16_in_the_program() -> None:
    """A DEQUANTIZE of a stored f16 is no work and no flash; a computed one is kept."""
    graph = single_op("conv2d_f16", F32, 1)
    node = next(n for n in run_passes(graph).nodes() if n.op is Op.CONV2D)
    call = bind(node)
    assert call.kernel == "mw_conv2d_f16"
    packed = dict(call.fields)["weights"]
    assert isinstance(packed, np.ndarray)
    assert packed.nbytes == 2 * graph.outputs[0].src[1].type.size


def test_s4_weights_share_bytes_in_the_program() -> None:
    node = single_op("depthwise_conv2d_s4", S8, 2).outputs[0]
    packed = dict(bind(node).fields)["weights"]
    assert isinstance(packed, np.ndarray)
    assert packed.nbytes == -(-node.src[1].type.size // 2)


def _weight(shape: tuple[int, ...], quant: Quant | None = HALF, dtype: DType = S8) -> Node:
    return constant(np.ones(shape, dtype.numpy), "w", quant, dtype)


def _image(channels: int, dtype: DType = S8, zero: int = 0) -> Node:
    quant = None if dtype is F32 else Quant.per_tensor(0.5, zero)
    return graph_input((1, 4, 4, channels), dtype, "x", quant)


PER_AXIS = Quant((0.5, 0.5), (1, 0), 0)
CONV = Conv2d(quant=HALF)
REFUSED = {
    "groups": (CONV, (_image(5), _weight((2, 1, 1, 2))), "groups that divide input and output"),
    "outputs": (CONV, (_image(4), _weight((3, 1, 1, 2))), "groups that divide input and output"),
    "channel zero points": (
        CONV,
        (_image(2), _weight((2, 1, 1, 2), PER_AXIS)),
        "symmetric weights",
    ),
    "s4 zero point": (
        CONV,
        (_image(2), _weight((2, 1, 1, 2), Quant.per_tensor(0.5, 1), DType.S4)),
        r"weight zero point of s4\[2,1,1,2\] is not 0",
    ),
    "s16 zero point": (CONV, (_image(2, S16, 5), _weight((2, 1, 1, 2))), "has zero point 5; 0"),
    "s16 result": (
        Conv2d(quant=Quant.per_tensor(0.5, 3)),
        (_image(2, S16), _weight((2, 1, 1, 2))),
        r"result s16\[1,4,4,2\] has zero point 3; 0 wanted for 16 bits",
    ),
    "s16 weights": (
        CONV,
        (_image(2, S16), _weight((2, 1, 1, 2), HALF, S16)),
        r"weight is s16\[2,1,1,2\]; s8 wanted",
    ),
    "f16 weights of integers": (
        CONV,
        (_image(2), _weight((2, 1, 1, 2), None, DType.F16)),
        r"weight is f16\[2,1,1,2\]; s8 or s4 wanted",
    ),
    "wide bias": (
        CONV,
        (_image(2), _weight((2, 1, 1, 2)), constant(np.zeros(2, np.int64), "b")),
        r"bias is s64\[2\]; s32 wanted",
    ),
}


@pytest.mark.parametrize("what", sorted(REFUSED))
def test_products_that_are_refused(what: str) -> None:
    attrs, sources, message = REFUSED[what]
    with pytest.raises((InvalidGraph, UnsupportedOp), match=rf"y \(conv2d\): .*{message}"):
        Node(Op.CONV2D, sources, attrs, "y")


def test_batch_matmul_of_unequal_sums() -> None:
    a, b = graph_input((2, 3), F32, "a"), graph_input((4, 5), F32, "b")
    with pytest.raises(InvalidGraph, match=r"m \(batch_matmul\): .*3 and 4 to sum over; equal"):
        Node(Op.BATCH_MATMUL, (a, b), BatchMatmul(), "m")
    c = graph_input((7, 4, 3), F32, "c")
    assert Node(Op.BATCH_MATMUL, (a, c), BatchMatmul(False, True), "m").type.shape == (7, 2, 4)


def test_transpose_conv_that_tflite_cannot_say() -> None:
    x, weight = _image(2, F32), _weight((1, 3, 3, 2), None, F32)
    attrs = TransposeConv2d((8, 8), (2, 2), (2, 0))
    node = Node(Op.TRANSPOSE_CONV2D, (x, weight), attrs, "y")
    with pytest.raises(InvalidGraph, match=r"y \(transpose_conv2d\): offset \[2, 0\]; \[0, 0\]"):
        write_tflite(Graph((x,), (node,)))
    for *wrong, message in (((0, 8), (1, 1), "size is"), ((8, 8), (0, 1), "stride is")):
        with pytest.raises(InvalidGraph, match=rf"y \(transpose_conv2d\): {message}"):
            Node(Op.TRANSPOSE_CONV2D, (x, weight), TransposeConv2d(*wrong), "y")


def test_transpose_conv_of_a_wrong_shape() -> None:
    x, weight = _image(2, F32), _weight((1, 3, 3, 2), None, F32)
    node = Node(Op.TRANSPOSE_CONV2D, (x, weight), TransposeConv2d((8, 8), (2, 2)), "y")

    def shorten(tree: Any) -> None:
        tensors = tree.subgraphs[0].tensors
        shape = tensors[operator(tree, "y").inputs[0]]
        shape.shape = [2]
        tree.buffers[shape.buffer].data = np.array([8, 8], "<i4").view(np.uint8)

    with pytest.raises(ImportFailed, match=r"y \(TRANSPOSE_CONV\): result \[8, 8\] of weight"):
        read_tflite(edited(write_tflite(Graph((x,), (node,))), shorten))
