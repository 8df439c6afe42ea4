"""The float32 functions of mw_math.h and mw_trig.h everywhere: bit patterns of all magnitudes."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from kernels.harness import Worker
from milliwatt.compiler.bind import bind
from milliwatt.ir.attrs.pointwise import Gelu, Pointwise
from milliwatt.ir.graph import Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

# Every 30011th float32: both signs, every exponent about 280 times, denormals, infinities, NaN.
EVERY = np.arange(0, 2**32, 30011, dtype=np.uint64).astype(np.uint32).view(np.float32)
SMALLEST = float(np.finfo(np.float32).tiny)


def on(op: Op, worker: Worker, *operands: np.ndarray) -> np.ndarray:
    """The kernel's result on whole arrays."""
    src = tuple(graph_input(x.shape, DType.F32, f"x{n}") for n, x in enumerate(operands))
    node = Node(op, src, Pointwise(), "y")
    data = worker.run(bind(node), list(operands), operands[0].nbytes, None)
    return np.frombuffer(data, np.float32)


@pytest.mark.parametrize(
    ("op", "true"),
    [
        (Op.EXP, np.exp),
        (Op.LOG, np.log),
        (Op.SIN, np.sin),
        (Op.COS, np.cos),
        (Op.RSQRT, lambda x: 1 / np.sqrt(x)),
        (Op.ELU, lambda x: np.where(x < 0, np.expm1(x), x)),
    ],
    ids=lambda v: str(v) if isinstance(v, Op) else "",
)
def test_close_everywhere(
    op: Op, true: Callable[[np.ndarray], np.ndarray], workers: list[Worker]
) -> None:
    """4e-7 relative; denormal results as near as the smallest normal number allows."""
    with np.errstate(all="ignore"):
        exact = true(EVERY.astype(np.float64))
        wanted = exact.astype(np.float32)
        for worker in workers:
            got = on(op, worker, EVERY)
            same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
            error = np.abs(got.astype(np.float64) - exact) / np.maximum(np.abs(exact), SMALLEST)
            assert np.where(same, 0, error).max() <= 4e-7


@pytest.mark.parametrize(
    ("op", "true"),
    [(Op.SQRT, np.sqrt), (Op.FLOOR, np.floor), (Op.CEIL, np.ceil), (Op.ROUND, np.rint)],
    ids=lambda v: str(v) if isinstance(v, Op) else "",
)
def test_exact_everywhere(
    op: Op, true: Callable[[np.ndarray], np.ndarray], workers: list[Worker]
) -> None:
    near = np.concatenate([np.arange(-40, 40, 0.25), [8388607.5, 4194304.5]]).astype(np.float32)
    points = np.concatenate([EVERY, near])
    with np.errstate(invalid="ignore"):
        wanted = true(points)
    for worker in workers:
        assert np.array_equal(on(op, worker, points), wanted, equal_nan=True)


@pytest.mark.parametrize("approximate", [False, True])
def test_gelu_is_close_on_both_sides(approximate: bool, workers: list[Worker]) -> None:
    """1e-6 relative above 0, 2e-5 below, where it is a normal float32."""
    points = np.linspace(-12.5 if not approximate else -9, 12, 20001).astype(np.float32)
    x = graph_input(points.shape, DType.F32, "x")
    node = Node(Op.GELU, (x,), Gelu(approximate), "y")
    wide = points.astype(np.float64)
    if approximate:
        exact = wide / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)))
    else:
        exact = np.array([0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in wide.tolist()])
    for worker in workers:
        got = np.frombuffer(worker.run(bind(node), [points], points.nbytes, None), np.float32)
        error = np.abs(got - exact) / np.maximum(np.abs(exact), SMALLEST)
        assert error[wide > 0].max() <= 1e-6
        assert error[wide < 0].max() <= 2e-5


def test_floor_mod_is_exact_and_floor_div_close(workers: list[Worker]) -> None:
    """Pairs of near and far magnitudes, infinities, zeros and NaN."""
    rng = np.random.default_rng(0)
    a, near = rng.permutation(EVERY), rng.uniform(0.001, 100, EVERY.size).astype(np.float32)
    with np.errstate(all="ignore"):
        b = np.where(rng.random(EVERY.size) < 0.5, rng.permutation(EVERY), a / near)
        rest = np.fmod(a, b)
        wanted = np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)
        exact = np.floor(a.astype(np.float64) / b)
        whole = exact.astype(np.float32)
        for worker in workers:
            assert np.array_equal(on(Op.FLOOR_MOD, worker, a, b), wanted, equal_nan=True)
            got = on(Op.FLOOR_DIV, worker, a, b)
            same = (got == whole) | (np.isnan(got) & np.isnan(whole))
            error = np.abs(got.astype(np.float64) - exact) / np.maximum(np.abs(exact), 1)
            assert np.where(same, 0, error).max() <= 4e-7
            small = np.abs(exact) < 2**22
            assert same[small].all()


def test_division_by_zero_does_not_trap(workers: list[Worker]) -> None:
    """Every pair of edges in s32, by the sanitizers' word; results are those of the reference."""
    edges = np.array([0, 1, -1, 2, -2, 7, 2**31 - 1, -(2**31)], np.int32)
    a, b = (np.ascontiguousarray(x.reshape(-1)) for x in np.meshgrid(edges, edges))
    src = tuple(graph_input(x.shape, DType.S32, n) for x, n in ((a, "a"), (b, "b")))
    for op in (Op.FLOOR_DIV, Op.FLOOR_MOD):
        node = Node(op, src, Pointwise(), "y")
        for worker in workers:
            data = worker.run(bind(node), [a, b], a.nbytes, None)
            for x, y, got in zip(a, b, np.frombuffer(data, np.int32), strict=True):
                whole, rest = divmod(int(x), int(y)) if y else (0, 0)
                wanted = whole if op is Op.FLOOR_DIV else rest
                assert got == (wanted + 2**31) % 2**32 - 2**31, (op, x, y)
