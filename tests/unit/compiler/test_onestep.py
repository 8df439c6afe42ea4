"""Requantization in one step or two is TFLM's double rounding at every accumulator it meets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milliwatt.compiler.rows.channel_steps import channel_steps
from milliwatt.compiler.rows.onestep import OneStep, TwoStep, solve, steps, two_step
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import FullyConnected
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

MULTIPLIERS = st.integers(2**30, 2**31 - 1)


def rounded_twice(acc: np.ndarray, multiplier: int, shift: int, zero_point: int) -> np.ndarray:
    """The int8 results of TFLM, by the function that the reference itself uses."""
    scaled = fx.multiply_by_quantized_multiplier(acc.astype(np.int64), multiplier, shift)
    return np.clip(scaled.astype(np.int64) + zero_point, -128, 127)


def of_one_step(acc: np.ndarray, form: OneStep) -> np.ndarray:
    return np.clip(((acc + form.bias) * form.factor >> 32) + form.offset, -128, 127)


def of_two_steps(acc: np.ndarray, form: TwoStep) -> np.ndarray:
    high = (2 * acc * form.multiplier + 2**31) >> 32
    return np.clip((high + (high >> 63) + form.half) >> form.right, -128, 127)


def telling(multiplier: int, shift: int, zero_point: int, low: int, high: int) -> np.ndarray:
    """Accumulators on both sides of every step, the ends, and some between."""
    at = np.array([int(s) for s in steps(multiplier, shift, zero_point)])
    near = np.concatenate([at - 2, at - 1, at, at + 1, [low, high]])
    some = np.random.default_rng(multiplier).integers(low, high + 1, 2000)
    return np.concatenate([np.clip(near, low, high), some])


@given(MULTIPLIERS, st.integers(-22, -1), st.integers(-128, 127), st.integers(1, 2**29))
def test_two_steps_are_exact(multiplier: int, shift: int, zero_point: int, reach: int) -> None:
    """At every step of the result and between them, for all scales below one half."""
    form = two_step(multiplier, shift, zero_point)
    assert form is not None
    acc = telling(multiplier, shift, zero_point, -reach, reach)
    wanted = rounded_twice(acc, multiplier, shift, zero_point)
    assert (of_two_steps(acc, form) == wanted).all()


@given(
    MULTIPLIERS,
    st.integers(-14, 0),
    st.sampled_from([-128, -128, -128, -127, -3, 0, 40, 127]),
    st.integers(-(2**21), 2**21),
    st.integers(0, 2**21),
    st.sampled_from([2**23, 2**30]),
)
def test_one_step_is_exact_where_it_exists(
    multiplier: int, shift: int, zero_point: int, low: int, width: int, limit: int
) -> None:
    """Within the reach it was asked for, ends included, and its sums stay below the limit."""
    high = low + width
    form = solve(multiplier, shift, zero_point, (low, high), limit=limit)
    if form is None:
        return
    assert -limit < low + form.bias
    assert high + form.bias < limit
    assert 0 < form.factor < 2**31
    acc = telling(multiplier, shift, zero_point, low, high)
    wanted = rounded_twice(acc, multiplier, shift, zero_point)
    assert (of_one_step(acc, form) == wanted).all()


def test_one_step_exists_for_rectified_results() -> None:
    """Where the zero point is the lowest value, as after ReLU, nearly every scale has the form."""
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(200):
        multiplier, shift = int(rng.integers(2**30, 2**31)), -int(rng.integers(2, 11))
        reach = int(rng.integers(1_000, 300_000))
        found += solve(multiplier, shift, -128, (-reach, reach), limit=2**23) is not None
    assert found >= 196


def test_both_signs_need_two_steps() -> None:
    """Halves are rounded away from zero: no line has the step at zero of a centred result."""
    assert solve(1_500_000_000, -7, 0, (-30_000, 30_000)) is None
    assert two_step(1_500_000_000, -7, 0) is not None


@pytest.mark.parametrize(("multiplier", "shift"), [(2**29, -3), (0, -3), (2**30, 1)])
def test_scales_without_a_form(multiplier: int, shift: int) -> None:
    """Multipliers that are not normalised, and scales of one and more."""
    assert solve(multiplier, shift, -128, (-100, 100)) is None
    assert two_step(multiplier, shift, -128) is None


def dense(scale: float, bias: int = 0, zero_point: int = -128) -> Node:
    rng = np.random.default_rng(3)
    x = graph_input((1, 20), DType.S8, "x", Quant.per_tensor(0.1, 5))
    w = constant(
        rng.integers(-127, 128, (6, 20)).astype(np.int8),
        "w",
        Quant.per_axis(np.linspace(0.01, 0.02, 6), 0),
    )
    b = constant(np.full(6, bias, np.int32), "b")
    out = Quant.per_tensor(scale, zero_point)
    return Node(Op.FULLY_CONNECTED, (x, w, b), FullyConnected(quant=out), "y")


@pytest.mark.parametrize(("zero_point", "expected"), [(-128, 1), (7, 2)])
def test_records_give_the_reference(zero_point: int, expected: int) -> None:
    """Every channel's record, on the accumulators that real inputs make."""
    node = dense(0.2, zero_point=zero_point)
    attrs = node.attrs
    assert isinstance(attrs, FullyConnected)
    found = channel_steps(node, attrs, node.type, 0)
    assert found is not None
    assert found.steps == expected
    x = np.random.default_rng(8).integers(-128, 128, (500, 20)).astype(np.int64)
    weight, kind = node.src[1].value, node.src[1].type
    assert kind.quant is not None
    sums = x @ weight.T.astype(np.int64)
    offsets = 5 * weight.sum(axis=1, dtype=np.int64)
    for channel, record in enumerate(found.records.tolist()):
        low, high = found.reach[channel]
        exact = sums[:, channel] - offsets[channel]
        assert low <= exact.min()
        assert exact.max() <= high
        if expected == 1:
            got = of_one_step(sums[:, channel], OneStep(*record[:3]))
        else:
            got = of_two_steps(sums[:, channel] + record[0], TwoStep(*record[1:]))
        multiplier, shift = fx.quantize_multiplier(
            node.src[0].type.scale * kind.quant.scales[channel] / node.type.scale
        )
        assert (got == rounded_twice(exact, multiplier, shift, zero_point)).all()


def test_what_leaves_the_limits_has_no_records() -> None:
    """A bias beyond the limit of its channel, and a scale of one half or more."""
    for node in (dense(0.2, bias=2**23), dense(0.0005)):
        assert isinstance(node.attrs, FullyConnected)
        assert channel_steps(node, node.attrs, node.type, 0, 2**23) is None
