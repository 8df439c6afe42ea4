"""What the fuzz job (bench/fuzz.py) found: spoiled files that were neither read nor refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite
from bench.fuzz_path import check

from milliwatt.compiler.program import compile_graph
from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_read.moves import known
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import (
    Attrs,
    Conv2d,
    Elementwise,
    FullyConnected,
    Pad,
    Reshape,
    Transpose,
    Unary,
)
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.attrs.pointwise import Pointwise
from milliwatt.ir.attrs.reduce import Detection
from milliwatt.ir.fold import fold_constants
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.detection import detection_parts
from milliwatt.ir.types import DType, Quant
from support.single_ops import GRID, single_op
from support.tflite_build import File
from support.tflite_edit import edited, operator, tensor


def refusal(model: bytes) -> str:
    """The message with which a file is refused."""
    with pytest.raises((ImportFailed, UnsupportedOp)) as caught:
        read_tflite(model)
    assert check(model).kind == type(caught.value).__name__, check(model).problem
    return str(caught.value)


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH])
def test_uint8_values_beyond_float32(op: Op) -> None:
    """What float32 cannot hold is infinite, and its logistic or tanh a number."""
    x = graph_input((3,), DType.S8, "x", Quant.per_tensor(3e38))
    model = write_tflite(Graph((x,), (Node(op, (x,), Unary(), "y"),)))

    def edit(tree: Any) -> None:
        for name in ("x", "y"):
            held = tensor(tree, name)
            held.type, held.quantization.zeroPoint = tflite.TensorType.UINT8, [0]

    outcome = check(edited(model, edit))
    assert outcome.kind != "failure", outcome.problem


def test_moved_constants_are_known_at_every_step() -> None:
    """Written in single steps they are read as one constant, as the steps of one operator are."""
    held = constant(np.arange(6, dtype=np.int8).reshape(1, 6), "held")
    part = Node(Op.STRIDED_SLICE, (held,), StridedSlice((0, 1), (1, 2), (1, 2)), "part")

    def edit(tree: Any) -> None:
        operator(tree, "part").builtinOptions.shrinkAxisMask = 1
        tensor(tree, "part").shape = [2]

    model = edited(write_tflite(Graph((), (part,))), edit)
    (node,) = read_tflite(model).nodes()
    assert node.value.tolist() == [1, 3]
    outcome = check(model)
    assert outcome.kind == "compiled", outcome.problem


def test_known_constants_that_float32_cannot_hold() -> None:
    """8-bit numbers whose real values are infinite are left to the device."""
    held = constant(np.array([100, 1], np.int8), "held", Quant.per_tensor(3e38))
    node = Node(Op.DEQUANTIZE, (held,), Attrs(), "y")
    assert known(node) is node


@pytest.mark.parametrize(("kind", "message"), [("FILL", "9999 axes"), ("BROADCAST_ARGS", "9999 ")])
def test_shapes_of_thousands_of_axes(kind: str, message: str) -> None:
    """A shape that is an operand is as long as the file; NumPy takes 32 axes or 64."""
    file = File("main")
    (main,) = file.parts
    long = main.tensor("long", "s32", (9999,), value=np.full(9999, 9, np.int32))
    one = main.tensor("one", "s32", (1,) if kind == "BROADCAST_ARGS" else (), value=np.int32([1]))
    main.ends([], main.add(kind, [long, one], [main.tensor("y", "s32", (1,))]))
    assert message in refusal(file.write())


def test_scales_stay_on_their_axis() -> None:
    """Reshaped, values with a scale for each channel have none for each index of that axis."""
    scales = Quant.per_axis(np.float32([0.5, 0.25, 1.0, 2.0]), 0)
    x = graph_input((4, 2), DType.S8, "x", scales)
    for attrs, op in ((Reshape((1, 8)), Op.RESHAPE), (Transpose((1, 0)), Op.TRANSPOSE)):
        with pytest.raises(InvalidGraph, match=r"^y \(\w+\): s8\[.*\] has 4 scales on axis 0; "):
            Node(op, (x,), attrs, "y")
    with pytest.raises(InvalidGraph, match="has 4 scales on axis 2; one per index of the axis"):
        graph_input((4, 2), DType.S8, "x", replace(scales, axis=2))


@pytest.mark.parametrize("scale", [1e-45, 3e38])
def test_a_bias_whose_scale_float32_cannot_hold_is_written_without(scale: float) -> None:
    x = graph_input((1, 2), DType.S8, "x", Quant.per_tensor(scale))
    weight = constant(np.ones((3, 2), np.int8), "weight", Quant.per_tensor(min(scale, 50.0)))
    bias = constant(np.ones(3, np.int32), "bias")
    attrs = FullyConnected(quant=Quant.per_tensor(1.0))
    node = Node(Op.FULLY_CONNECTED, (x, weight, bias), attrs, "y")
    graph = read_tflite(write_tflite(Graph((x,), (node,))))
    assert graph.outputs[0].src[2].type.quant is None


def test_messages_are_short_however_long_the_list_they_tell_of() -> None:
    """A list of the file's is as long as the file."""
    x = graph_input((1, 2, 2, 1), DType.F32, "x")
    model = write_tflite(Graph((x,), (Node(Op.PAD, (x,), Pad(((0, 0),) * 4), "y"),)))

    def edit(tree: Any) -> None:
        paddings = tensor(tree, "y.parameter0")
        paddings.shape = [9999, 2]
        tree.buffers[paddings.buffer].data = np.ones(9999 * 8, np.uint8)

    message = refusal(edited(model, edit))
    assert message.startswith("model.tflite: y (PAD): paddings are [[16843009, ")
    assert message.endswith("wanted")
    assert len(message) < 700


