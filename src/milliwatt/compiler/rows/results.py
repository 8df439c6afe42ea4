"""Struct members that several families share: result bounds, scales, the quantized sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.compiler.rows.row import Field
from milliwatt.ir.attrs import Clamp
from milliwatt.ir.ops.common import clamp_range
from milliwatt.ir.ops.elementwise import add_multipliers
from milliwatt.ir.types import Type

F32_MAX = float(np.finfo(np.float32).max)


def s8_bounds(out: Type, clamp: Clamp) -> tuple[Field, ...]:
    """clamp_min and clamp_max of an integer result, in its own units."""
    low, high = clamp_range(clamp, out)
    return (("clamp_min", low), ("clamp_max", high))


def s8_result(out: Type, clamp: Clamp) -> tuple[Field, ...]:
    """The members of MW_RESULT_S8."""
    return (("out_zero_point", out.zero_point), *s8_bounds(out, clamp))


def f32_bounds(clamp: Clamp) -> tuple[Field, ...]:
    """The members of MW_RESULT_F32; no bound is the largest float32, as in TFLite."""
    low, high = (float(np.float32(min(max(b, -F32_MAX), F32_MAX))) for b in clamp)
    return (("clamp_min", low), ("clamp_max", high))


def scale_pair(multiplier: int, shift: int) -> tuple[int, int]:
    """(factor, right) of a (multiplier, shift): the form that mw_scale in mw_fixed.h computes with.

    multiplier is in [2**30, 2**31), or 0, which packs as 2**-33: no 32-bit sum is rounded up by it.
    """
    if multiplier == 0:
        return -(2**31), 31
    return 2 * multiplier - 2**32, -shift - 1


def sum_fields(clamp: Clamp, out: Type, ins: Sequence[Type]) -> tuple[Field, ...]:
    """The members of mw_sum_s8: what add, sub and the fused add compute."""
    a, b, last = (scale_pair(*pair) for pair in add_multipliers(out, ins))
    return (
        ("a_zero_point", ins[0].zero_point),
        ("a_factor", a[0]),
        ("a_right", a[1]),
        ("b_zero_point", ins[1].zero_point),
        ("b_factor", b[0]),
        ("b_right", b[1]),
        ("out_factor", last[0]),
        ("out_right", last[1]),
        *s8_result(out, clamp),
    )


def prefixed(member: str, fields: Sequence[Field]) -> tuple[Field, ...]:
    """The same members inside the struct member `member`."""
    return tuple((f"{member}.{name}", value) for name, value in fields)
