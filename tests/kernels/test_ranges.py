"""Ranges that kernels state: inside them C is the reference, outside binding refuses by name."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pytest

from kernels.harness import KERNELS, Worker, check, compare
from milliwatt.compiler.bind import bind
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import (
    NO_CLAMP,
    Attrs,
    Clamp,
    Conv2d,
    Elementwise,
    Mean,
    Pool2d,
    Softmax,
    Transpose,
)
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType, Quant

S8, F32 = DType.S8, DType.F32
STEP = 0.1


def _s8(shape: tuple[int, ...], scale: float = STEP, zero: int = 0, name: str = "x") -> Node:
    return graph_input(shape, S8, name, Quant.per_tensor(scale, zero))


def _run(node: Node, values: list[np.ndarray], workers: list[Worker]) -> None:
    """Every compiler's kernel gives the reference's result for these operands."""
    wanted = OPS[node.op].reference(node.attrs, node.type, [s.type for s in node.src], values)
    call = bind(node)
    for worker in workers:
        data = worker.run(call, [values[i] for i in call.operands], node.type.nbytes, None)
        got = np.frombuffer(data, node.type.dtype.numpy).reshape(node.type.shape)
        compare(got, wanted, f"{call.kernel} ({worker.name})")


def _softmax(row: int, beta: float = 1.0, dtype: DType = S8) -> Node:
    quant = Quant.per_tensor(STEP) if dtype is S8 else None
    return Node(Op.SOFTMAX, (graph_input((1, row), dtype, "x", quant),), Softmax(beta), "soft")


def test_longest_softmax_row(workers: list[Worker]) -> None:
    """4095 equal logits fill the 32 bits of the sum."""
    _run(_softmax(4095), [np.full((1, 4095), 7, np.int8)], workers)


@pytest.mark.parametrize("row", [4096, 8192])
def test_softmax_of_too_long_a_row(row: int) -> None:
    with pytest.raises(UnsupportedOp, match=rf"soft \(softmax\): rows of {row} values; below 4096"):
        bind(_softmax(row))


def test_softmax_kernel_ends_where_its_sum_wraps_to_zero(workers: list[Worker]) -> None:
    """A caller that passes a longer row than binding allows gets some result, not a hang."""
    call = bind(_softmax(4095))
    fields = tuple((k, 8192 if k == "row" else v) for k, v in call.fields)
    long = type(call)(**{**vars(call), "fields": fields})
    for worker in workers:
        assert len(worker.run(long, [np.zeros(8192, np.int8)], 8192, None)) == 8192


@pytest.mark.parametrize("dtype", [S8, F32], ids=str)
@pytest.mark.parametrize("beta", [-1.0, float("nan"), 1e39])
def test_softmax_beta(beta: float, dtype: DType) -> None:
    with pytest.raises(UnsupportedOp, match=r"soft \(softmax\): beta is .*; a finite number"):
        bind(_softmax(3, beta, dtype))


def test_softmax_of_beta_zero_is_uniform(workers: list[Worker]) -> None:
    check(_softmax(5, 0.0), workers)
    check(_softmax(5, 0.0, F32), workers)


@dataclass(frozen=True)
class Scaled:
    """An operator whose result is rescaled: two operand scales and the zero points."""

    op: Op
    reach: int  # largest magnitude before the last scaling
    real: float  # what a result scale of 1 multiplies by

    def node(self, shift: int, zero: int, clamp: Clamp = NO_CLAMP) -> Node:
        """The operator with a last scale of just below 2^shift, its operands' zero points -128."""
        quant = Quant.per_tensor(self.real / 2.0**shift * 1.0001, zero)
        a = _s8((16, 1), STEP, -128, "a")
        if self.op is Op.MEAN:
            return Node(self.op, (_s8((2, 256), STEP, -128),), Mean((1,), False, quant), "y")
        b = _s8((1, 16), STEP, -128, "b")
        return Node(self.op, (a, b), Elementwise(clamp, quant), "y")


_SUM = 2 * STEP / 2**20
SCALED = (
    Scaled(Op.ADD, 255 * 2**20 + 2, _SUM),
    Scaled(Op.SUB, 255 * 2**20 + 2, _SUM),
    Scaled(Op.MUL, 255 * 255, STEP * STEP),
    Scaled(Op.MEAN, 255 * 256, STEP / 256),
)


@pytest.mark.parametrize("case", SCALED, ids=lambda c: str(c.op))
def test_results_that_leave_32_bits(case: Scaled, workers: list[Worker]) -> None:
    """At the largest left shift that fits C is the reference at both ends; one more is refused."""
    fits = max(s for s in range(31) if case.reach << s < 2**31 - 1024)
    for zero in (-128, 127):
        node = case.node(fits, zero)
        assert bind(node)
        for low, high in ((-128, 127), (127, -128), (-128, -128), (127, 127)):
            values = [
                np.full(s.type.shape, v, np.int8)
                for s, v in zip(node.src, (low, high), strict=False)
            ]
            _run(node, values, workers)
        check(node, workers)
        with pytest.raises(UnsupportedOp, match=rf"y \({case.op}\): a value before its last"):
            bind(case.node(fits + 1, zero))


def test_mul_of_extreme_scales() -> None:
    """1e20 result steps a product: refused, for C and the reference would wrap differently."""
    a, b = _s8((3,), 1e10, -128, "a"), _s8((3,), 1.0, 127, "b")
    node = Node(Op.MUL, (a, b), Elementwise(quant=Quant.per_tensor(1e-10, -128)), "y")
    with pytest.raises(UnsupportedOp, match=r"y \(mul\): .*below 2147482624 wanted"):
        bind(node)


