"""LOGISTIC and TANH whose input steps are 8 and more: even real 0 lies outside the range."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Unary
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from support.oracle import Tflm


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH])
@pytest.mark.parametrize("scale", [7.9, 8.0, 16.0, 130.0])
def test_steps_of_eight_saturate_logistic_and_tanh(op: Op, scale: float) -> None:
    x = graph_input((1, 256), DType.S8, "x", Quant.per_tensor(scale, 3))
    graph = Graph((x,), (Node(op, (x,), Unary(), "y"),))
    values = np.arange(-128, 128).astype(np.int8)[None]
    got = run(graph, [values])[0]
    assert (got == Tflm(write_tflite(graph)).run([values])).all()
    at_zero = got[0, 3 + 128]
    assert (at_zero == -128) == (scale >= 8)
