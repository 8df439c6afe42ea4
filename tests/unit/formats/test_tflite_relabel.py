"""Operators that copy bytes run whatever quantization the file gives their result, as in TFLM."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from milliwatt.errors import ImportFailed
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Attrs, Elementwise, Pad, Pool2d, Reshape, Transpose, Unary
from milliwatt.ir.attrs.move import Resize, StridedSlice
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType, Quant
from support.ops.core import random_values
from support.oracle import Tflm
from support.tflite_edit import edited, tensor

QUANT = Quant.per_tensor(0.5, 3)
SHAPE = (1, 4, 6, 3)
COPIED: list[tuple[Op, Attrs]] = [
    (Op.RESHAPE, Reshape((1, 72))),
    (Op.TRANSPOSE, Transpose((0, 2, 1, 3))),
    (Op.PAD, Pad(((0, 0), (1, 0), (0, 2), (0, 0)))),
    (Op.STRIDED_SLICE, StridedSlice((0, 1, 0, 0), (1, 2, 3, 3), (1, 1, 2, 1))),
    (Op.RESIZE_NEAREST, Resize((8, 9))),
    (Op.LOGISTIC, Unary()),
]


def network(op: Op, attrs: Attrs) -> Graph:
    """The operator, then a sum that reads its result by its quantization."""
    x = graph_input(SHAPE, DType.S8, "x", QUANT)
    y = Node(op, (x,), attrs, "y")
    total = Node(Op.ADD, (y, y), Elementwise(quant=Quant.per_tensor(1.0, 5)), "total")
    return Graph((x,), (total,))


def relabelled(graph: Graph, zero_point: int = -20) -> bytes:
    """The file with another scale and zero point on the operator's result."""

    def change(tree: Any) -> None:
        quantization = tensor(tree, "y").quantization
        quantization.scale, quantization.zeroPoint = [0.25], [zero_point]

    return edited(write_tflite(graph), change)


@pytest.mark.parametrize(("op", "attrs"), COPIED, ids=lambda value: str(value)[:12])
def test_bytes_are_copied(op: Op, attrs: Attrs) -> None:
    zero_point = -128 if op is Op.LOGISTIC else -20  # TFLM looks at its zero point alone
    model = relabelled(network(op, attrs), zero_point)
    graph = read_tflite(model)
    (total,) = graph.outputs
    assert total.src[0].type.quant == Quant.per_tensor(0.25, zero_point)
    x = random_values(np.random.default_rng(0), graph.inputs[0].type)
    wanted = Tflm(model).run([x])
    assert np.array_equal(run(graph, [x])[0], wanted)
    again = write_tflite(graph)
    assert print_graph(read_tflite(again)) == print_graph(graph)
    assert np.array_equal(Tflm(again).run([x]), wanted)


def test_a_result_without_quantization_keeps_its_operands() -> None:
    def change(tree: Any) -> None:
        tensor(tree, "y").quantization = None

    graph = read_tflite(edited(write_tflite(network(*COPIED[1])), change))
    assert graph.outputs[0].src[0].type.quant == QUANT


def test_pools_look_at_more_than_a_millionth() -> None:
    def near(tree: Any) -> None:
        tensor(tree, "y").quantization.scale = [float(np.nextafter(np.float32(0.5), 1))]

    pool = network(Op.MAX_POOL2D, Pool2d((2, 2), (2, 2)))
    model = edited(write_tflite(pool), near)
    graph = read_tflite(model)
    x = random_values(np.random.default_rng(0), graph.inputs[0].type)
    assert np.array_equal(run(graph, [x])[0], Tflm(model).run([x]))
    with pytest.raises(ImportFailed, match=r"y \(MAX_POOL_2D\): result is quantized"):
        read_tflite(relabelled(pool))
