"""Rows of pooling and mean."""

from __future__ import annotations

import math

from milliwatt.compiler.rows.results import f32_bounds, s8_bounds, s8_result
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.rows.strides import Axis, axes_array, collapse, row_major
from milliwatt.ir.attrs import NO_CLAMP, Mean, Pool2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.pool import mean_multiplier


def lower_pool(node: Node) -> Lowered:
    """max_pool2d and average_pool2d, s8 and f32: a window and the bounds of the result."""
    attrs = node.attrs
    assert isinstance(attrs, Pool2d)
    bounds = (
        f32_bounds(attrs.clamp) if node.type.dtype.is_float else s8_bounds(node.type, attrs.clamp)
    )
    return Lowered(
        (
            *zip(("batches", "in_h", "in_w", "in_c"), node.src[0].type.shape, strict=True),
            *zip(("out_h", "out_w", "out_c"), node.type.shape[1:], strict=True),
            *zip(("kernel_h", "kernel_w"), attrs.kernel, strict=True),
            *zip(("stride_h", "stride_w"), attrs.stride, strict=True),
            ("dilation_h", 1),
            ("dilation_w", 1),
            ("pad_top", attrs.padding[0]),
            ("pad_left", attrs.padding[2]),
            *bounds,
        )
    )


def _reduction(node: Node) -> tuple[Field, ...]:
    """The members of MW_REDUCTION: loops over the kept axes and over the reduced ones."""
    assert isinstance(node.attrs, Mean)
    shape, axes = node.src[0].type.shape, node.attrs.axes
    loops: list[Axis] = [(n, s, 0) for n, s in zip(shape, row_major(shape), strict=True)]
    kept = collapse(a for i, a in enumerate(loops) if i not in axes)
    reduced = collapse(loops[i] for i in axes) or [(1, 0, 0)]
    row, outer = reduced[0], reduced[1:]
    return (
        ("outputs", node.type.size),
        ("rows", math.prod(size for size, _, _ in outer)),
        ("row", row[0]),
        ("step", row[1]),
        ("out_rank", len(kept)),
        ("in_rank", len(outer)),
        ("out_axes", axes_array(kept, node.name)),
        ("in_axes", axes_array(outer, node.name)),
    )


def lower_mean_s8(node: Node) -> Lowered:
    """mean over any axes; 1 / count sits in the multiplier."""
    x, out = node.src[0].type, node.type
    multiplier, shift = mean_multiplier(out, x, x.size // out.size)
    return Lowered(
        (
            *_reduction(node),
            ("in_zero_point", x.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(out, NO_CLAMP),
        )
    )


def lower_mean_f32(node: Node) -> Lowered:
    """mean over any axes in float32."""
    return Lowered(_reduction(node))


_S8, _F32 = ("s8", "s8"), ("f32", "f32")
ROWS = (
    Row(Op.MAX_POOL2D, _S8, "max_pool2d_s8", "pool2d_s8_params", lower_pool),
    Row(Op.MAX_POOL2D, _F32, "max_pool2d_f32", "pool2d_f32_params", lower_pool),
    Row(Op.AVERAGE_POOL2D, _S8, "average_pool2d_s8", "pool2d_s8_params", lower_pool),
    Row(Op.AVERAGE_POOL2D, _F32, "average_pool2d_f32", "pool2d_f32_params", lower_pool),
    Row(Op.MEAN, _S8, "mean_s8", "mean_s8_params", lower_mean_s8),
    Row(Op.MEAN, _F32, "mean_f32", "mean_f32_params", lower_mean_f32),
)
