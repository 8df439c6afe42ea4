"""Rows of add, sub and mul."""

from __future__ import annotations

import math

from milliwatt.compiler.rows.results import (
    check_scaled,
    f32_bounds,
    prefixed,
    reach,
    s8_bounds,
    s8_result,
    sum_fields,
)
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.rows.strides import axes_array, collapse, row_major
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.elementwise import mul_multiplier


def strides(shape: tuple[int, ...], rank: int) -> list[int]:
    """Strides of an operand inside the broadcast result: 0 along axes that it repeats on."""
    padded = (1,) * (rank - len(shape)) + shape
    return [0 if size == 1 else s for size, s in zip(padded, row_major(padded), strict=True)]


def broadcast_fields(node: Node) -> tuple[Field, ...]:
    """The members of MW_BROADCAST."""
    shape = node.type.shape
    a, b = (strides(s.type.shape, len(shape)) for s in node.src)
    loops = collapse(zip(shape, a, b, strict=True)) or [(1, 0, 0)]
    (row, a_step, b_step), outer = loops[0], loops[1:]
    return (
        ("rows", math.prod(size for size, _, _ in outer)),
        ("row", row),
        ("a_step", a_step),
        ("b_step", b_step),
        ("rank", len(outer)),
        ("axes", axes_array(outer, node)),
    )


def lower_sum(node: Node) -> Lowered:
    """add and sub of quantized integers."""
    assert isinstance(node.attrs, Elementwise)
    total = sum_fields(node, node.attrs.clamp, [s.type for s in node.src])
    return Lowered((*broadcast_fields(node), *prefixed("sum", total)))


def lower_mul(node: Node) -> Lowered:
    """mul of quantized integers.

    Raises: UnsupportedOp where a product, brought to the result's scale, may leave 32 bits.
    """
    assert isinstance(node.attrs, Elementwise)
    ins = [s.type for s in node.src]
    multiplier, shift = mul_multiplier(node.type, ins)
    check_scaled(node, reach(ins[0]) * reach(ins[1]), shift)
    return Lowered(
        (
            *broadcast_fields(node),
            ("a_zero_point", node.src[0].type.zero_point),
            ("b_zero_point", node.src[1].type.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(node.type, node.attrs.clamp),
        )
    )


def lower_s32(node: Node) -> Lowered:
    """add, sub and mul of indices, which wrap."""
    assert isinstance(node.attrs, Elementwise)
    return Lowered((*broadcast_fields(node), *s8_bounds(node.type, node.attrs.clamp)))


def lower_f32(node: Node) -> Lowered:
    """add, sub and mul in float32."""
    assert isinstance(node.attrs, Elementwise)
    return Lowered((*broadcast_fields(node), *f32_bounds(node.attrs.clamp)))


# The struct and its fields, by element type: sums, products.
_SUM = {
    "s8": ("sum_s8_params", lower_sum),
    "s16": ("sum_s8_params", lower_sum),
    "s32": ("elementwise_s32_params", lower_s32),
    "f32": ("elementwise_f32_params", lower_f32),
}
_MUL = {**_SUM, "s8": ("mul_s8_params", lower_mul), "s16": ("mul_s8_params", lower_mul)}
ROWS = tuple(
    Row(op, (dtype, dtype), f"{op}_{dtype}", *params, inplace=(0, 1))
    for op, table in ((Op.ADD, _SUM), (Op.SUB, _SUM), (Op.MUL, _MUL))
    for dtype, params in table.items()
)
