"""Generated files of one operator: our reference against TensorFlow Lite Micro, byte for byte.

Each graph goes through the writer and the reader on its way, so they are under test as well.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType
from support.conformance import Case, difference, single_case, written
from support.single_ops import GRID, ORACLE, single_op

# Files of each operator and type; `python -m bench.conformance --count 20000` takes other seeds.
COUNT = 100


def compare(case: Case) -> None:
    """Fail where the reference differs from the judge."""
    problem = difference(case, case.wanted(), case.reference()).problem
    assert problem is None, problem


@pytest.mark.parametrize(("name", "dtype"), GRID)
def test_reference_equals_the_oracle(name: str, dtype: DType) -> None:
    for seed in range(COUNT):
        compare(single_case(name, dtype, seed))


@pytest.mark.parametrize(("name", "dtype"), GRID)
def test_a_file_written_and_read_is_the_same_file(name: str, dtype: DType) -> None:
    for seed in range(10):
        case = single_case(name, dtype, seed)
        again = written(case.graph, name, dtype, seed)
        assert print_graph(again.graph) == print_graph(case.graph)
        assert write_tflite(again.graph) == again.model == write_tflite(case.graph)


def test_oracles_are_said_of_pairs_of_the_grid() -> None:
    assert set(ORACLE) <= set(GRID)
    assert set(ORACLE.values()) <= {"litert"}, "TFLM needs no line of its own"


@pytest.mark.parametrize(("name", "dtype"), [("add", DType.S8), ("softmax", DType.F32)])
def test_a_difference_is_named(name: str, dtype: DType) -> None:
    """The comparison can fail, and says file, run, output and place."""
    case = single_case(name, dtype, 0)
    wanted = case.wanted()
    wrong = [tuple(value.copy() for value in run) for run in wanted]
    wrong[0][0].flat[-1] += 1
    found = difference(case, wanted, wrong)
    assert found.differing == (dtype is DType.S8)
    assert found.problem is not None
    assert f"{name}-{dtype}, seed 0, run 0, output y: 1 of " in found.problem
    assert difference(case, wanted, wanted).problem is None


def rescaling_relu6(graph: Graph) -> bool:
    """True for the RELU6 that TFLM gets wrong: input and result are quantized differently."""
    node = graph.outputs[0]
    return node.attrs.bounds == (0.0, 6.0) and node.type.quant != node.src[0].type.quant


def test_activations_equal_tflite_micro_but_for_rescaling_relu6() -> None:
    differing = 0
    for seed in range(4 * COUNT):
        case = single_case("clamp", DType.S8, seed)
        if rescaling_relu6(case.graph):
            # docs/spec.md, "Known deviations": TensorFlow Lite rescales here, TFLM does not.
            differing += difference(case, case.wanted(), case.reference()).differing
            case = replace(case, judge="litert")
        compare(case)
    assert differing > 0, "TFLM rescales RELU6 now: take the row out of docs/spec.md"


def test_single_relu_n1_to_1_equals_litert() -> None:
    """TFLM has no RELU_N1_TO_1 of its own; TensorFlow Lite has."""
    for seed in range(COUNT):
        drawn = single_op("clamp", DType.S8, seed)
        node = drawn.outputs[0]
        attrs = replace(node.attrs, bounds=(-1.0, 1.0))
        graph = Graph(drawn.inputs, (Node(Op.CLAMP, node.src, attrs, "y"),), name=drawn.name)
        compare(written(graph, "clamp", DType.S8, seed, "litert"))
