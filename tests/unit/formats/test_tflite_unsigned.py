"""uint8 models of old: each operator read as such against TensorFlow Lite's uint8 kernels.

The models are drawn in int8 and shifted: every int8 tensor becomes uint8, its zero point 128 more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from milliwatt.errors import UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_read.unsigned import COMPUTES, MOVES
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import FullyConnected, Pool2d, Reshape, Softmax
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from support.oracle import litert
from support.single_ops import OPERATORS, random_inputs, single_op
from support.tflite_edit import become, edited, operator
from support.tflite_mutate import survive

U8 = tflite.TensorType.UINT8


def shift(tree: Any) -> None:
    """Turn every quantized int8 tensor of a model into the uint8 tensor of the same values."""
    shifted = set()
    for entry in tree.subgraphs[0].tensors:
        quant = entry.quantization
        if entry.type != tflite.TensorType.INT8 or quant is None or quant.scale is None:
            continue
        entry.type = U8
        quant.zeroPoint = np.array(quant.zeroPoint, np.int64) + 128
        if entry.buffer and entry.buffer not in shifted:
            shifted.add(entry.buffer)
            data = np.array(tree.buffers[entry.buffer].data, np.uint8) ^ 0x80
            tree.buffers[entry.buffer].data = data


def per_tensor(graph: Graph) -> bool:
    """False where a value has a scale for each channel: uint8 has none of that."""
    quants = (node.type.quant for node in graph.nodes())
    return all(quant is None or quant.axis is None for quant in quants)


def drawn(name: str, count: int) -> list[Graph]:
    """The first `count` graphs of an operator that uint8 can say."""
    found: list[Graph] = []
    for seed in range(20 * count):
        graph = single_op(name, DType.S8, seed)
        if per_tensor(graph) and len(found) < count:
            found.append(graph)
    return found


# Operators of the IR and the .tflite operators they are read from where names differ.
KINDS = {
    "conv2d": "CONV_2D",
    "depthwise_conv2d": "DEPTHWISE_CONV_2D",
    "transpose_conv2d": "TRANSPOSE_CONV",
    "max_pool2d": "MAX_POOL_2D",
    "average_pool2d": "AVERAGE_POOL_2D",
    "clamp": "RELU",
    "resize_nearest": "RESIZE_NEAREST_NEIGHBOR",
    "concat": "CONCATENATION",
}
NAMES = sorted(n for n in OPERATORS if KINDS.get(n, n.upper()) in COMPUTES | MOVES)
# docs/spec.md: LiteRT rounds a uint8 FULLY_CONNECTED once, all its other products twice.
OFF_BY_ONE = {"fully_connected": 0.002}


@pytest.mark.parametrize("name", NAMES)
def test_results_are_those_of_the_uint8_kernels(name: str) -> None:
    compared, differing, elements = 0, 0, 0
    for number, graph in enumerate(drawn(name, 80 if name == "average_pool2d" else 25)):
        model = edited(write_tflite(graph), shift)
        inputs = [
            (x ^ np.int8(-128)).view(np.uint8) if x.dtype == np.int8 else x
            for x in random_inputs(graph, number)
        ]
        try:
            wanted = litert(model, inputs)
            got = run(read_tflite(model), inputs)[0]
        except (RuntimeError, UnsupportedOp):
            continue  # uint8 convolutions need a bias there, some averages are refused here
        compared += 1
        assert got.dtype == wanted.dtype
        far = np.abs(got.astype(int) - wanted.astype(int))
        assert far.max(initial=0) <= (name in OFF_BY_ONE), graph
        differing, elements = differing + int((far > 0).sum()), elements + far.size
    assert compared >= 2
    assert differing <= OFF_BY_ONE.get(name, 0) * elements


@pytest.mark.parametrize("window", [(2, 1), (1, 1), (3, 5)])
def test_averages_that_round_otherwise_are_refused(window: tuple[int, int]) -> None:
    def narrow(tree: Any) -> None:
        shift(tree)
        pool, options = operator(tree, "pool"), operator(tree, "pool").builtinOptions
        options.filterHeight, options.filterWidth = window
        options.strideH, options.strideW, options.padding = 3, 5, 1
        tree.subgraphs[0].tensors[pool.outputs[0]].shape = [1, 1, 1, 3]

    model = edited(write_tflite(pool_graph()), narrow)
    x = np.arange(45, dtype=np.uint8).reshape(1, 3, 5, 3)
    if window[0] * window[1] % 2:
        assert (run(read_tflite(model), [x])[0] == litert(model, [x])).all()
    else:
        with pytest.raises(UnsupportedOp, match=r"pool \(AVERAGE_POOL_2D\): averages of 2 x 1"):
            read_tflite(model)


def pool_graph() -> Graph:
    x = graph_input((1, 3, 5, 3), DType.S8, "x", Quant.per_tensor(0.5, 3))
    return Graph((x,), (Node(Op.AVERAGE_POOL2D, (x,), Pool2d((3, 5), (3, 5)), "pool"),))


def test_arithmetic_stays_in_s8_between_operators() -> None:
    graph = read_tflite(edited(write_tflite(tensor_scales()), shift))
    kinds = [node.op for node in graph.nodes() if not node.is_constant]
    assert kinds == [
        Op.INPUT,
        Op.REQUANTIZE,
        Op.FULLY_CONNECTED,
        Op.RESHAPE,
        Op.SOFTMAX,
        Op.REQUANTIZE,
    ]
    assert graph.inputs[0].type.dtype is graph.outputs[0].type.dtype is DType.U8


def tensor_scales() -> Graph:
    """fully_connected, reshape and softmax with one scale a tensor."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 6), DType.S8, "x", Quant.per_tensor(0.5, 3))
    values = rng.integers(-128, 128, (4, 6)).astype(np.int8)
    weight = constant(values, "dense.weight", Quant.per_tensor(0.25, -7))
    bias = constant(np.array([9, -9, 0, 1], np.int32), "dense.bias", Quant.per_tensor(0.125))
    attrs = FullyConnected(quant=Quant.per_tensor(2.0, 5))
    dense = Node(Op.FULLY_CONNECTED, (x, weight, bias), attrs, "dense")
    flat = Node(Op.RESHAPE, (dense,), Reshape((2, 2)), "flat")
    return Graph((x,), (Node(Op.SOFTMAX, (flat,), Softmax(), "soft"),))


def test_asymmetric_uint8_weights() -> None:
    model = edited(write_tflite(tensor_scales()), shift)
    graph = read_tflite(model)
    for seed in range(20):
        inputs = random_inputs(graph, seed)
        assert (run(graph, inputs)[0] == litert(model, inputs)).all()


def test_operators_without_a_uint8_twin_are_refused() -> None:
    def edit(tree: Any) -> None:
        shift(tree)
        become(tree, "soft", "NEG")
        operator(tree, "soft").builtinOptionsType, operator(tree, "soft").builtinOptions = 0, None

    with pytest.raises(UnsupportedOp, match=r"soft \(NEG\): on uint8"):
        read_tflite(edited(write_tflite(tensor_scales()), edit))


def test_spoiled_files_are_read_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = edited(write_tflite(tensor_scales()), shift)
    assert survive(model, 300, 3, monkeypatch) > 0.2
