"""Small .tflite files and a way to spoil them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import RELU, Conv2d, FullyConnected, Pool2d, Reshape, Softmax
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

Edit = Callable[[Any], None]


def small_graph() -> Graph:
    """conv2d, average pool, reshape, fully_connected and softmax in s8, all of them tiny."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 6, 5, 2), DType.S8, "x", Quant.per_tensor(0.5, -3))
    scales = np.array([0.25, 0.5, 0.125], np.float32)
    weight = constant(
        rng.integers(-127, 128, (3, 3, 3, 2)).astype(np.int8),
        "conv.weight",
        Quant.per_axis(scales, 0),
    )
    bias = constant(np.array([10, -20, 30], np.int32), "conv.bias", Quant.per_axis(scales * 0.5, 0))
    same = Conv2d((2, 1), (0, 1, 1, 1), (1, 1), RELU, Quant.per_tensor(4.0, -128))
    conv = Node(Op.CONV2D, (x, weight, bias), same, "conv")
    pool = Node(Op.AVERAGE_POOL2D, (conv,), Pool2d((3, 5), (1, 1)), "pool")
    flat = Node(Op.RESHAPE, (pool,), Reshape((1, 3)), "flat")
    dense_weight = constant(
        rng.integers(-127, 128, (4, 3)).astype(np.int8), "dense.weight", Quant.per_tensor(0.25)
    )
    attrs = FullyConnected(quant=Quant.per_tensor(8.0, 5))
    dense = Node(Op.FULLY_CONNECTED, (flat, dense_weight), attrs, "dense")
    soft = Node(Op.SOFTMAX, (dense,), Softmax(), "soft")
    return Graph((x,), (soft,), name="small")


def small_model() -> bytes:
    """`small_graph` as a file."""
    return write_tflite(small_graph())


def edited(model: bytes, edit: Edit) -> bytes:
    """`model`, now nobody's in particular, after `edit` changed its object form."""
    tree = tflite.ModelT.InitFromPackedBuf(model, 0)
    tree.description = b"edited"  # the names of milliwatt's own files are taken as they are
    edit(tree)
    builder = flatbuffers.Builder(1024)
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor(tree: Any, name: str) -> Any:
    """The tensor called `name` in a model's object form."""
    return next(t for t in tree.subgraphs[0].tensors if t.name == name.encode())


def store(tree: Any, name: str, values: list[int]) -> None:
    """Give the s32 list called `name` other values."""
    entry = tensor(tree, name)
    entry.shape = [len(values)]
    tree.buffers[entry.buffer].data = list(np.array(values, "<i4").tobytes())


def operator(tree: Any, result: str) -> Any:
    """The operator whose result is called `result`."""
    tensors = tree.subgraphs[0].tensors
    return next(
        op for op in tree.subgraphs[0].operators if tensors[op.outputs[0]].name == result.encode()
    )


def kind_of(tree: Any, result: str) -> Any:
    """The operator code of the operator whose result is called `result`."""
    return tree.operatorCodes[operator(tree, result).opcodeIndex]


def become(tree: Any, result: str, kind: str) -> None:
    """Turn the operator that makes `result` into another one, its options kept."""
    number = getattr(tflite.BuiltinOperator, kind)
    code = tflite.OperatorCodeT()
    code.deprecatedBuiltinCode, code.builtinCode, code.version = min(number, 127), number, 1
    tree.operatorCodes.append(code)
    operator(tree, result).opcodeIndex = len(tree.operatorCodes) - 1
