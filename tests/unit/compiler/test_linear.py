"""Planes of quantized sums: exact for every pair of bytes, found for scales of real nets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milliwatt.compiler.rows.elementwise_dsp import plane_of
from milliwatt.compiler.rows.linear import BITS, Plane, fits, plane_sums, solve_plane
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType, Quant, Type

ZERO_POINTS = st.sampled_from([-128, -128, -31, 0, 5, 127])
BYTES = np.arange(-128, 128).astype(np.int8)


def kind(scale: float, zero_point: int) -> Type:
    """A scalar of that quantization."""
    return Type((1,), DType.S8, Quant.per_tensor(scale, zero_point))


def results(op: Op, out: Type, a: Type, b: Type) -> np.ndarray:
    """s8 [256, 256]: TFLM's sums of all pairs, by the reference."""
    ins = (Type((256, 1), DType.S8, a.quant), Type((1, 256), DType.S8, b.quant))
    whole = Type((256, 256), DType.S8, out.quant)
    pairs = (BYTES[:, None], BYTES[None, :])
    return OPS[op].reference(Elementwise(quant=out.quant), whole, ins, pairs)


def of_plane(plane: Plane) -> np.ndarray:
    """The kernel's results of all pairs."""
    sums = plane_sums(plane)
    assert np.abs(sums).max() < 2**31
    return np.clip(sums >> BITS, -128, 127)


@settings(max_examples=60)
@given(
    st.sampled_from([Op.ADD, Op.SUB]),
    st.floats(0.01, 0.1),
    st.floats(-1.5, 1.5),
    st.floats(0.5, 2.5),
    st.tuples(ZERO_POINTS, ZERO_POINTS, ZERO_POINTS),
)
def test_planes_are_exact(
    op: Op, scale: float, ratio: float, more: float, zeros: tuple[int, int, int]
) -> None:
    """Wherever one is found, whatever the scales."""
    other = scale * 2**ratio
    a, b, out = kind(scale, zeros[0]), kind(other, zeros[1]), kind(more * scale, zeros[2])
    plane = plane_of(op, out, a, b)
    if plane is not None:
        assert (of_plane(plane) == results(op, out, a, b)).all()


def test_drawn_scales_have_planes() -> None:
    """All of a hundred drawn as calibration finds them, nearly all in one step."""
    rng = np.random.default_rng(11)
    steps = []
    for _ in range(100):
        scale = 10 ** rng.uniform(-2, -1)
        other = scale * 10 ** rng.uniform(-0.6, 0.6)
        zeros = [int(z) for z in rng.integers(-128, 128, 3)]
        out = kind(max(scale, other) * rng.uniform(0.6, 2), zeros[2])
        plane = plane_of(Op.ADD, out, kind(scale, zeros[0]), kind(other, zeros[1]))
        assert plane is not None
        steps.append(plane.steps)
    assert steps.count(1) >= 95


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB])
@pytest.mark.parametrize("a", [1.0, 0.5, 0.25, 0.125])
@pytest.mark.parametrize("b", [1.0, 0.5, 0.25, 0.125])
def test_powers_of_two_have_planes(op: Op, a: float, b: float) -> None:
    """Scales that are powers of two apart put many sums on halves, of both signs."""
    kinds = kind(1.0, 3), kind(a, -5), kind(b, 11)
    plane = plane_of(op, *kinds)
    assert plane is not None
    assert (of_plane(plane) == results(op, *kinds)).all()


def test_the_second_form_is_needed() -> None:
    """Tenths and three tenths: sums on halves that no single step rounds as TFLM does."""
    kinds = kind(0.1, 0), kind(0.03, 0), kind(0.1, 0)
    plane = plane_of(Op.ADD, *kinds)
    assert plane is not None
    assert plane.steps == 2
    assert (of_plane(plane) == results(Op.ADD, *kinds)).all()


def test_what_has_no_plane() -> None:
    """Results that are no sum; slopes beyond 32 bits; a result finer than the operands by far."""
    table = np.random.default_rng(0).integers(-128, 128, (256, 256)).astype(np.int8)
    assert solve_plane(table, (0.5, 0.5), (0, 0)) is None
    assert not fits((4.0, -4.0))
    assert plane_of(Op.ADD, kind(1e-3, 0), kind(0.1, 0), kind(0.1, 0)) is None
