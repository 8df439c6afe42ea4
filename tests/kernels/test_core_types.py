"""Kernels of int16, int32, uint8 and float16: every value where they are few, limits, floats."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest

from kernels.harness import KERNELS, Worker, check, compare
from milliwatt.compiler.bind import bind
from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import (
    RELU6,
    Attrs,
    ClampAttrs,
    Elementwise,
    Mean,
    Pool2d,
    Quantize,
    Softmax,
    Unary,
)
from milliwatt.ir.graph import Node, graph_input
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.tables16 import exp_table, reciprocal_table, sigmoid_table
from milliwatt.ir.types import DType, Quant

F16, F32, S8, S16, S32 = DType.F16, DType.F32, DType.S8, DType.S16, DType.S32
EVERY_S16 = np.arange(-(2**15), 2**15).astype(np.int16)
SPECIAL = np.array(
    [0.0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 3.4e38, -3.4e38, 1e-45, 6, 7], np.float32
)
PAIRS = np.array(list(itertools.product(SPECIAL, SPECIAL)), np.float32)


def _input(shape: tuple[int, ...], dtype: DType, scale: float | None = None, zero: int = 0) -> Node:
    quant = None if scale is None else Quant.per_tensor(scale, zero)
    return graph_input(shape, dtype, "x", quant)


def _both(
    node: Node, values: list[np.ndarray], workers: list[Worker]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """(kernel's, reference's) result of every compiler."""
    wanted = OPS[node.op].reference(node.attrs, node.type, [s.type for s in node.src], values)
    found = []
    for worker in workers:
        data = worker.run(bind(node), values, node.type.nbytes, None)
        found.append((np.frombuffer(data, node.type.dtype.numpy).reshape(node.type.shape), wanted))
    return found


@pytest.mark.parametrize(
    ("file", "name", "table"),
    [
        ("mw_sigmoid_s16.h", "mw_sigmoid_table", sigmoid_table),
        ("mw_tables_s16.h", "mw_exp_table", exp_table),
        ("mw_tables_s16.h", "mw_reciprocal_table", reciprocal_table),
    ],
)
def test_tables_are_their_formulas(file: str, name: str, table: Callable[[], np.ndarray]) -> None:
    found = re.search(rf"{name}\[(\d+)\] = \{{([^}}]*)\}}", (KERNELS / file).read_text())
    assert found is not None
    values = [int(v) for v in found[2].split(",")]
    assert len(values) == int(found[1])
    np.testing.assert_array_equal(values, table())


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH], ids=str)
@pytest.mark.parametrize("scale", [2.0**-12, 2.0**-11, 3.3e-4, 1e-9, 2.6665])
def test_int16_functions_of_every_value(op: Op, scale: float, workers: list[Worker]) -> None:
    node = Node(op, (_input(EVERY_S16.shape, S16, scale),), Unary(), "y")
    for got, wanted in _both(node, [EVERY_S16], workers):
        compare(got, wanted, str(op))


def test_int16_softmax_of_every_difference(workers: list[Worker]) -> None:
    rows = np.stack([np.full(2**16, 2**15 - 1), 2**15 - 1 - np.arange(2**16)], axis=1)
    node = Node(Op.SOFTMAX, (_input(rows.shape, S16, 10 / 65535),), Softmax(), "y")
    for got, wanted in _both(node, [rows.astype(np.int16)], workers):
        compare(got, wanted, "softmax")


@pytest.mark.parametrize(("row", "fits"), [(65535, True), (65536, False)])
def test_longest_int16_softmax_row(row: int, fits: bool, workers: list[Worker]) -> None:
    """Equal values fill the sum of exponentials."""
    node = Node(Op.SOFTMAX, (_input((1, row), S16, 0.001),), Softmax(), "soft")
    if not fits:
        with pytest.raises(UnsupportedOp, match=r"soft \(softmax\): rows of 65536 values; below"):
            bind(node)
        return
    for got, wanted in _both(node, [np.full((1, row), -7, np.int16)], workers):
        compare(got, wanted, "softmax")


def test_int16_softmax_of_steep_steps(workers: list[Worker]) -> None:
    """Steps of 4.9 are brought to 15 shifts; a step more than 5 leaves 32 bits."""
    check(Node(Op.SOFTMAX, (_input((3, 9), S16, 4.9),), Softmax(), "y"), workers)
    with pytest.raises(UnsupportedOp, match=r"y \(softmax\): a value before its last rounding"):
        bind(Node(Op.SOFTMAX, (_input((3, 9), S16, 5.1),), Softmax(), "y"))


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH], ids=str)
def test_int16_functions_of_large_steps(op: Op) -> None:
    with pytest.raises(InvalidGraph, match=rf"y \({op}\): input scale is 2.7; at most 2.66659"):
        Node(op, (_input((3,), S16, 2.7),), Unary(), "y")


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH, Op.CLAMP, Op.MUL, Op.SOFTMAX], ids=str)
def test_int16_zero_points(op: Op) -> None:
    """The 16-bit specification has none."""
    x, quant = _input((3,), S16, 0.01, 4), Quant.per_tensor(0.01)
    attrs: dict[Op, Attrs] = {
        Op.CLAMP: ClampAttrs(RELU6, quant),
        Op.MUL: Elementwise(quant=quant),
        Op.SOFTMAX: Softmax(),
    }
    src = (x, x) if op is Op.MUL else (x,)
    with pytest.raises(InvalidGraph, match=rf"y \({op}\): .*has zero point 4; 0 wanted for s16"):
        Node(op, src, attrs.get(op, Unary()), "y")


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB], ids=str)
@pytest.mark.parametrize("zero", [0, -16000, 16383])
def test_int16_sums_at_the_limits(op: Op, zero: int, workers: list[Worker]) -> None:
    """The largest values at a scale ratio that leaves the shift at 0."""
    a = graph_input((4,), S16, "a", Quant.per_tensor(0.5, zero))
    b = graph_input((4,), S16, "b", Quant.per_tensor(0.5, -zero))
    node = Node(op, (a, b), Elementwise(quant=Quant.per_tensor(1.01, zero)), "y")
    low, high = -(2**15), 2**15 - 1
    values = [
        np.array([low, high, low, high], np.int16),
        np.array([low, high, high, low], np.int16),
    ]
    for got, wanted in _both(node, values, workers):
        compare(got, wanted, str(op))


def test_quantized_indices_are_refused() -> None:
    x = _input((3,), S32, 0.5)
    with pytest.raises(UnsupportedOp, match=r"y \(add\): operand s32\[3\] is quantized; s32 with"):
        Node(Op.ADD, (x, x), Elementwise(), "y")


@pytest.mark.parametrize(("count", "fits"), [(2**15 - 1, True), (2**15, False)])
@pytest.mark.parametrize("op", [Op.MEAN, Op.AVERAGE_POOL2D], ids=str)
def test_int16_means_of_many_values(op: Op, count: int, fits: bool, workers: list[Worker]) -> None:
    x = _input((1, count, 1, 1), S16, 0.01)
    attrs: Attrs = Pool2d((count, 1), (1, 1))
    if op is Op.MEAN:
        attrs = Mean((1,), False, Quant.per_tensor(0.01))
    node = Node(op, (x,), attrs, "y")
    if not fits:
        with pytest.raises(
            UnsupportedOp, match=rf"y \({op}\): a mean of 32768 values; below 32768"
        ):
            bind(node)
        return
    for got, wanted in _both(node, [np.full((1, count, 1, 1), -(2**15), np.int16)], workers):
        compare(got, wanted, str(op))


def test_every_half_is_widened(workers: list[Worker]) -> None:
    """All 65536 of them: subnormals, infinities, the bits of NaN."""
    halves = np.arange(2**16).astype(np.uint16).view(np.float16)
    node = Node(Op.DEQUANTIZE, (_input(halves.shape, F16),), Attrs(), "y")
    for got, wanted in _both(node, [halves], workers):
        number = ~np.isnan(wanted)
        np.testing.assert_array_equal(got.view(np.int32)[number], wanted.view(np.int32)[number])
        assert np.isnan(got[~number]).all()


def test_every_byte_is_looked_up(workers: list[Worker]) -> None:
    """u8 to s8, s8 to u8 and u8 to u8 through the table in the order of signed bytes."""
    every = np.arange(256).astype(np.uint8)
    for here, there in ((DType.U8, S8), (S8, DType.U8), (DType.U8, DType.U8)):
        x = _input((256,), here, 0.5, 3)
        node = Node(Op.REQUANTIZE, (x,), Quantize(there, Quant.per_tensor(0.7, 100)), "y")
        assert bind(node).kernel == "mw_lookup_s8"
        for got, wanted in _both(node, [every.view(here.numpy)], workers):
            compare(got, wanted, f"{here} to {there}")


def _special_nodes() -> list[tuple[Node, list[np.ndarray]]]:
    a, b = (graph_input((len(PAIRS),), F32, name) for name in "ab")
    both = [PAIRS[:, 0].copy(), PAIRS[:, 1].copy()]
    image, rows = _input((1, len(PAIRS), 2, 1), F32), _input(PAIRS.shape, F32)
    window = Pool2d((1, 2), (1, 2))
    return [
        *((Node(op, (a, b), Elementwise(), "y"), both) for op in (Op.ADD, Op.SUB, Op.MUL)),
        (Node(Op.CLAMP, (rows,), ClampAttrs(RELU6), "y"), [PAIRS]),
        (Node(Op.MAX_POOL2D, (image,), window, "y"), [PAIRS.reshape(image.type.shape)]),
        (Node(Op.AVERAGE_POOL2D, (image,), window, "y"), [PAIRS.reshape(image.type.shape)]),
        (Node(Op.MEAN, (rows,), Mean((1,)), "y"), [PAIRS]),
        (Node(Op.MEAN, (rows,), Mean((0,)), "y"), [np.full_like(PAIRS, 3e38)]),
    ]


@pytest.mark.parametrize(("node", "values"), _special_nodes(), ids=lambda v: str(v)[:40])
def test_special_floats(node: Node, values: list[np.ndarray], workers: list[Worker]) -> None:
    """Sums in memory order: infinities, NaN, overflow and zeros' signs are the reference's."""
    for got, wanted in _both(node, values, workers):
        same = got.view(np.int32) == wanted.view(np.int32)
        assert (same | (np.isnan(got) & np.isnan(wanted))).all()


def test_softmax_results_that_nobody_has() -> None:
    """An s16 softmax has no s8 result, nor has a float one an integer's."""
    for x, to in ((_input((3,), S16, 0.1), S8), (_input((3,), F32), S16)):
        with pytest.raises(UnsupportedOp, match=rf"y \(softmax\): input is .*, the result {to}; "):
            Node(Op.SOFTMAX, (x,), Softmax(1.0, to), "y")
