"""Generated graphs of one operator: our reference against TensorFlow Lite Micro, byte for byte.

Each graph goes through the writer and the reader on its way, so they are under test as well.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType
from support.oracle import Tflm, litert
from support.single_ops import GRID, random_inputs, single_op

# Cases of each operator and type; the slow run takes ten times as many other seeds.
COUNT, SLOW_COUNT = 300, 3000
FLOAT_TOLERANCE = 1e-5


def without_clamp(graph: Graph) -> Graph:
    """The same graph without its fused activation."""

    def rule(node: Node) -> Node | None:
        if getattr(node.attrs, "clamp", NO_CLAMP) == NO_CLAMP:
            return None
        return Node(node.op, node.src, replace(node.attrs, clamp=NO_CLAMP), node.name)

    return graph.rewrite(rule)


def first_difference(
    graph: Graph, inputs: list[np.ndarray], wanted: np.ndarray, got: np.ndarray
) -> str | None:
    """Where two results differ more than they may, with all that it takes to repeat it."""
    if (got.shape, got.dtype) != (wanted.shape, wanted.dtype):
        return f"{graph.name}: {got.dtype}{got.shape}, oracle {wanted.dtype}{wanted.shape}"
    if got.dtype == np.float32:
        # Sums round in proportion to what they hold before the activation cuts it.
        reach = np.abs(run(without_clamp(graph), inputs)[0]).max(initial=1e-30)
        if graph.outputs[0].op is Op.MEAN:
            reach = max(reach, np.abs(inputs[0]).max())
        wrong = np.argwhere(~(np.abs(got - wanted) <= FLOAT_TOLERANCE * reach))
    else:
        wrong = np.argwhere(got != wanted)
    if not len(wrong):
        return None
    at = tuple(wrong[0])
    return (
        f"{graph.name}: {len(wrong)} of {got.size} differ, first at {at}: "
        f"{got[at]}, oracle {wanted[at]}\n{print_graph(graph, data=False)}"
    )


def compare(name: str, dtype: DType, seeds: range) -> None:
    """Run the oracle and the reference over all seeds; fail on the first difference."""
    for seed in seeds:
        graph = single_op(name, dtype, seed)
        inputs = random_inputs(graph, seed)
        model = write_tflite(graph)
        wanted = Tflm(model).run(inputs)
        got = run(read_tflite(model), inputs)[0]
        assert (problem := first_difference(graph, inputs, wanted, got)) is None, problem


@pytest.mark.parametrize(("name", "dtype"), GRID)
def test_reference_equals_tflite_micro(name: str, dtype: DType) -> None:
    compare(name, dtype, range(COUNT))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "dtype"), GRID)
def test_reference_equals_tflite_micro_at_length(name: str, dtype: DType) -> None:
    compare(name, dtype, range(COUNT, COUNT + SLOW_COUNT))


def rescaling_relu6(graph: Graph) -> bool:
    """True for the RELU6 that TFLM gets wrong: input and result are quantized differently."""
    node = graph.outputs[0]
    return node.attrs.bounds == (0.0, 6.0) and node.type.quant != node.src[0].type.quant


def test_activations_equal_tflite_micro_but_for_rescaling_relu6() -> None:
    differing, compared = 0, 0
    for seed in range(2 * COUNT):
        graph = single_op("clamp", DType.S8, seed)
        inputs = random_inputs(graph, seed)
        model = write_tflite(graph)
        got = run(read_tflite(model), inputs)[0]
        micro = Tflm(model).run(inputs)
        if rescaling_relu6(graph):
            # docs/spec.md, "Known deviations": TensorFlow Lite rescales here, TFLM does not.
            differing += int((micro != got).any())
            micro = litert(model, inputs)
        compared += 1
        assert (problem := first_difference(graph, inputs, micro, got)) is None, problem
    assert compared == 2 * COUNT
    assert differing > 0, "TFLM rescales RELU6 now: take the row out of docs/spec.md"


def test_single_relu_n1_to_1_equals_litert() -> None:
    """TFLM has no RELU_N1_TO_1 of its own; TensorFlow Lite has."""
    for seed in range(COUNT):
        drawn = single_op("clamp", DType.S8, seed)
        node = drawn.outputs[0]
        attrs = replace(node.attrs, bounds=(-1.0, 1.0))
        graph = Graph(drawn.inputs, (Node(Op.CLAMP, node.src, attrs, "y"),), name=drawn.name)
        inputs = random_inputs(graph, seed)
        model = write_tflite(graph)
        got = run(read_tflite(model), inputs)[0]
        problem = first_difference(graph, inputs, litert(model, inputs), got)
        assert problem is None, problem
