"""Every kernel against the NumPy reference, built with gcc and clang under ASan and UBSan."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels.cases import CASES
from kernels.harness import DSP_TARGET, Worker, check, compare, operand_values
from milliwatt.compiler.bind import bind
from milliwatt.compiler.rows import TABLE
from milliwatt.ir.attrs import Unary
from milliwatt.ir.graph import Node, graph_input
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType
from support.single_ops import GRID, OPERATORS, single_op

# What is no call of one kernel: leaves, the same bytes under another type, control flow.
NO_KERNEL = (
    *(Op.INPUT, Op.CONSTANT, Op.STATE, Op.RESHAPE, Op.PART),
    *(Op.IF, Op.WHILE, Op.SCAN, Op.BY_ROWS),
)
# Element types of the first operand that TFLite Micro or LiteRT has, where they are neither those
# of the draws nor s8 and f32.
_QUANTIZED = {"s8", "s16", "f32"}
_INDICES = {Op.ADD, Op.SUB, Op.MUL}
TYPES = {
    **dict.fromkeys((Op.MAX_POOL2D, Op.AVERAGE_POOL2D, Op.MEAN, Op.CLAMP), _QUANTIZED),
    **dict.fromkeys((Op.LOGISTIC, Op.TANH, Op.SOFTMAX), _QUANTIZED),
    **dict.fromkeys(_INDICES, _QUANTIZED | {"s32"}),
    Op.LOOKUP: {"s8"},
    Op.QUANTIZE: {"f32"},
    Op.DEQUANTIZE: {"s8", "u8", "s16", "s32", "f16"},
    Op.REQUANTIZE: {"s8", "u8", "s16", "s32"},
}

GROUPS = [
    pytest.param([node for _, node in group], id=name)
    for name, group in itertools.groupby(CASES, key=lambda case: case[0].rsplit("-", 1)[0])
]


@pytest.mark.parametrize("nodes", GROUPS)
def test_grid(nodes: list[Node], workers: list[Worker]) -> None:
    """0 differing values for integers, 1e-5 for floats, over the whole grid, also in place."""
    for number, node in enumerate(nodes):
        try:
            check(node, workers, seed=number)
        except AssertionError as error:
            raise AssertionError(f"case {number}, {node!r}, {node.attrs}: {error}") from None


SETTINGS = settings(max_examples=40)


@pytest.mark.parametrize("name", sorted(set(OPERATORS) - set(map(str, NO_KERNEL))))
def test_random_shapes(name: str, workers: list[Worker]) -> None:
    """Random shapes, scales, options and operands of every operator."""
    drawn = [dtype for known, dtype in GRID if known == name]

    @SETTINGS
    @given(st.sampled_from(drawn or (DType.S8, DType.F32)), st.integers(0, 2**31))
    def same(dtype: DType, seed: int) -> None:
        for node in single_op(name, dtype, seed).nodes():
            if node.op not in NO_KERNEL:
                check(node, workers, seed=seed)

    same()


def test_every_row_has_a_grid() -> None:
    """Each portable row of the bind table is the first match of some case, and each row of an
    extension, where every match is a candidate, matches one: no row is dead or untested."""
    met = set()
    for _, node in CASES:
        rows = [r for r in TABLE if r.matches(node, DSP_TARGET)]
        met |= {id(r) for r in rows if r.isa}
        met.add(id(next(r for r in rows if not r.isa)))
    missing = [f"{r.op} {r.dtypes} {r.kernel} {r.note}" for r in TABLE if id(r) not in met]
    assert not missing, f"rows of the bind table without a grid case: {missing}"


def test_every_operator_has_a_kernel_and_a_reference() -> None:
    """Operators without a kernel, by element type of the first operand."""
    for op in Op:
        assert callable(OPS[op].reference), f"{op} has no reference"
        if op in NO_KERNEL:
            continue
        found = {r.dtypes[0] if r.dtypes else "any" for r in TABLE if r.op is op}
        drawn = {str(dtype) for name, dtype in GRID if name == str(op)}
        missing = TYPES.get(op, drawn or {"s8", "f32"}) - found
        assert not missing or "any" in found, f"{op} has no kernel for {sorted(missing)}"


def test_wrong_results_are_noticed(workers: list[Worker]) -> None:
    """The comparison can fail: a sum is not a difference."""
    add = next(node for name, node in CASES if name == "add-s8-0")
    sub = Node(Op.SUB, add.src, add.attrs, "y")
    values = operand_values(add, 0)
    wanted = OPS[Op.SUB].reference(sub.attrs, sub.type, [s.type for s in sub.src], values)
    for worker in workers:
        data = worker.run(bind(add), values, add.type.nbytes, None)
        with pytest.raises(AssertionError, match="values differ"):
            compare(np.frombuffer(data, np.int8).reshape(wanted.shape), wanted, "add")


@pytest.mark.parametrize("short", ["out", "workspace"])
def test_overruns_are_noticed(short: str, workers: list[Worker]) -> None:
    """A result or workspace one byte too small stops the process with the sanitizer's report."""
    node = next(n for _, n in CASES if bind(n).kernel == "mw_conv2d_s8" and bind(n).workspace_bytes)
    call, values = bind(node), operand_values(node, 0)[:1]
    assert call.operands == (0,)
    nbytes = node.type.nbytes - (short == "out")
    call = dataclasses.replace(call, workspace_bytes=call.workspace_bytes - (short == "workspace"))
    for worker in workers:
        victim = Worker(worker.compiler, worker.library)
        with pytest.raises(AssertionError, match="heap-buffer-overflow"):
            victim.run(call, values, nbytes, None)
        victim.close()


@pytest.mark.parametrize("op", [Op.LOGISTIC, Op.TANH], ids=str)
def test_f32_functions_are_close_everywhere(op: Op, workers: list[Worker]) -> None:
    """1e-6 relative to the true value, near 0 and far from it, where it is a normal float32."""
    near = np.geomspace(1e-30, 80, 4000)
    points = np.concatenate([-near[::-1], [0.0], near]).astype(np.float32)
    x = graph_input(points.shape, DType.F32, "x")
    node = Node(op, (x,), Unary(), "y")
    wide = points.astype(np.float64)
    true = np.tanh(wide) if op is Op.TANH else 1 / (1 + np.exp(-wide))
    for worker in workers:
        data = worker.run(bind(node), [points], points.nbytes, None)
        got = np.frombuffer(data, np.float32).astype(np.float64)
        assert np.abs(got - true).max() <= 1e-6
        nonzero = true != 0
        assert (np.abs(got[nonzero] / true[nonzero] - 1) <= 1e-6).all()
        assert (got[~nonzero] == 0).all()
