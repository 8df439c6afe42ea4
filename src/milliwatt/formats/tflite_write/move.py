"""Operators that move values: nodes as .tflite operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from milliwatt.formats.tflite_write.written import Field, Writer, Written
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op


def _numbers(values: tuple[int, ...]) -> np.ndarray:
    return np.array(values, np.int32)


def _strided_slice(node: Node, a: Any) -> Written:
    """SLICE where it says it all: TFLM runs that on five axes, STRIDED_SLICE on four."""
    if all(stride == 1 for stride in a.strides):
        return Written("SLICE", 48, {}, (_numbers(a.begin), _numbers(a.size)))
    ends = [b + n * s for b, n, s in zip(a.begin, a.size, a.strides, strict=True)]
    # An end before element 0 would count from the back: it is left open.
    open_ends = sum(1 << axis for axis, end in enumerate(ends) if end < 0)
    ends = [min(end, dim) for end, dim in zip(ends, node.src[0].type.shape, strict=True)]
    parameters = (_numbers(a.begin), _numbers(tuple(ends)), _numbers(a.strides))
    return Written("STRIDED_SLICE", 32, {1: ("i", open_ends)}, parameters)


def _broadcast_to(node: Node, a: Any) -> Written:
    return Written("BROADCAST_TO", 104, {}, (_numbers(a.shape),))


def _mirror_pad(node: Node, a: Any) -> Written:
    paddings = np.array(a.paddings, np.int32).reshape(-1, 2)
    return Written("MIRROR_PAD", 77, {0: ("b", int(a.symmetric))}, (paddings,))


def _gather(node: Node, a: Any) -> Written:
    return Written("GATHER", 23, {0: ("i", a.axis), 1: ("i", a.batch_dims)})


def _gather_nd(node: Node, a: Any) -> Written:
    return Written("GATHER_ND", 83)


def _dynamic_update_slice(node: Node, a: Any) -> Written:
    return Written("DYNAMIC_UPDATE_SLICE", 117)


def _resize_bilinear(node: Node, a: Any) -> Written:
    options: dict[int, Field] = {
        2: ("B", int(a.align_corners)),
        3: ("B", int(a.half_pixel_centers)),
    }
    return Written("RESIZE_BILINEAR", 15, options, (_numbers(a.size),))


def _resize_nearest(node: Node, a: Any) -> Written:
    options: dict[int, Field] = {
        0: ("B", int(a.align_corners)),
        1: ("B", int(a.half_pixel_centers)),
    }
    return Written("RESIZE_NEAREST_NEIGHBOR", 74, options, (_numbers(a.size),))


WRITERS: dict[Op, Writer] = {
    Op.STRIDED_SLICE: _strided_slice,
    Op.BROADCAST_TO: _broadcast_to,
    Op.MIRROR_PAD: _mirror_pad,
    Op.GATHER: _gather,
    Op.GATHER_ND: _gather_nd,
    Op.DYNAMIC_UPDATE_SLICE: _dynamic_update_slice,
    Op.RESIZE_BILINEAR: _resize_bilinear,
    Op.RESIZE_NEAREST: _resize_nearest,
}
