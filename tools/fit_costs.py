"""Write what the search prices kernels by: compiler/costs/<core>.csv and code.csv; measured tables.

    python tools/fit_costs.py                          # cores and code sizes
    python tools/fit_costs.py --measured FOLDER        # measured/<board>.csv, FOLDER's .tflite

Every layer of tools/cost_grid.py runs alone on the bare core (no wait states), by every kernel that
can compute it. The coefficients of a kernel are the non-negative least squares of relative errors.
Equal sources give equal files. What it prints is how far the fit is from the runs.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import nnls

_ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(_ROOT))

from tools.cost_grid import layers  # noqa: E402

from milliwatt.compiler.aim import AIMS, Aim  # noqa: E402
from milliwatt.compiler.bind import TABLE, choices, kernel_sources  # noqa: E402
from milliwatt.compiler.cost import ANY_DSP, ANY_KERNEL, UNPRICED, source_key  # noqa: E402
from milliwatt.compiler.lifetimes import LEAVES  # noqa: E402
from milliwatt.compiler.pipeline import run_passes  # noqa: E402
from milliwatt.compiler.rows.row import plain_work  # noqa: E402
from milliwatt.compiler.target import target_of  # noqa: E402
from milliwatt.compiler.toolchain import object_bytes  # noqa: E402
from milliwatt.debug.measure import (  # noqa: E402
    SHIPPED,
    Case,
    Table,
    candidates_of,
    measure_cases,
    write_table,
)
from milliwatt.emulate.boards import board as find_board  # noqa: E402
from milliwatt.formats.tflite import read_tflite  # noqa: E402
from milliwatt.ir.graph import Graph, Node  # noqa: E402

COSTS = _ROOT / "src" / "milliwatt" / "compiler" / "costs"
CORES = ("cortex-m4", "cortex-m7", "cortex-m33")
BOARDS = ("nucleo-l4r5zi", "nucleo-u575zi-q", "disco-f746ng", "nucleo-h7a3zi-q")
MOVED_BYTE = 0.75
"""Cycles of a byte that memmove moves: bytes are copied by words where they are aligned."""

Sample = tuple[Mapping[str, float], float]


def lowered(core: str) -> list[Node]:
    """The grid's layers as the passes leave them."""
    target = target_of(find_board(core))
    graphs = (Graph(tuple(s for s in n.src if not s.is_constant), (n,)) for n in layers())
    found = (run_passes(graph, target).outputs[0] for graph in graphs)
    return [node for node in found if node.op not in LEAVES]


def samples(core: str) -> Iterator[tuple[Case, int]]:
    """Every layer of the grid by every kernel, with its cycles on the bare core."""
    board = find_board(core)
    cases: dict[str, Case] = {}
    for node in lowered(core):
        for call in choices(node, target_of(board)):
            case = Case(node, call)
            cases.setdefault(case.layer, case)
    yield from measure_cases(list(cases.values()), board)


def fit(rows: Sequence[Sample]) -> dict[str, float]:
    """Non-negative coefficients of the counts, least squares of relative errors."""
    names = sorted({name for work, _ in rows for name in work} - UNPRICED)
    counts = np.array([[work.get(name, 0) for name in names] for work, _ in rows], np.float64)
    cycles = np.array([c for _, c in rows], np.float64)
    found, _ = nnls(counts / cycles[:, None], np.ones(len(rows)))
    return {name: float(f"{c:.4g}") for name, c in zip(names, found, strict=True)}


def errors(rows: Sequence[Sample], row: Mapping[str, float]) -> np.ndarray:
    """Relative errors of the fit."""
    return np.array([sum(n * row.get(k, 0) for k, n in w.items()) / c - 1 for w, c in rows])


def fit_core(core: str) -> None:
    """Write a core's table; print the errors of each kernel."""
    by_kernel: dict[str, list[Sample]] = {}
    general: dict[str, list[Sample]] = {ANY_KERNEL: [], ANY_DSP: []}
    for case, cycles in samples(core):
        kernel = case.call.kernel.removeprefix("mw_")
        by_kernel.setdefault(kernel, []).append((case.call.work, cycles))
        any_kernel = ANY_DSP if kernel.endswith("_dsp") else ANY_KERNEL
        general[any_kernel].append((plain_work(case.node), cycles))
    table = [(ANY_KERNEL, "bytes_moved", MOVED_BYTE)]
    for kernel, rows in sorted((general | by_kernel).items()):
        if rows:
            row = fit(rows)
            table += [(kernel, name, cycles) for name, cycles in row.items()]
            off = np.abs(errors(rows, row)) * 100
            print(f"{core} {kernel}: {len(rows)} runs, off by {np.median(off):.1f} % (median), "
                  f"{off.max():.1f} % (most)")  # fmt: skip
    _write(COSTS / f"{core}.csv", ("kernel", "count", "cycles"), sorted(table))


def fit_code() -> None:
    """Write the code size of every kernel file on a Cortex-M4, both ways of compiling."""
    board, rows = find_board("cortex-m4"), []
    for path in sorted({path for row in TABLE for path in (f"{row.kernel}.c", *row.files)}):
        files = kernel_sources([path])
        sizes = [object_bytes(path, files, board, optimize=aim) for aim in ("speed", "flash")]
        rows.append((path, *sizes))
    _write(COSTS / "code.csv", ("file", "O2", "Os"), rows)


def measure_boards(folder: Path) -> None:
    """Write measured/<board>.csv: the integer layers of every .tflite file of a folder."""
    graphs = [read_tflite(path) for path in sorted(folder.glob("*.tflite"))]
    for name in BOARDS:
        board = find_board(name)
        cases = {
            case.layer: case
            for graph in graphs
            for aim in AIMS
            for case in candidates_of(graph, board, Aim(aim))
            if not case.node.type.dtype.is_float  # they have one kernel each
        }
        table: Table = {
            (case.layer, source_key(case.call.files), SHIPPED): cycles
            for case, cycles in measure_cases(list(cases.values()), board)
        }
        place = COSTS / "measured" / f"{name}.csv"
        place.parent.mkdir(exist_ok=True)
        with place.open("w", encoding="utf-8", newline="") as stream:
            write_table(stream, table)
        print(f"{place.name}: {len(table)} layers")


def _write(path: Path, heads: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(heads)
        writer.writerows(rows)


def main() -> None:
    """Parse, fit, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--measured", type=Path, metavar="FOLDER", help="a folder of .tflite files")
    parser.add_argument("--core", choices=CORES, help="one core only")
    options = parser.parse_args()
    if options.measured:
        measure_boards(options.measured)
        return
    for core in [options.core] if options.core else CORES:
        fit_core(core)
    fit_code()


if __name__ == "__main__":
    main()