def test_a_sparse_scalar() -> None:
    """An array of no axes takes one element, not a list of one."""
    x = graph_input((2,), DType.F32, "x")
    c = constant(np.array([3.0], np.float32), "c")
    model = write_tflite(Graph((x,), (Node(Op.MAXIMUM, (x, c), Pointwise(), "y"),)))

    def edit(tree: Any) -> None:
        held = tensor(tree, "c")
        held.shape, held.sparsity = [], tflite.SparsityParametersT()
        held.sparsity.traversalOrder = []

    outcome = check(edited(model, edit))
    assert outcome.kind == "compiled", outcome.problem


def test_lstm_of_types_that_it_has_not_names_the_operator() -> None:
    """Rules that a reader asks before it makes a node know no name."""
    model = write_tflite(single_op("lstm", DType.S8, 0))

    def edit(tree: Any) -> None:
        tensor(tree, "y").quantization = None

    assert refusal(edited(model, edit)).startswith("model.tflite: y (UNIDIRECTIONAL_SEQUENCE_LSTM)")


def test_rsqrt_of_scales_whose_product_vanishes() -> None:
    """1 / 0 is the largest multiplier, as 1 over the smallest float32 is."""
    tiny = Quant.per_tensor(1e-45)
    x = graph_input((3,), DType.S8, "x", tiny)
    node = Node(Op.RSQRT, (x,), Pointwise(tiny), "y")
    values = np.array([-1, 1, 100], np.int8)
    made = OPS[node.op].reference(node.attrs, node.type, [x.type], [values])
    assert made.tolist() == [127, 127, 127]
    assert check(write_tflite(Graph((x,), (node,)))).kind == "compiled"


def convolution(value: float) -> Graph:
    """f32 [1,2,2,1] and a constant of `value` by a filter of `value`, added."""
    x = graph_input((1, 2, 2, 1), DType.F32, "x")
    held = constant(np.full((1, 2, 2, 1), value, np.float32), "held")
    weight = constant(np.full((1, 1, 1, 1), value, np.float32), "weight")
    made = [Node(Op.CONV2D, (n, weight), Conv2d(), f"{n.name}.conv") for n in (x, held)]
    return Graph((x,), (Node(Op.ADD, tuple(made), Elementwise(), "y"),))


def test_only_zeros_stand_for_no_bias() -> None:
    """The files that milliwatt writes state a bias that is not there as zeros of a given name."""
    model = write_tflite(convolution(1.0))
    assert [len(n.src) for n in read_tflite(model).nodes() if n.op is Op.CONV2D] == [2, 2]
    ours = tflite.ModelT.InitFromPackedBuf(model, 0)
    ours.buffers[tensor(ours, "x.conv.parameter0").buffer].data = np.float32([0.5]).view(np.uint8)
    builder = flatbuffers.Builder(1024)
    builder.Finish(ours.Pack(builder), b"TFL3")
    graph = read_tflite(bytes(builder.Output()))
    assert sorted(len(n.src) for n in graph.nodes() if n.op is Op.CONV2D) == [3, 3]


@pytest.mark.parametrize("op", [Op.SQUARED_DIFFERENCE, Op.RSQRT])
def test_factors_that_vanish(op: Op) -> None:
    """The scale of the result is so large that its product with another is infinite."""
    large = Quant.per_tensor(3e38)
    src = tuple(
        graph_input((3,), DType.S8, name, large) for name in "xz"[: 1 + (op is not Op.RSQRT)]
    )
    outcome = check(write_tflite(Graph(src, (Node(op, src, Pointwise(large), "y"),))))
    assert outcome.kind == "compiled", outcome.problem


