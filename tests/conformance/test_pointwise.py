"""Elementwise operators where the oracles leave the specification or have no answer, and SELECT."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import ImportFailed
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Attrs, Elementwise
from milliwatt.ir.attrs.pointwise import Cast, LeakyRelu, Pointwise
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant, Type
from support.oracle import Tflm, litert
from support.tflite_ops import TfliteFile

EVERY = np.arange(-128, 128, dtype=np.int8)


def graph_of(node: Node) -> Graph:
    """A graph of one node whose operands are inputs."""
    return Graph(tuple(dict.fromkeys(node.src)), (node,))


def both(node: Node, *inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The reference's result after a file written and read, and TFLM's."""
    model = write_tflite(graph_of(node))
    return run(read_tflite(model), inputs)[0], Tflm(model).run(inputs)


def table_node(op: Op, x: Quant, out: Quant, alpha: float | None = None) -> Node:
    """An s8 operator of one operand, on all 256 values."""
    attrs = Pointwise(out) if alpha is None else LeakyRelu(alpha, out)
    return Node(op, (graph_input((256,), DType.S8, "x", x),), attrs, "y")


@pytest.mark.parametrize("op", [Op.ABS, Op.ELU, Op.HARD_SWISH, Op.LEAKY_RELU], ids=str)
def test_tables_equal_tflite_micro_on_every_value(op: Op) -> None:
    rng = np.random.default_rng(3)
    for _ in range(150):
        scale = 2.0 ** rng.uniform(-9, 1)
        quants = [
            Quant.per_tensor(s, int(rng.integers(-128, 128)))
            for s in (scale, scale * 2.0 ** rng.uniform(-3, 4))
        ]
        alpha = float(np.float32(rng.uniform(-1, 1))) if op is Op.LEAKY_RELU else None
        got, wanted = both(table_node(op, *quants, alpha), EVERY)
        assert np.array_equal(got, wanted), (op, quants, alpha)


def test_rsqrt_equals_tflite_micro_on_every_value_above_the_zero_point() -> None:
    """TFLM stops at what is below 0; here it is the largest result, as of 0."""
    rng = np.random.default_rng(4)
    for _ in range(150):
        zero = int(rng.integers(-128, 128))
        quants = [
            Quant.per_tensor(2.0 ** rng.uniform(-9, 2), zero),
            Quant.per_tensor(2.0 ** rng.uniform(-9, 2), int(rng.integers(-128, 128))),
        ]
        node = table_node(Op.RSQRT, *quants)
        values = np.maximum(EVERY, np.int8(zero))
        got, wanted = both(node, values)
        assert np.array_equal(got, wanted), quants
        below = run(graph_of(node), [np.minimum(EVERY, np.int8(zero))])[0]
        assert (below == 127).all()


def test_small_quotients_leave_tflite_micro() -> None:
    """docs/spec.md, "Known deviations": DIV in s8 shifts by more than 31 bits in TFLM.

    What it shifts is 0 or rounds to 0 in truth: 0 / 100 is 0 here, and one step there.
    """
    quant = Quant.per_tensor(1 / 32, 0)
    a, b = (graph_input((5,), DType.S8, name, quant) for name in "ab")
    node = Node(Op.DIV, (a, b), Elementwise(quant=Quant.per_tensor(1.0, 0)), "y")
    inputs = [np.array([0, 0, 1, -1, 100], np.int8), np.array([100, -100, 127, 127, 3], np.int8)]
    got, wanted = both(node, *inputs)
    assert got.tolist() == [0, 0, 0, 0, 33]
    assert wanted[4] == 33
    assert (wanted[:2] != 0).all(), "TFLM rounds small quotients now: take the row out of spec.md"


def test_add_n_of_zero_points_leaves_tflite_micro() -> None:
    """docs/spec.md, "Known deviations": TFLM's ADD_N adds one zero point too many."""
    quant, out = Quant.per_tensor(0.5, 10), Quant.per_tensor(1.0, 0)
    a, b = (graph_input((4,), DType.S8, name, quant) for name in "ab")
    node = Node(Op.ADD_N, (a, b), Pointwise(out), "y")
    inputs = [np.array([10, 20, 30, 40], np.int8), np.array([10, 10, 12, 14], np.int8)]
    got, wanted = both(node, *inputs)
    assert got.tolist() == [0, 5, 11, 17]
    assert (got - wanted == 5).all(), "TFLM adds right now: take the row out of docs/spec.md"


