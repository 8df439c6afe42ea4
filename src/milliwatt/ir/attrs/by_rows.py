"""Two windowed operators run row by row: attributes."""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import Attrs, Conv2d, Pool2d


@dataclass(frozen=True)
class ByRows(Attrs):
    """by_rows(x, operands of the first..., operands of the second...): second(first(x, ...), ...).

    The first's result never exists as a whole: its rows are made as the second needs them.
    `first_op` and `second_op` name the operators, `first_operands` counts the first's constants.
    """

    first_op: str
    first: Conv2d | Pool2d
    first_operands: int
    second_op: str
    second: Conv2d | Pool2d