@pytest.mark.parametrize(("count", "fits"), [(2**22 - 1, True), (2**22, False)])
def test_mean_of_many_values(count: int, fits: bool, workers: list[Worker]) -> None:
    quant = Quant.per_tensor(STEP, 127)
    node = Node(Op.MEAN, (_s8((count,), STEP, 127),), Mean((0,), False, quant), "y")
    if fits:
        _run(node, [np.full(count, -128, np.int8)], workers)
        return
    with pytest.raises(UnsupportedOp, match=rf"y \(mean\): a mean of {count} values"):
        bind(node)


def test_average_pool_of_many_values() -> None:
    """Padding does not count, cells do."""
    x = _s8((1, 2048, 2048, 1))
    whole = Pool2d((2048, 2048), (1, 1))
    with pytest.raises(UnsupportedOp, match=r"y \(average_pool2d\): a mean of 4194304 values"):
        bind(Node(Op.AVERAGE_POOL2D, (x,), whole, "y"))
    assert bind(Node(Op.MAX_POOL2D, (x,), whole, "y")).kernel == "mw_max_pool2d_s8"
    small = Pool2d((2048, 2048), (1, 1), (2047, 0, 2047, 0))
    assert bind(Node(Op.AVERAGE_POOL2D, (_s8((1, 3, 3, 1)),), small, "y"))


@pytest.mark.parametrize("op", [Op.CONV2D, Op.DEPTHWISE_CONV2D], ids=str)
@pytest.mark.parametrize("dtype", [S8, F32], ids=str)
def test_steps_of_a_window(op: Op, dtype: DType, workers: list[Worker]) -> None:
    """The largest stride and dilation that coordinates can take, and one more."""
    quant = Quant.per_tensor(STEP) if dtype is S8 else None
    x = graph_input((1, 3, 3, 2), dtype, "x", quant)
    shape = (2, 1, 1, 2) if op is Op.CONV2D else (1, 1, 1, 2)
    w = constant(np.ones(shape, dtype.numpy), "w", quant)
    most = 2**30 - 1
    pads = (1, 1, 1, 1)
    check(Node(op, (x, w), Conv2d((most, most), pads, (most, most), quant=quant), "y"), workers)
    for stride, dilation in (((1, most + 1), (1, 1)), ((1, 1), (most + 1, 1))):
        node = Node(op, (x, w), Conv2d(stride, pads, dilation, quant=quant), "y")
        with pytest.raises(UnsupportedOp, match=rf"y \({op}\): stride .*below 1073741824 wanted"):
            bind(node)


def test_pool_strides() -> None:
    node = Node(Op.MAX_POOL2D, (_s8((1, 2, 2, 1)),), Pool2d((1, 1), (2**31, 1)), "y")
    with pytest.raises(UnsupportedOp, match=r"y \(max_pool2d\): stride \[2147483648, 1\]"):
        bind(node)


def test_rank() -> None:
    """Nine axes of which no two merge; a reversal of eight and their bytes."""
    x = graph_input((2,) * 9, F32, "x")
    node = Node(Op.TRANSPOSE, (x,), Transpose(tuple(reversed(range(9)))), "t")
    with pytest.raises(UnsupportedOp, match=r"t \(transpose\): 9 axes .*8 at most wanted"):
        bind(node)


def test_the_deepest_walk(workers: list[Worker]) -> None:
    """As many loops as a walk has counters."""
    limit = re.search(r"MW_MAX_RANK (\d+)", (KERNELS / "mw_walk.h").read_text())
    assert limit is not None
    rank = int(limit[1])
    x = graph_input((2,) * rank, F32, "x")
    node = Node(Op.TRANSPOSE, (x,), Transpose(tuple(reversed(range(rank)))), "t")
    assert dict(check(node, workers).fields)["rank"] == rank


@pytest.mark.parametrize("clamp", [(1e30, 1e30), (-1e30, -1e30), (-1e30, 1e30)])
def test_bounds_beyond_32_bits(clamp: Clamp, workers: list[Worker]) -> None:
    """Bounds that no int32_t holds act as the limits of the type."""
    attrs = Elementwise(clamp, Quant.per_tensor(STEP, 127 if clamp[0] > 0 else -128))
    check(Node(Op.ADD, (_s8((200,)), _s8((200,), name="b")), attrs, "y"), workers)


def test_floats_beyond_32_bits() -> None:
    x = graph_input((2,), F32, "x")
    node = Node(Op.ADD, (x, x), Elementwise((float("nan"), 1.0)), "y")
    with pytest.raises(UnsupportedOp, match=r"y \(add\): the kernel's clamp_min is nan; a finite"):
        bind(node)
    wide = graph_input((2,), S8, "w", Quant((1e300,), (0,)))
    with pytest.raises(UnsupportedOp, match=r"d \(dequantize\): the kernel's scale is 1e\+300"):
        bind(Node(Op.DEQUANTIZE, (wide,), Attrs(), "d"))


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB, Op.MUL], ids=str)
def test_f32_results_that_overflow(op: Op, workers: list[Worker]) -> None:
    """Without an activation the result is bounded by the largest float32, as in TFLite."""
    top = np.finfo(np.float32).max
    a, b = (graph_input((4,), F32, name) for name in "ab")
    left = np.array([top, -top, top, 1], np.float32)
    right = np.array([top, top, -top, np.nan], np.float32)
    node = Node(op, (a, b), Elementwise(), "y")
    with np.errstate(over="ignore"):
        wanted = OPS[op].reference(node.attrs, node.type, [a.type, b.type], [left, right])
    assert np.abs(wanted[:3]).max() == top
    assert np.isnan(wanted[3])
    for worker in workers:
        got = np.frombuffer(worker.run(bind(node), [left, right], 16, None), np.float32)
        np.testing.assert_array_equal(got, wanted)
