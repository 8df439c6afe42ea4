"""Turning shapes into the short loops that kernels walk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from milliwatt.errors import UnsupportedOp
from milliwatt.ir.graph import Node

# One loop: (size, stride of the first buffer, stride of the second).
Axis = tuple[int, int, int]
# mw_walk.h keeps this many counters on the stack.
MAX_RANK = 8


def row_major(shape: Sequence[int], unit: int = 1) -> list[int]:
    """Strides of a row-major array whose elements are `unit` apart."""
    strides, step = [], unit
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return strides[::-1]


def collapse(axes: Iterable[Axis]) -> list[Axis]:
    """The same walk with fewest loops: outermost first in, innermost first out.

    Axes of size 1 go; an axis that continues its inner neighbour in both buffers is merged with it.
    """
    loops: list[Axis] = []
    for size, a, b in reversed(list(axes)):
        if size == 1:
            continue
        if loops and (a, b) == (loops[-1][0] * loops[-1][1], loops[-1][0] * loops[-1][2]):
            loops[-1] = (loops[-1][0] * size, *loops[-1][1:])
        else:
            loops.append((size, a, b))
    return loops


def axes_array(loops: Sequence[Axis], node: Node) -> np.ndarray:
    """Loops as the s32 [rank][3] array that mw_walk_next reads; a row of zeros for none."""
    if len(loops) > MAX_RANK:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): {len(loops)} axes are left after merging neighbours; "
            f"{MAX_RANK} at most wanted; reshape to fewer axes or split the node"
        )
    return np.array(list(loops) or [(0, 0, 0)], np.int32).reshape(-1)
