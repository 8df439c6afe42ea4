"""Struct members that several families share: result bounds, scales, the quantized sum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.compiler.rows.row import Field
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Clamp
from milliwatt.ir.graph import Node
from milliwatt.ir.ops.common import F32_MAX, clamp_range
from milliwatt.ir.ops.elementwise import ADD_LEFT_SHIFT, add_multipliers
from milliwatt.ir.types import Type

# 32 bits less what rounding and the result's zero point may add.
ACCUMULATOR_LIMIT = 2**31 - 1024
# A step added to any place in an image, padding included, stays in 32 bits.
STEP_LIMIT = 2**30


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


def reach(kind: Type) -> int:
    """The largest |q - zero_point| of an integer type."""
    low, high = kind.dtype.limits
    return max(kind.zero_point - low, high - kind.zero_point)


def check_scaled(node: Node, largest: int, shift: int) -> None:
    """UnsupportedOp where a value up to `largest`, raised by 2**shift, may leave 32 bits."""
    raised = largest << max(shift, 0)
    if raised >= ACCUMULATOR_LIMIT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a value before its last rounding may reach {raised}; below "
            f"{ACCUMULATOR_LIMIT} wanted; its result scale is too small for its operands' scales; "
            "quantize the model again"
        )


def window_fields(
    node: Node,
    out: Type,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> tuple[Field, ...]:
    """The members of MW_WINDOW; UnsupportedOp for steps that no 32-bit coordinate can take."""
    if max(*stride, *dilation) >= STEP_LIMIT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): stride {list(stride)} and dilation {list(dilation)}; "
            f"below {STEP_LIMIT} wanted; a window that never moves can have stride and dilation 1"
        )
    return (
        *zip(("batches", "in_h", "in_w", "in_c"), node.src[0].type.shape, strict=True),
        *zip(("out_h", "out_w", "out_c"), out.shape[1:], strict=True),
        *zip(("kernel_h", "kernel_w"), kernel, strict=True),
        *zip(("stride_h", "stride_w"), stride, strict=True),
        *zip(("dilation_h", "dilation_w"), dilation, strict=True),
        ("pad_top", padding[0]),
        ("pad_left", padding[2]),
    )


def sum_fields(node: Node, clamp: Clamp, ins: Sequence[Type]) -> tuple[Field, ...]:
    """The members of mw_sum_s8: what add, sub and the fused add compute of values of types `ins`.

    Raises: UnsupportedOp where the sum, brought to the result's scale, may leave 32 bits.
    """
    out, pairs = node.type, add_multipliers(node.type, ins)
    # Each operand is brought to half its raised size or less, and rounded.
    largest = ((reach(ins[0]) + reach(ins[1])) << (ADD_LEFT_SHIFT[out.dtype] - 1)) + 2
    check_scaled(node, largest, pairs[2][1])
    a, b, last = (scale_pair(*pair) for pair in pairs)
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
