"""Rows of pooling and mean."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from milliwatt.compiler.rows.results import (
    check_scaled,
    f32_bounds,
    reach,
    s8_bounds,
    s8_result,
    window_fields,
)
from milliwatt.compiler.rows.row import Field, Lowered, Row, always
from milliwatt.compiler.rows.strides import Axis, axes_array, collapse, row_major
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import NO_CLAMP, Mean, Pool2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.pool import mean_multiplier
from milliwatt.ir.types import DType

# How many values the kernels average: the sum, less a zero point each, stays below 2^30.
MEAN_LIMIT = {DType.S8: 2**22, DType.S16: 2**15}


def _check_count(node: Node, count: int) -> None:
    limit = MEAN_LIMIT[node.type.dtype]
    if count >= limit:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a mean of {count} values; below {limit} wanted; "
            "average in two steps"
        )


def lower_pool(node: Node) -> Lowered:
    """A pooling of integers or f32: a window and the bounds of the result."""
    attrs = node.attrs
    assert isinstance(attrs, Pool2d)
    window = window_fields(node, node.type, attrs.kernel, attrs.stride, attrs.padding)
    if node.type.dtype.is_float:
        return Lowered((*window, *f32_bounds(attrs.clamp)))
    return Lowered((*window, *s8_bounds(node.type, attrs.clamp)))


def lower_average_pool(node: Node) -> Lowered:
    """average_pool2d of integers: the sum of a window stays in 32 bits."""
    assert isinstance(node.attrs, Pool2d)
    image = node.src[0].type.shape[1:3]
    _check_count(node, math.prod(min(k, n) for k, n in zip(node.attrs.kernel, image, strict=True)))
    return lower_pool(node)


def reduction_fields(node: Node, axes: tuple[int, ...]) -> tuple[Field, ...]:
    """The members of MW_REDUCTION: loops over the kept axes and over the reduced ones, `axes`."""
    shape = node.src[0].type.shape
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
        ("out_axes", axes_array(kept, node)),
        ("in_axes", axes_array(outer, node)),
    )


def lower_mean(node: Node) -> Lowered:
    """mean over any axes; 1 / count sits in the multiplier."""
    assert isinstance(node.attrs, Mean)
    x, out = node.src[0].type, node.type
    count = x.size // out.size
    _check_count(node, count)
    multiplier, shift = mean_multiplier(out, x, count)
    check_scaled(node, reach(x) * count, shift)
    return Lowered(
        (
            *reduction_fields(node, node.attrs.axes),
            ("in_zero_point", x.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(out, NO_CLAMP),
        )
    )


def lower_mean_f32(node: Node) -> Lowered:
    """mean over any axes in float32."""
    assert isinstance(node.attrs, Mean)
    return Lowered(reduction_fields(node, node.attrs.axes))


def windows_ahead(node: Node) -> bool:
    """Whether no window begins before its own result: then pools may write over what they read.

    Result cells are written in order, cell o over input cell o, and windows of later results have
    to begin behind it.
    """
    assert isinstance(node.attrs, Pool2d)
    attrs, (_, rows, width, _), (_, out_h, out_w, _) = (
        node.attrs,
        node.src[0].type.shape,
        node.type.shape,
    )
    first_row = np.maximum(np.arange(out_h) * attrs.stride[0] - attrs.padding[0], 0)
    first = np.maximum(np.arange(out_w) * attrs.stride[1] - attrs.padding[2], 0)
    begin = first_row[:, None] * width + first
    own = np.arange(out_h)[:, None] * out_w + np.arange(out_w)
    return bool(rows * width >= out_h * out_w and (begin >= own).all())


_WINDOW, _WINDOW_F32 = "pool2d_s8_params", "pool2d_f32_params"


def _pools(op: Op, kind: str, lower: Callable[[Node], Lowered]) -> tuple[Row, Row]:
    """A pool that may work in place, and any other."""
    kernel, kinds = f"{op}_{kind}", (kind, kind)
    note = "windows that do not begin before their result"
    return (
        Row(op, kinds, kernel, _WINDOW, lower, windows_ahead, note, inplace=(0,), shrinks=always),
        Row(op, kinds, kernel, _WINDOW, lower),
    )


ROWS = (
    *(
        row
        for kind in ("s8", "s16")
        for row in (
            *_pools(Op.MAX_POOL2D, kind, lower_pool),
            *_pools(Op.AVERAGE_POOL2D, kind, lower_average_pool),
            Row(Op.MEAN, (kind, kind), f"mean_{kind}", "mean_s8_params", lower_mean),
        )
    ),
    Row(Op.MAX_POOL2D, ("f32", "f32"), "max_pool2d_f32", _WINDOW_F32, lower_pool),
    Row(Op.AVERAGE_POOL2D, ("f32", "f32"), "average_pool2d_f32", _WINDOW_F32, lower_pool),
    Row(Op.MEAN, ("f32", "f32"), "mean_f32", "mean_f32_params", lower_mean_f32),
)
