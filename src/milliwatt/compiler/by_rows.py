"""How two windowed operators run row by row: which rows are made when, and by which calls.

For each row of the second's result the rows of the hidden value that its window covers have to be
in a buffer, one behind the other. Rows that the next window still needs move to the buffer's start;
those that are missing are made there by the first operator, called for just these rows. At the
image's upper and lower edge a call sees fewer rows and more padding than in the middle: each such
case is an operator of its own kind (`Strip`), and equal steps are one loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from milliwatt.compiler.rows.row import Call
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, Pool2d
from milliwatt.ir.attrs.by_rows import ByRows
from milliwatt.ir.graph import Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.by_rows import hidden_type
from milliwatt.ir.types import Type

ALIGN = 8
ROW_ALIGN = 4
"""Bytes that every row is a multiple of: kernels load words from where their operands begin."""


@dataclass(frozen=True)
class Strip:
    """One kind of call; `arrays` names its packed constants among those of the whole node."""

    call: Call
    arrays: Mapping[str, str]


@dataclass(frozen=True)
class Turn:
    """`count` equal steps from result row `start` on; rows are counted in rows of their tensor.

    Each keeps `keep` hidden rows from buffer row `drop` on, has strip `first` (-1: none) read the
    input from row `row` on (`step` rows further each turn) and write buffer row `keep`, and has
    strip `second` make one row of the result from the buffer's first rows.
    """

    start: int
    count: int
    drop: int
    keep: int
    first: int
    row: int
    step: int
    second: int


@dataclass(frozen=True)
class RowsPlan:
    """All turns, the strips they call, and the bytes of a row of each tensor and of the buffer."""

    turns: tuple[Turn, ...]
    strips: tuple[Strip, ...]
    in_row: int
    hidden_row: int
    out_row: int
    buffer_bytes: int


@dataclass(frozen=True)
class _Window:
    """An operator along the image's height: rows it reads for rows it makes."""

    reach: int
    stride: int
    top: int
    height: int

    def rows(self, first: int, count: int) -> tuple[int, int]:
        """First row and end of what the result rows from `first` on read, inside the image."""
        start = first * self.stride - self.top
        stop = start + (count - 1) * self.stride + self.reach
        return max(start, 0), min(stop, self.height)

    def padding(self, first: int, count: int) -> tuple[int, int]:
        """Rows above and below the image that they cover."""
        start = first * self.stride - self.top
        stop = start + (count - 1) * self.stride + self.reach
        return max(-start, 0), max(stop - self.height, 0)


def _window(attrs: Conv2d | Pool2d, operands: tuple[Node, ...], height: int) -> _Window:
    if isinstance(attrs, Pool2d):
        reach = attrs.kernel[0]
    else:
        reach = (operands[0].type.shape[1] - 1) * attrs.dilation[0] + 1
    return _Window(reach, attrs.stride[0], attrs.padding[0], height)


def row_bytes(kind: Type) -> int:
    """Bytes of one image row."""
    return kind.nbytes // kind.shape[1]


def plan_rows(node: Node, bind: Callable[[Node], Call]) -> tuple[RowsPlan, dict[str, np.ndarray]]:
    """The turns of a `by_rows` node, and its packed constants, each once, by name."""
    attrs = node.attrs
    assert isinstance(attrs, ByRows)
    split = 1 + attrs.first_operands
    x, hidden = node.src[0].type, hidden_type(attrs, [s.type for s in node.src])
    first = _window(attrs.first, node.src[1:split], x.shape[1])
    second = _window(attrs.second, node.src[split:], hidden.shape[1])
    kinds: dict[tuple[object, ...], int] = {}
    nodes: list[Node] = []

    def strip(
        op: str,
        part: Conv2d | Pool2d,
        source: Type,
        operands: tuple[Node, ...],
        rows: int,
        edge: tuple[int, int],
    ) -> int:
        if rows < 1:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): a window sees nothing but padding; rows of the image "
                "wanted; run the two operators one after the other"
            )
        key = (source, op, part, operands, rows, edge)
        if key not in kinds:
            shape = (1, rows, *source.shape[2:])
            value = graph_input(shape, source.dtype, f"{node.name}/rows", source.quant)
            sized = replace(part, padding=(*edge, *part.padding[2:]))
            kinds[key] = len(nodes)
            nodes.append(Node(Op(op), (value, *operands), sized, f"{node.name}/{op}"))
        return kinds[key]

    turns: list[Turn] = []
    have = (0, 0)
    most = 0
    for y in range(node.type.shape[1]):
        low, high = second.rows(y, 1)
        keep = max(have[1] - low, 0)
        made, row = -1, 0
        missing = max(have[1], low)
        if high > missing:
            row, stop = first.rows(missing, high - missing)
            edge = first.padding(missing, high - missing)
            operands = node.src[1:split]
            made = strip(attrs.first_op, attrs.first, x, operands, stop - row, edge)
        edge = second.padding(y, 1)
        last = strip(attrs.second_op, attrs.second, hidden, node.src[split:], high - low, edge)
        turns.append(Turn(y, 1, low - have[0] if keep else 0, keep, made, row, 0, last))
        have, most = (low, high), max(most, high - low)
    strips, arrays = _strips([bind(each) for each in nodes])
    in_row, hidden_row, out_row = map(row_bytes, (x, hidden, node.type))
    buffer = -(-most * hidden_row // ALIGN) * ALIGN
    return RowsPlan(_loops(turns), strips, in_row, hidden_row, out_row, buffer), arrays


def _loops(turns: list[Turn]) -> tuple[Turn, ...]:
    """Equal steps in a row as one, where the input row moves on evenly."""
    found: list[Turn] = []
    for turn in turns:
        if found and _follows(found[-1], turn):
            before = found[-1]
            step = turn.row - before.row if before.count == 1 else before.step
            found[-1] = replace(before, count=before.count + 1, step=step)
        else:
            found.append(turn)
    return tuple(found)


def _follows(before: Turn, turn: Turn) -> bool:
    """Whether `turn` goes on as the loop `before` does; two turns set its pace."""
    alike = replace(turn, start=0, row=0) == replace(before, start=0, row=0, count=1, step=0)
    even = before.count == 1 or turn.row == before.row + before.count * before.step
    return alike and even


def _strips(calls: list[Call]) -> tuple[tuple[Strip, ...], dict[str, np.ndarray]]:
    """The calls with names for their constants; equal constants have one name."""
    known: dict[tuple[str, bytes], str] = {}
    arrays: dict[str, np.ndarray] = {}
    strips = []
    for number, call in enumerate(calls):
        names = {}
        for name, value in call.fields:
            if isinstance(value, np.ndarray):
                key = (value.dtype.str, value.tobytes())
                if key not in known:
                    known[key] = f"{number}_{name.replace('.', '_')}"
                    arrays[known[key]] = value
                names[name] = known[key]
        strips.append(Strip(call, names))
    return tuple(strips), arrays


def rows_work(plan: RowsPlan) -> dict[str, float]:
    """What all turns do together: the counts of their calls, and the bytes that move."""
    total: dict[str, float] = {"bytes_moved": 0}
    for turn in plan.turns:
        total["bytes_moved"] += turn.count * turn.keep * plan.hidden_row * bool(turn.drop)
        for number in (turn.first, turn.second):
            if number >= 0:
                for name, count in plan.strips[number].call.work.items():
                    total[name] = total.get(name, 0) + turn.count * count
    return total
