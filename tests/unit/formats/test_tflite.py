"""What a good .tflite file becomes."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import NO_CLAMP, RELU6, Conv2d, FullyConnected, Pool2d, Reshape
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType, Quant
from support.effort import cpu_seconds
from support.oracle import Tflm
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf, shared
from support.single_ops import GRID, OPERATORS, random_inputs, same_padding, single_op
from support.tflite_build import File, options
from support.tflite_edit import become, edited, operator, small_graph, small_model, store, tensor


def names(graph: Graph) -> list[str]:
    """Names of all nodes that are no constants, in order."""
    return [node.name for node in graph.nodes() if not node.is_constant]


def test_small_model_comes_back_whole() -> None:
    graph = read_tflite(small_model(), name="small")
    assert print_graph(graph) == print_graph(small_graph())


# Each operator in each type that it is drawn in; some are compared in tests of their own only.
DRAWN = [*GRID, *((name, DType.S8) for name in set(OPERATORS) - {name for name, _ in GRID})]


@pytest.mark.parametrize(("name", "dtype"), sorted(DRAWN, key=str))
def test_every_operator_comes_back_whole(name: str, dtype: DType) -> None:
    for seed in range(5):
        graph = read_tflite(write_tflite(single_op(name, dtype, seed)), name=name)
        again = read_tflite(write_tflite(graph), name=name)
        assert print_graph(again) == print_graph(graph)


def test_paths_and_graph_names(tmp_path: Path) -> None:
    path = tmp_path / "door_bell.tflite"
    path.write_bytes(small_model())
    assert read_tflite(path).name == "door_bell"
    assert read_tflite(str(path)).name == "door_bell"
    assert read_tflite(path, name="bell").name == "bell"
    assert read_tflite(bytearray(small_model())).name == "model"


# (size, kernel, stride, dilation) -> padding of one axis; the odd cell comes last.
SAME = [
    ((49, 10, 2, 1), (4, 5)),
    ((10, 4, 2, 1), (1, 1)),
    ((96, 3, 2, 1), (0, 1)),
    ((5, 3, 1, 2), (2, 2)),
    ((1, 5, 3, 1), (2, 2)),
    ((7, 1, 3, 1), (0, 0)),
]


@pytest.mark.parametrize(("window", "sides"), SAME)
def test_same_padding_is_explicit(
    window: tuple[int, int, int, int], sides: tuple[int, int]
) -> None:
    size, kernel, stride, dilation = window
    x = graph_input((1, size, 1, 1), DType.F32, "x")
    weight = constant(np.ones((1, kernel, 1, 1), np.float32), "conv.weight")
    attrs = Conv2d((stride, 1), (*sides, 0, 0), (dilation, 1))
    assert same_padding((size, 1), (kernel, 1), (stride, 1), (dilation, 1))[:2] == sides
    model = write_tflite(Graph((x,), (Node(Op.CONV2D, (x, weight), attrs, "conv"),)))

    def same(tree: Any) -> None:
        operator(tree, "conv").builtinOptions.padding = 0

    assert read_tflite(edited(model, same)).outputs[0].attrs == attrs


def test_layer_names_are_readable() -> None:
    graph = read_tflite(mlperf(INT8_MODELS["kws"]))
    assert names(graph)[:4] == ["input_1", "conv2d", "depthwise_conv2d", "conv2d_1"]
    assert names(graph)[-4:] == ["average_pooling2d", "flatten", "dense", "softmax"]
    held = [node.name for node in graph.nodes() if node.is_constant]
    assert held[:2] == ["conv2d.weight", "conv2d.bias"]


CONVERTER_NAMES = [
    ("functional_1/activation/Relu;functional_1/bn/FusedBatchNormV3;functional_1/c/Conv2D1", "c"),
    ("functional_1/dw/BiasAdd/ReadVariableOp/resource1", "dw"),
    ("StatefulPartitionedCall:0", "conv_2d"),
    ("Identity_int8", "conv_2d"),
    ("", "conv_2d"),
    ("my layer, (second)\n", "my_layer_second"),
    ("π/Conv2D", "conv_2d"),
]


@pytest.mark.parametrize(("raw", "wanted"), CONVERTER_NAMES)
def test_converter_names(raw: str, wanted: str) -> None:
    def rename(tree: Any) -> None:
        tensor(tree, "pool").name = b"functional_1/pool/AvgPool"
        tensor(tree, "conv").name = raw.encode()

    assert names(read_tflite(edited(small_model(), rename)))[1].split("/")[-1] == wanted


def test_equal_names_are_told_apart() -> None:
    def rename(tree: Any) -> None:
        for old in ("conv", "pool", "flat", "x"):
            tensor(tree, old).name = b"same"

    graph = read_tflite(edited(small_model(), rename))
    assert names(graph) == ["same", "same_2", "same_3", "same_4", "dense", "soft"]


def test_free_batch_becomes_one() -> None:
    def free(tree: Any) -> None:
        tensor(tree, "x").shape = [-1, 6, 5, 2]
        tensor(tree, "x").shapeSignature = [-1, 6, 5, 2]
        store(tree, "flat.parameter0", [-1, 3])

    graph = read_tflite(edited(small_model(), free))
    assert graph.inputs[0].type.shape == (1, 6, 5, 2)
    assert print_graph(graph) == print_graph(read_tflite(small_model()))


def test_reshape_takes_its_shape_from_the_options() -> None:
    import ai_edge_litert.schema_py_generated as schema

    def as_option(tree: Any) -> None:
        op = operator(tree, "flat")
        op.inputs = [op.inputs[0]]
        op.builtinOptionsType, op.builtinOptions = 17, schema.ReshapeOptionsT()
        op.builtinOptions.newShape = [1, -1]

    graph = read_tflite(edited(small_model(), as_option))
    assert print_graph(graph) == print_graph(read_tflite(small_model()))


@pytest.mark.parametrize("kind", ["SQUEEZE", "EXPAND_DIMS"])
def test_axes_of_one_come_and_go_as_reshape(kind: str) -> None:
    model = edited(small_model(), lambda tree: become(tree, "flat", kind))
    assert print_graph(read_tflite(model)) == print_graph(read_tflite(small_model()))


def drop_bias(tree: Any) -> None:
    op = operator(tree, "conv")
    op.inputs = [*list(op.inputs)[:2], -1]


def test_operand_left_out() -> None:
    conv = read_tflite(edited(small_model(), drop_bias)).outputs[0]
    while conv.op is not Op.CONV2D:
        conv = conv.src[0]
    assert [s.name for s in conv.src] == ["x", "conv.weight"]


def test_old_files_have_the_narrow_operator_code() -> None:
    def narrow(tree: Any) -> None:
        for code in tree.operatorCodes:
            code.deprecatedBuiltinCode, code.builtinCode = code.builtinCode, 0

    graph = read_tflite(edited(small_model(), narrow))
    assert print_graph(graph) == print_graph(read_tflite(small_model()))


def test_data_behind_the_flatbuffer() -> None:
    """Files over 2 GB keep buffers behind the FlatBuffer, as file offset and size."""
    data = b""

    def outside(tree: Any) -> None:
        nonlocal data
        buffer = tree.buffers[tensor(tree, "dense.weight").buffer]
        data = bytes(bytearray(buffer.data))
        buffer.data, buffer.offset, buffer.size = None, 1 << 20, len(data)

    model = edited(small_model(), outside)
    padded = model + bytes((1 << 20) - len(model)) + data
    assert print_graph(read_tflite(padded)) == print_graph(read_tflite(small_model()))


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 2, 2, 6), (12,), (4, 6), (24,)])
def test_fully_connected_flattens_as_tflite_micro_does(shape: tuple[int, ...], keep: int) -> None:
    """The input is read as [batch, 12] or [batch, 6] whatever its axes are."""
    depth = 12 if np.prod(shape) % 12 == 0 and shape != (4, 6) else 6
    batch = int(np.prod(shape)) // depth
    rng = np.random.default_rng(0)
    x = graph_input((batch, depth), DType.S8, "x", Quant.per_tensor(0.5, 7))
    values = rng.integers(-127, 128, (5, depth)).astype(np.int8)
    weight = constant(values, "fc.weight", Quant.per_tensor(0.1))
    attrs = FullyConnected(NO_CLAMP, Quant.per_tensor(20.0, -9))
    model = write_tflite(Graph((x,), (Node(Op.FULLY_CONNECTED, (x, weight), attrs, "fc"),)))

    def reshape_input(tree: Any) -> None:
        tensor(tree, "x").shape = list(shape)
        kept = keep and shape[-1] == depth
        operator(tree, "fc").builtinOptions.keepNumDims = bool(kept)
        tensor(tree, "fc").shape = [*shape[:-1], 5] if kept else [batch, 5]

    changed = edited(model, reshape_input)
    graph = read_tflite(changed)
    inputs = random_inputs(graph, 0)
    assert (run(graph, inputs)[0] == Tflm(changed).run(inputs)).all()


def test_fused_activations_become_clamps() -> None:
    def fuse(tree: Any) -> None:
        operator(tree, "pool").builtinOptions.fusedActivationFunction = 3

    nodes = list(read_tflite(edited(small_model(), fuse)).nodes())
    pool = next(node for node in nodes if node.op is Op.AVERAGE_POOL2D)
    assert pool.attrs == Pool2d((3, 5), (1, 1), (0, 0, 0, 0), RELU6)


def test_scalars_and_empty_shapes() -> None:
    """A reshape to a scalar stores its shape as a list of no elements."""
    x = graph_input((1, 1), DType.F32, "x")
    graph = Graph((x,), (Node(Op.RESHAPE, (x,), Reshape(()), "s"),))
    assert read_tflite(write_tflite(graph)).outputs[0].type.shape == ()


def test_old_files_say_a_scalar_by_a_new_shape_of_0() -> None:
    file = File("main")
    (main,) = file.parts
    x, y = main.tensor("x", shape=(1, 1)), main.tensor("y", shape=())
    main.add("RESHAPE", [x], [y], options("Reshape", newShape=[0]))
    main.ends([x], [y])
    graph, value = read_tflite(file.write()), np.float32([[2.5]])
    (found,) = run(graph, [value])
    assert found.shape == ()
    assert found == Tflm(file.write()).run([value])


def test_bias_axis_of_another_tensor_is_forgiven() -> None:
    graph = read_tflite(shared("models/tflm/person_detect.tflite"))
    biases = [node for node in graph.nodes() if node.name.endswith(".bias")]
    assert len(biases) == 28
    assert {node.type.quant.axis for node in biases if len(node.type.quant.scale) > 1} == {0}


@pytest.mark.parametrize("file", [*INT8_MODELS.values(), *FLOAT_MODELS.values()])
def test_loading_is_quick_and_small(file: str) -> None:
    """Half a second and five times the file is the limit for 1 MB; every model is well below."""
    path = mlperf(file)
    assert cpu_seconds(lambda: read_tflite(path), 0.5)[0] < 0.5
    tracemalloc.start()
    graph = read_tflite(path)
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes <= 5 * path.stat().st_size + (1 << 20)
    assert len(graph.outputs) == 1


def test_subgraphs_that_nothing_calls_are_not_read() -> None:
    def add(tree: Any) -> None:
        tree.subgraphs.append(tflite.SubGraphT())
        tree.subgraphs[1].operators = [tflite.OperatorT()]
        tree.subgraphs[1].operators[0].opcodeIndex = 77

    assert print_graph(read_tflite(edited(small_model(), add))) == print_graph(
        read_tflite(small_model())
    )


def test_tensors_called_as_the_nodes_that_a_reader_adds() -> None:
    """A fully_connected on three axes gets a node `dense.flatten`; here a tensor is called so."""
    file = File("main")
    (main,) = file.parts
    x = main.tensor("dense.flatten", "f32", (1, 2, 3))
    weight = main.tensor("w", "f32", (4, 3), value=np.ones((4, 3), np.float32))
    dense = main.tensor("dense", "f32", (2, 4))
    main.add("FULLY_CONNECTED", [x, weight, -1], [dense], options("FullyConnected"))
    main.ends([x], [dense])
    found = [node.name for node in read_tflite(file.write()).nodes()]
    assert found == ["dense.flatten", "dense.flatten.2", "dense.weight", "dense"]