def test_comparisons_of_scales_of_1_and_more_are_of_reals() -> None:
    """TFLM ends the whole process at such a scale, so only the reference runs here."""
    a, b = (
        graph_input((4,), DType.S8, name, Quant.per_tensor(scale, zero))
        for name, scale, zero in (("a", 1.5, 0), ("b", 3.0, -2))
    )
    inputs = [np.array([2, 4, -6, 127], np.int8), np.array([-1, 0, -5, 10], np.int8)]
    for op, wanted in (
        (Op.EQUAL, [True, True, True, False]),
        (Op.GREATER, [False, False, False, True]),
    ):
        assert run(graph_of(Node(op, (a, b), Attrs(), "y")), inputs)[0].tolist() == wanted


def test_nan_in_maximum_and_minimum_is_the_second_operand() -> None:
    nan = np.float32(np.nan)
    a, b = (graph_input((3,), DType.F32, name) for name in "ab")
    inputs = [np.array([nan, 1, nan], np.float32), np.array([1, nan, nan], np.float32)]
    for op in (Op.MAXIMUM, Op.MINIMUM):
        got, wanted = both(Node(op, (a, b), Pointwise(), "y"), *inputs)
        assert np.array_equal(got, wanted, equal_nan=True)
        assert got[0] == 1
        assert np.isnan(got[1])


def test_special_reals_equal_tflite_micro() -> None:
    """Infinities, NaN, halves and numbers without a fraction."""
    halves = np.arange(-5, 5, 0.5)
    values = np.array([np.inf, -np.inf, np.nan, 8388609, 1e10, *halves], np.float32)
    x = graph_input(values.shape, DType.F32, "x")
    ops = (Op.ROUND, Op.FLOOR, Op.CEIL, Op.EXP, Op.LOG, Op.SQRT, Op.RSQRT, Op.SIN, Op.HARD_SWISH)
    for op in ops:
        got, wanted = both(Node(op, (x,), Pointwise(), "y"), values)
        assert np.allclose(got, wanted, rtol=1e-5, atol=0, equal_nan=True), op


def test_casts_of_reals_saturate_and_nan_is_0() -> None:
    ends = [127.5, 128, 300, -129, 70000, -70000, 2147483648.0, -2147483648.0, 3e9, -3e9, 5e9, 1e20]
    values = np.array([np.nan, np.inf, -np.inf, 0.9, -0.9, -1, *ends], np.float32)
    x = graph_input(values.shape, DType.F32, "x")
    for to in (DType.S8, DType.S16, DType.S32, DType.U32):
        got, wanted = both(Node(Op.CAST, (x,), Cast(to), "y"), values)
        assert np.array_equal(got, wanted), to
    for to in (DType.U8, DType.S64, DType.BOOL):
        graph = graph_of(Node(Op.CAST, (x,), Cast(to), "y"))
        # LiteRT makes the most of the type of a NaN, TFLM 0.
        wanted = litert(write_tflite(graph), [values])[1:]
        assert np.array_equal(run(graph, [values])[0][1:], wanted), to


def test_division_of_integers_by_zero_is_zero() -> None:
    a, b = (graph_input((3,), DType.S32, name) for name in "ab")
    least = -(2**31)
    inputs = [np.array([7, -7, least], np.int32), np.array([0, 0, -1], np.int32)]
    for op, wanted in (
        (Op.DIV, [0, 0, least]),
        (Op.FLOOR_DIV, [0, 0, least]),
        (Op.FLOOR_MOD, [0, 0, 0]),
    ):
        attrs = Elementwise() if op is Op.DIV else Pointwise()
        assert run(graph_of(Node(op, (a, b), attrs, "y")), inputs)[0].tolist() == wanted


@pytest.mark.parametrize("shape", [(3,), (3, 4), ()], ids=str)
def test_select_of_one_condition_for_each_first_index(shape: tuple[int, ...]) -> None:
    """SELECT, which TFLM lacks: a condition of one axis chooses among the first axis."""
    file = TfliteFile()
    real = Type((3, 4), DType.F32)
    operands = [file.input(Type(shape, DType.BOOL)), file.input(real), file.input(real)]
    model = file.data(file.operator("SELECT", operands, [real], "SelectOptions"))
    rng = np.random.default_rng(0)
    inputs = [np.asarray(rng.random(shape) < 0.5)]
    inputs += [rng.standard_normal((3, 4)).astype(np.float32) for _ in range(2)]
    got = run(read_tflite(model), inputs)[0]
    assert np.array_equal(got, litert(model, inputs))
    again = read_tflite(write_tflite(read_tflite(model)))
    assert np.array_equal(run(again, inputs)[0], got)


def test_select_with_a_condition_that_does_not_fit() -> None:
    file = TfliteFile()
    real = Type((3, 4), DType.F32)
    operands = [file.input(Type((2,), DType.BOOL)), file.input(real), file.input(real)]
    model = file.data(file.operator("SELECT", operands, [real], "SelectOptions"))
    with pytest.raises(ImportFailed, match=r"\(SELECT\): condition is bool\[2\]; 3 values wanted"):
        read_tflite(model)
