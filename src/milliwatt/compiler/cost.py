"""What a kernel call costs before anything runs: cycles on a core, stalls of its flash, code.

A call's cycles are the sum of its counts (`Row.work`) times its kernel's coefficients for the core,
plus the wait states of the constants that it streams from flash. The coefficients and the code
sizes are tables in `compiler/costs`, which tools/fit_costs.py writes from runs on emulated cores.
"""

from __future__ import annotations

import csv
import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from importlib import resources
from typing import Any

import numpy as np

from milliwatt.compiler.bind import Call, kernel_sources
from milliwatt.compiler.board import Board
from milliwatt.compiler.by_rows import RowsPlan
from milliwatt.compiler.cache import key
from milliwatt.compiler.rows.row import plain_work
from milliwatt.ir.graph import Node
from milliwatt.ir.types import Quant, Type

FLASH_BYTES = "flash_bytes"
MULTIPLIES = "multiplies"
UNPRICED = frozenset({FLASH_BYTES, MULTIPLIES})
"""Counts without a coefficient: what the board prices, and what only lower bounds ask for."""
ANY_KERNEL = "*"
ANY_DSP = "*_dsp"
ANY_CORE = "cortex-m4"
"""Core whose coefficients stand for those of a core without a table."""

Coefficients = Mapping[str, Mapping[str, float]]
"""Cycles of each count, by kernel."""


@dataclass(frozen=True)
class Cycles:
    """Predicted cycles of one call: the core's own, and those that it waits for the flash."""

    core: float
    stall: float

    @property
    def total(self) -> float:
        """Both."""
        return self.core + self.stall


def predict(node: Node, call: Call, board: Board) -> Cycles:
    """Cycles of one call on a board.

    A kernel that the core's table lacks, or whose counts are others by now, is priced by MACs and
    results, as `*_dsp` or `*`.
    An `if` or `while` is the sum of what it holds, once.
    """
    stall = stall_cycles(call.work.get(FLASH_BYTES, 0), board)
    core = _core_cycles(node, call, coefficients(board.core))
    inner = [
        predict(step.node, step.call, board) for _, program in call.inner for step in program.steps
    ]
    return Cycles(core + sum(c.core for c in inner), stall + sum(c.stall for c in inner))


def _core_cycles(node: Node, call: Call, table: Coefficients) -> float:
    """Cycles without the flash's."""
    parts = [(1, call)] if call.rows is None else list(_strips(call.rows))
    rows = [table.get(part.kernel.removeprefix("mw_")) for _, part in parts]
    pairs = zip(rows, parts, strict=True)
    known = [row for row, (_, part) in pairs if row and part.work.keys() - UNPRICED <= {*row}]
    if len(known) < len(rows):
        row = table[ANY_DSP if "_dsp" in call.kernel else ANY_KERNEL]
        return _price(plain_work(node), row)
    turns = zip(parts, known, strict=True)
    own = sum(count * _price(part.work, row) for (count, part), row in turns)
    return own + call.work.get("bytes_moved", 0) * table[ANY_KERNEL]["bytes_moved"]


def _strips(plan: RowsPlan) -> Iterator[tuple[int, Call]]:
    """The calls of a `by_rows`, each with how often it is made."""
    for turn in plan.turns:
        for number in (turn.first, turn.second):
            if number >= 0:
                yield turn.count, plan.strips[number].call


def _price(work: Mapping[str, float], row: Mapping[str, float]) -> float:
    return sum(count * row.get(name, 0.0) for name, count in work.items())


def stall_cycles(nbytes: float, board: Board) -> float:
    """Wait states of reading bytes one after the other through the board's data cache."""
    flash = board.flash
    if not flash.wait_states:
        return 0.0
    cache = flash.icache if flash.unified else flash.dcache
    unit = cache.line_bytes if cache and flash.whole_line else flash.read_bits // 8
    return nbytes / unit * flash.wait_states


@functools.cache
def coefficients(core: str) -> Coefficients:
    """The table of a core: kernel (without `mw_`) -> count -> cycles."""
    folder = resources.files("milliwatt.compiler") / "costs"
    place = folder / f"{core}.csv"
    if not place.is_file():
        return coefficients(ANY_CORE)
    found: dict[str, dict[str, float]] = {}
    for row in csv.DictReader(place.read_text(encoding="utf-8").splitlines()):
        found.setdefault(row["kernel"], {})[row["count"]] = float(row["cycles"])
    return found


_UNKNOWN_CODE = 600
"""Bytes of a kernel file that the table of code sizes lacks."""


@functools.cache
def _code_table() -> Mapping[str, Mapping[str, int]]:
    place = resources.files("milliwatt.compiler") / "costs" / "code.csv"
    rows = csv.DictReader(place.read_text(encoding="utf-8").splitlines())
    return {row["file"]: {"-O2": int(row["O2"]), "-Os": int(row["Os"])} for row in rows}


def code_bytes(files: Iterable[str], flag: str) -> int:
    """Code of kernel files on a Cortex-M4, compiled with -O2 or -Os; each counts once."""
    table = _code_table()
    return sum(table[f][flag] if f in table else _UNKNOWN_CODE for f in set(files))


def weight_bytes(node: Node, call: Call) -> int:
    """Constants that a call keeps in flash, packed ones and operands alike."""
    packed = sum(v.nbytes for _, v in call.fields if isinstance(v, np.ndarray))
    inside = sum(program.weight_bytes for _, program in call.inner)
    used = (node.src[i] for i in call.operands)
    return packed + inside + sum(s.type.nbytes for s in used if s.is_constant)


def layer_key(node: Node, call: Call) -> str:
    """What the cycles of a call depend on besides its values: kernel, types, whole-number options.

    Two layers with equal keys take the same cycles but for what clamps or is zero in one of them.
    """
    types = [*(s.type for s in node.src), node.type]
    shown = " ".join(f"{t.dtype}[{','.join(map(str, t.shape))}]" for t in types)
    numbers = " ".join(f"{name}={value}" for name, value in _whole_numbers(node.attrs))
    kernel = call.kernel.removeprefix("mw_")
    scratch = f" workspace={call.workspace_bytes}" if call.workspace_bytes else ""
    return f"{kernel} {shown} {numbers}{scratch}".replace(", ", ",")


def _whole_numbers(attrs: Any) -> Iterator[tuple[str, Any]]:
    """Members of an attribute record that are integers or hold nothing else; nested ones too."""
    for member in fields(attrs):
        value = getattr(attrs, member.name)
        if isinstance(value, int) or (isinstance(value, tuple) and _all_whole(value)):
            yield member.name, value
        elif is_dataclass(value) and not isinstance(value, Quant | Type):
            yield from _whole_numbers(value)


def _all_whole(values: tuple[Any, ...]) -> bool:
    return all(_all_whole(v) if isinstance(v, tuple) else isinstance(v, int) for v in values)


@functools.cache
def source_key(files: tuple[str, ...]) -> str:
    """A short name of kernel sources and their headers: cycles measured hold as long as it does."""
    pairs = kernel_sources(files).items()
    return key(*(part for pair in pairs for part in pair))[:12]
