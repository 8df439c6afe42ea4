"""Rows of pooling and mean for the DSP extension: four channels at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from milliwatt.compiler.rows.channel_steps import LIMIT
from milliwatt.compiler.rows.onestep import solve, two_step
from milliwatt.compiler.rows.pool import lower_average_pool, lower_pool, windows_ahead
from milliwatt.compiler.rows.row import Field, Lowered, Row, always
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import Mean, Pool2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.pool import mean_multiplier

GROUP = 4
"""Channels of a word."""


def _groups(channels: int) -> int:
    return -(-channels // GROUP)


def _whole_groups(node: Node) -> bool:
    return node.type.shape[-1] >= GROUP


def _cells(size: int, outputs: int, kernel: int, stride: int, before: int) -> int:
    """Cells inside the image, along one axis, of all windows together."""
    starts = (i * stride - before for i in range(outputs))
    return sum(min(start + kernel, size) - max(start, 0) for start in starts)


def pool_work(node: Node) -> Mapping[str, float]:
    """Pixels, groups of four channels, and the rows and cells of their windows."""
    attrs = node.attrs
    assert isinstance(attrs, Pool2d)
    image, out = node.src[0].type.shape, node.type.shape
    rows, columns = (
        _cells(image[1 + i], out[1 + i], attrs.kernel[i], attrs.stride[i], attrs.padding[2 * i])
        for i in range(2)
    )
    images = out[0] * _groups(out[3])
    return {
        "calls": 1,
        "pixels": math.prod(out[:3]),
        "groups": images * out[1] * out[2],
        "window_rows": images * rows * out[2],
        "cells": images * rows * columns,
    }


def _sizes(node: Node) -> tuple[int, int, int] | None:
    """A mean's input as [outer, cells, channels]; None where other axes are averaged."""
    assert isinstance(node.attrs, Mean)
    shape, axes = node.src[0].type.shape, sorted(node.attrs.axes)
    if not axes:
        return None
    first, stop = axes[0], axes[-1] + 1
    if any(shape[a] > 1 for a in range(first, stop) if a not in axes):
        return None
    return math.prod(shape[:first]), math.prod(shape[first:stop]), math.prod(shape[stop:])


def _rounding(node: Node) -> tuple[Field, ...] | None:
    """bias, steps and the record of a mean; None where it has neither form."""
    sizes = _sizes(node)
    if sizes is None or sizes[2] < GROUP:
        return None
    x, out = node.src[0].type, node.type
    multiplier, shift = mean_multiplier(out, x, sizes[1])
    start = -sizes[1] * x.zero_point
    reach = (start - 128 * sizes[1], start + 127 * sizes[1])
    if max(map(abs, reach)) >= LIMIT:
        return None
    one = solve(multiplier, shift, out.zero_point, reach, limit=LIMIT)
    two = two_step(multiplier, shift, out.zero_point)
    if one is not None:
        values = (start + one.bias, 1, one.factor, one.offset, 0)
    elif two is not None:
        values = (start, 2, two.multiplier, two.half, two.right)
    else:
        return None
    return tuple(zip(("bias", "steps", "factor", "offset", "right"), values, strict=True))


def _mean_in_groups(node: Node) -> bool:
    return _rounding(node) is not None


def lower_mean(node: Node) -> Lowered:
    """mean over neighbouring axes."""
    sizes, rounding = _sizes(node), _rounding(node)
    assert sizes is not None
    assert rounding is not None
    return Lowered((*zip(("outer", "cells", "channels"), sizes, strict=True), *rounding))


def mean_work(node: Node) -> Mapping[str, float]:
    """Groups of four channels and their cells."""
    sizes = _sizes(node)
    assert sizes is not None
    groups = sizes[0] * _groups(sizes[2])
    return {"calls": 1, "groups": groups, "cells": groups * sizes[1]}


def _ahead(node: Node) -> bool:
    """In place: groups of four share no channels, and no window begins before its result."""
    return node.type.shape[-1] % GROUP == 0 and windows_ahead(node)


_S8 = ("s8", "s8")


def _pools(op: Op, lower: Callable[[Node], Lowered]) -> tuple[Row, Row]:
    """A pool that may work in place, and any other."""
    general = Row(
        op,
        _S8,
        f"{op}_s8_dsp",
        "pool2d_s8_params",
        lower,
        _whole_groups,
        "4 channels or more",
        isa=DSP,
        work=pool_work,
    )
    note = "channels by fours, windows that do not begin before their result"
    return replace(general, predicate=_ahead, note=note, inplace=(0,), shrinks=always), general


ROWS = (
    *_pools(Op.AVERAGE_POOL2D, lower_average_pool),
    *_pools(Op.MAX_POOL2D, lower_pool),
    Row(
        Op.MEAN,
        _S8,
        "mean_s8_dsp",
        "mean_s8_dsp_params",
        lower_mean,
        _mean_in_groups,
        "neighbouring axes before 4 values or more",
        isa=DSP,
        work=mean_work,
    ),
)
