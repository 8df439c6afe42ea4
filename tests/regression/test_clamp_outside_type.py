"""A fused clamp whose quantized low bound lies above int8: pools compare int8 values with it."""

from __future__ import annotations

import numpy as np

from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Pool2d
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from support.oracle import Tflm


def test_low_bound_above_the_type_saturates() -> None:
    x = graph_input((1, 2, 2, 1), DType.S8, "x", Quant.per_tensor(0.001, 127))
    node = Node(Op.MAX_POOL2D, (x,), Pool2d((2, 2), (2, 2), clamp=(0.3, 0.31)), "pool")
    values = np.array([-128, -5, 0, 127], np.int8).reshape(1, 2, 2, 1)
    assert run(Graph((x,), (node,)), [values])[0].item() == 127


def test_relu_with_the_highest_zero_point_equals_the_oracle() -> None:
    x = graph_input((1, 2, 2, 1), DType.S8, "x", Quant.per_tensor(0.001, 127))
    node = Node(Op.MAX_POOL2D, (x,), Pool2d((2, 2), (2, 2), clamp=(0.0, 6.0)), "pool")
    graph = Graph((x,), (node,))
    values = np.array([-128, -5, 0, 100], np.int8).reshape(1, 2, 2, 1)
    wanted = Tflm(write_tflite(graph)).run([values])
    np.testing.assert_array_equal(run(graph, [values])[0], wanted)