def test_constants_are_not_folded_to_infinity() -> None:
    outcome = check(write_tflite(convolution(1e30)))
    assert outcome.kind == "compiled", outcome.problem


def test_folding_takes_neither_long_nor_much() -> None:
    """276 KB took 3 s and 1 GB: the windows of a convolution are lined up as float64."""
    image = constant(np.ones((1, 256, 256, 1), np.float32), "image")
    weight = constant(np.ones((1, 58, 58, 1), np.float32), "weight")
    x = graph_input((1,), DType.F32, "x")
    for op in (Op.CONV2D, Op.DEPTHWISE_CONV2D):
        node = Node(op, (image, weight), Conv2d(), "y")
        assert fold_constants(Graph((x,), (node,))).outputs[0].op is op


def test_detections_of_constants_are_left_to_the_device() -> None:
    """Boxes are compared with each other, however few bytes there are of them."""
    boxes, scores = np.zeros((1, 9, 4), np.float32), np.ones((1, 9, 2), np.float32)
    held = [constant(v, n) for v, n in ((boxes, "boxes"), (scores, "scores"), (boxes[0], "at"))]
    attrs = Detection(9, 1, 0.0, 0.5, (1.0, 1.0, 1.0, 1.0))
    node = Node(Op.DETECTION_POSTPROCESS, tuple(held), attrs, "detected")
    found = parts(node, detection_parts(attrs), ("a", "b", "c", "d"))
    outcome = check(write_tflite(Graph((), found)))
    assert outcome.signature == "compiled written mw_detection_postprocess_f32"


@pytest.mark.parametrize("op", [Op.DIV, Op.HARD_SWISH])
def test_factors_that_are_infinite(op: Op) -> None:
    """The scale of the result, or of the gate, vanishes beside the operand's."""
    tiny = Quant.per_tensor(1e-45)
    x = graph_input((3,), DType.S8, "x", tiny)
    if op is Op.DIV:
        large = graph_input((3,), DType.S8, "large", Quant.per_tensor(1e30))
        node = Node(op, (large, x), Elementwise(quant=tiny), "y")
    else:
        node = Node(op, (x,), Pointwise(tiny), "y")
    inputs = tuple(n for n in node.src if n.op is Op.INPUT)
    outcome = check(write_tflite(Graph(inputs, (node,))))
    assert outcome.kind == "compiled", outcome.problem


def test_constants_are_not_folded_to_what_is_no_number() -> None:
    """The logarithm of -1 is NaN on the device; a constant of NaN is no graph."""
    c = constant(np.array([-1.0], np.float32), "c")
    x = graph_input((1,), DType.F32, "x")
    log = Node(Op.LOG, (c,), Pointwise(), "log")
    graph = Graph((x,), (Node(Op.MAXIMUM, (x, log), Pointwise(), "y"),))
    assert [n.op for n in fold_constants(graph).nodes()].count(Op.LOG) == 1
    compile_graph(graph)


def no_results(operator: Any) -> None:
    operator.outputs = []


def no_operands(operator: Any) -> None:
    operator.inputs = []


def no_first_operand(operator: Any) -> None:
    operator.inputs = [-1, *list(operator.inputs)[1:]]


def no_last_operand(operator: Any) -> None:
    operator.inputs = [*list(operator.inputs)[:-1], -1]


def no_options(operator: Any) -> None:
    operator.builtinOptions, operator.builtinOptionsType = None, 0


def no_custom_options(operator: Any) -> None:
    operator.customOptions = None


@pytest.mark.parametrize(
    "change",
    [no_results, no_operands, no_first_operand, no_last_operand, no_options, no_custom_options],
)
def test_operators_that_lack_something(change: Any) -> None:
    """Every operator without results, without operands, with one left out, without options."""

    def edit(tree: Any) -> None:
        for graph in tree.subgraphs:
            for each in graph.operators:
                change(each)

    for name, dtype in GRID:
        outcome = check(edited(write_tflite(single_op(name, dtype, 0)), edit))
        assert outcome.kind != "failure", f"{name} {dtype}: {outcome.problem}"


def test_sizes_beside_an_axis_of_none() -> None:
    """0 times anything is nothing, but no array has such an axis."""
    x = graph_input((2, 3), DType.F32, "x")
    model = write_tflite(Graph((x,), (Node(Op.LOG, (x,), Pointwise(), "y"),)))

    def edit(tree: Any) -> None:
        for name in ("x", "y"):
            tensor(tree, name).shape = [0, 2**31 - 1, 2**31 - 1, 2**31 - 1]

    assert refusal(edited(model, edit)).startswith("model.tflite: tensor 1 'y' has shape [0, 2147")
