"""Cycles of layers, measured: each candidate runs alone in the emulator, with the board's flash.

What was measured is kept twice: tables that ship with the package (`compiler/costs/measured`), and
one file a board in the user's cache folder. Both say which kernel sources they hold for.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import TextIO

from milliwatt.compiler.aim import Aim
from milliwatt.compiler.bind import Call
from milliwatt.compiler.board import Board
from milliwatt.compiler.build import link
from milliwatt.compiler.cache import cache_dir, key
from milliwatt.compiler.cost import layer_key, source_key
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.search import graphs_of, options_of
from milliwatt.compiler.target import target_of
from milliwatt.compiler.toolchain import OPTIMIZE
from milliwatt.compress.progress import track
from milliwatt.debug.inputs import random_inputs
from milliwatt.emulate.machine import machine_for
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.verify import verify

FIELDS = ("layer", "sources", "compiler", "cycles")
SHIPPED = "zig -O2"
_BATCH = 12
"""Calls that share one firmware: linking and starting take as long as running a small layer."""
_ROOM = 1 << 24
"""Flash and RAM of the machine that measures: a batch may need more than the board has."""


@dataclass(frozen=True, eq=False)
class Case:
    """One candidate of one layer."""

    node: Node
    call: Call

    @property
    def layer(self) -> str:
        """Its name in tables."""
        return layer_key(self.node, self.call)


Table = dict[tuple[str, str, str], int]
"""Cycles by layer, key of the kernel's sources, and compiler with its flag."""


def known_cycles(
    graph: Graph, board: Board, aim: Aim, toolchain: str, *, measure: bool = False
) -> Mapping[str, float]:
    """Cycles that are known of the layers of `graph` (as loaded) on a board, by `layer_key`.

    With `measure` every candidate of every layer is run, unless that has been done before.
    Raises: what compiling and running raise.
    """
    if board.is_host:
        return {}
    cases = list(candidates_of(graph, board, aim))
    compiler = f"{toolchain} {OPTIMIZE[aim.optimize]}"
    table = shipped(board.name) | (_read(_kept(board)) if measure else {})
    if measure:
        wanted = {_entry(case, compiler): case for case in cases}
        missing = [case for entry, case in wanted.items() if entry not in table]
        found = measure_cases(missing, board, toolchain, aim.optimize)
        fresh = {_entry(case, compiler): cycles for case, cycles in found}
        if fresh:
            table |= fresh
            _keep(_kept(board), fresh)
    known: dict[str, float] = {}
    for case in cases:
        entry = _entry(case, compiler)
        # What ships was measured with one compiler; the others are near.
        cycles = table.get(entry, table.get((*entry[:2], SHIPPED)))
        if cycles is not None:
            known[case.layer] = float(cycles)
    return known


def candidates_of(graph: Graph, board: Board, aim: Aim) -> Iterator[Case]:
    """The calls among which a search chooses, each kind of layer once; those too without a choice.

    Graphs with other layers are among what the search compares.
    """
    seen: set[str] = set()
    for each in graphs_of(verify(graph), board, aim):
        for node, options in options_of(each, board, target_of(board), {}).items():
            for option in options:
                case = Case(node, option.call)
                if case.layer not in seen and not option.call.inner:
                    seen.add(case.layer)
                    yield case


def measure_cases(
    cases: Sequence[Case], board: Board, toolchain: str = "zig", optimize: str = "speed"
) -> Iterator[tuple[Case, int]]:
    """Run each case in a firmware of its own operator; a bar shows on terminals."""
    batches = [cases[i : i + _BATCH] for i in range(0, len(cases), _BATCH)]
    for batch in track(batches, f"measuring on {board.name}", len(batches)):
        yield from zip(batch, _cycles(batch, board, toolchain, optimize), strict=True)


def _cycles(batch: Sequence[Case], board: Board, toolchain: str, optimize: str) -> Sequence[int]:
    """One firmware of some layers side by side, random inputs, run once."""
    made = {case: _alone(case.node, f"n{i}") for i, case in enumerate(batch)}
    calls = {made[case]: case.call for case in batch}
    inputs = tuple(s for node in made.values() for s in node.src if not s.is_constant)
    graph = Graph(inputs, tuple(made.values()), name="layers")
    roomy = replace(board, flash_bytes=_ROOM, ram_bytes=_ROOM)
    program = bind_program(graph, calls.__getitem__)
    image = link(program, roomy, toolchain=toolchain, optimize=optimize)
    trace = machine_for(roomy).run(image, random_inputs(graph))
    cycles = {step.node: row.cycles for step, row in zip(program.steps, trace.layers, strict=False)}
    return [cycles[made[case]] for case in batch]


def _alone(node: Node, name: str) -> Node:
    """The node with inputs of its own in the place of what is computed before it."""
    inputs: dict[Node, Node] = {}
    for number, source in enumerate(node.src):
        if source.is_constant:
            inputs[source] = source
        elif source not in inputs:
            kind = source.type
            inputs[source] = graph_input(kind.shape, kind.dtype, f"{name}_in{number}", kind.quant)
    return Node(node.op, tuple(inputs[s] for s in node.src), node.attrs, name)


def _entry(case: Case, compiler: str) -> tuple[str, str, str]:
    return case.layer, source_key(case.call.files), compiler


@functools.cache
def shipped(board: str) -> Table:
    """The table of a board that comes with the package; empty where there is none."""
    place = resources.files("milliwatt.compiler") / "costs" / "measured" / f"{board}.csv"
    return _parse(place.read_text(encoding="utf-8")) if place.is_file() else {}


def _parse(text: str) -> Table:
    rows = csv.DictReader(text.splitlines())
    return {(row["layer"], row["sources"], row["compiler"]): int(row["cycles"]) for row in rows}


def _kept(board: Board) -> Path:
    """The user's table of a board; a changed board file has a table of its own."""
    described = key(repr(board.flash), board.core)[:12]
    return cache_dir() / "cycles" / f"{board.name}-{described}.csv"


def _read(path: Path) -> Table:
    """A table of the cache; empty where it cannot be read or is none."""
    with contextlib.suppress(OSError, UnicodeDecodeError, KeyError, ValueError, TypeError):
        return _parse(path.read_text(encoding="utf-8"))
    return {}


def _keep(path: Path, fresh: Table) -> None:
    """Add to a table of the cache, whole or not at all; a cache that cannot be written is left."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as stream:
            write_table(stream, _read(path) | fresh)
        os.replace(temporary, path)


def write_table(stream: TextIO, table: Table) -> None:
    """A table as CSV, sorted by layer."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(FIELDS)
    writer.writerows((*entry, cycles) for entry, cycles in sorted(table.items()))
