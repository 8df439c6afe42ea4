"""Generated .tflite files against TensorFlow Lite Micro: reference, host C, emulated Cortex-M4.

    python -m bench.conformance [--count 1500] [--boards host cortex-m4] [--emulated 165]
    python -m bench.conformance --folder DIR

The suite is the files of one operator that the tests draw (every pair of operator and type, all
options) and random networks of several operators, written by milliwatt's own writer. Each is read
back; the judge is the `tflite-micro` interpreter, and LiteRT's reference kernels where that lacks
the operator or type; where TFLM differs from LiteRT and we do not, that is noted (docs/spec.md has
the known ones). `--folder` takes the .tflite files of a folder instead, whoever wrote them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.common import HERE, write_csv
from milliwatt.errors import MilliwattError
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType

sys.path.insert(0, str(HERE.parent / "tests"))  # the draws and the judges are the tests'

from support.conformance import (
    FLOAT_TOLERANCE,
    Case,
    Difference,
    Outputs,
    difference,
    single_case,
    written,
)
from support.ladder import refusal, results
from support.random_graphs import random_graph
from support.single_ops import GRID, random_frames

COUNT, EMULATED, PER_FIRMWARE = 1500, 165, 60
# Of ten files one is a network of several operators.
NETWORKS_EVERY = 10
FIRST_SEED = 1_000_000
# How near files of 8-bit weights and float activations are.
NEAR = 0.1


@dataclass
class Row:
    """The files of one operator and type, or one file of a folder, and how they did."""

    name: str
    dtype: str
    files: int = 0
    judges: Counter[str] = field(default_factory=Counter)
    tested: Counter[str] = field(default_factory=Counter)
    differing: Counter[str] = field(default_factory=Counter)
    error: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    near: bool = False  # a dynamic-range file

    def add(self, rung: str, found: Difference) -> None:
        """Count one comparison with the judge."""
        self.tested[rung] += 1
        self.differing[rung] += found.differing
        self.error[rung] = max(self.error.get(rung, 0.0), found.error)
        if found.problem:
            self.failed.append(f"{rung}: {found.problem.splitlines()[0]}")

    def cells(self, rungs: Sequence[str]) -> dict[str, object]:
        """The row of the CSV file."""
        cells: dict[str, object] = {
            "operator": self.name,
            "type": self.dtype,
            "files": self.files,
            "judge": "+".join(sorted(self.judges)),
        }
        for rung in rungs:
            cells[f"{rung}_files"] = self.tested[rung]
            cells[f"{rung}_differing_bytes"] = self.differing[rung]
            cells[f"{rung}_worst_error"] = f"{self.error.get(rung, 0.0):.1e}"
        cells["tflm_deviations"] = len(self.notes)
        cells["failures"] = len(self.failed)
        return cells


Judged = tuple[Case, Row, list[Outputs]]
"""A file, its row and the judge's outputs."""


def suite(count: int) -> list[Case]:
    """`count` files or a few more: every pair equally often, and networks in s8 and f32."""
    networks = count // NETWORKS_EVERY
    each = -(-(count - networks) // len(GRID))
    seeds = range(FIRST_SEED, FIRST_SEED + each)
    made = [single_case(name, dtype, seed) for seed in seeds for name, dtype in GRID]
    for number in range(networks):
        dtype = (DType.S8, DType.F32)[number % 2]
        graph = random_graph(FIRST_SEED + number, dtype, steps=2 + number % 5)
        case = written(graph, "network", dtype, FIRST_SEED + number)
        made.append(replace(case, judge="litert") if _rescaling_relu6(case) else case)
    return made


def _rescaling_relu6(case: Case) -> bool:
    """True where TFLM is known to differ (docs/spec.md, "Known deviations")."""
    clamps = [node for node in case.graph.nodes() if node.op is Op.CLAMP]
    return any(node.type.quant != node.src[0].type.quant for node in clamps)


def folder(path: Path) -> Iterator[tuple[Case | None, Row]]:
    """Every .tflite file below a folder as a case, None with the row where it cannot be read."""
    for file in sorted(path.rglob("*.tflite")):
        row = Row(file.relative_to(path).as_posix(), "", 1)
        try:
            graph = read_tflite(file)
            frames = tuple(_small(graph, frame) for frame in random_frames(graph, FIRST_SEED))
            case = Case(row.name, graph.inputs[0].type.dtype, 0, file.read_bytes(), graph, frames)
            if is_dynamic_range(case.model):
                row.near = True
                case = replace(case, judge="litert", tolerance=NEAR)
            again = read_tflite(write_tflite(graph), name=graph.name)
            if print_graph(again) != print_graph(graph):
                row.failed.append("written and read it is another graph")
        except MilliwattError as error:
            row.failed.append(f"not read: {error}")
            yield None, row
            continue
        row.dtype = "+".join(sorted({str(n.type.dtype) for n in graph.inputs}))
        yield case, row


def _small(graph: Graph, frame: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Inputs with integers that are no quantized values in 1 to 9: indices, divisors, counts."""
    whole = [n.type.quant is None and n.type.dtype in (DType.S32, DType.S64) for n in graph.inputs]
    return tuple(x % 9 + 1 if w else x for x, w in zip(frame, whole, strict=True))


def is_dynamic_range(model: bytes) -> bool:
    """True for s8 weights behind f32 activations: TensorFlow Lite rounds the activations as well.

    milliwatt computes with the weights' real values instead (docs/spec.md), so that the results
    are only near, and TFLM refuses such files.
    """
    from ai_edge_litert import schema_py_generated as tflite

    tree = tflite.ModelT.InitFromPackedBuf(model, 0)
    kinds = tflite.TensorType
    for graph in tree.subgraphs:
        for operator in graph.operators:
            first = [graph.tensors[i].type for i in list(operator.inputs)[:3] if i >= 0]
            if first[:1] == [kinds.FLOAT32] and kinds.INT8 in first[1:]:
                return True
    return False


def judged(case: Case) -> tuple[Case, list[Outputs]]:
    """The case with the judge that runs it, and that judge's outputs."""
    try:
        return case, case.wanted()
    except (RuntimeError, ValueError):
        other = replace(case, judge="litert")
        return other, other.wanted()


def run_reference(cases: Sequence[tuple[Case, Row]]) -> list[Judged]:
    """Compare the reference with the judge on every file; those that a judge could run."""
    able = []
    for given, row in cases:
        try:
            case, wanted = judged(given)
        except (RuntimeError, ValueError) as error:
            row.failed.append(f"no judge runs it: {str(error).splitlines()[0][:200]}")
            continue
        found = difference(case, wanted, case.reference())
        if found.problem and case.judge == "tflm" and (other := _second(case)):
            row.notes.append(f"TFLM differs from LiteRT: {found.problem.splitlines()[0]}")
            case, wanted, found = other
        row.judges[case.judge] += 1
        row.add("reference", found)
        able.append((case, row, wanted))
    return able


def _second(case: Case) -> tuple[Case, list[Outputs], Difference] | None:
    """The case with LiteRT as its judge, where that agrees with us and TFLM does not."""
    other = replace(case, judge="litert")
    try:
        wanted = other.wanted()
    except (RuntimeError, ValueError):
        return None
    found = difference(other, wanted, other.reference())
    return None if found.problem else (other, wanted, found)


def run_board(board: str, able: Sequence[Judged]) -> None:
    """Compare one board with the judge, many files a firmware."""
    fit = []
    for case, row, wanted in able:
        if why := refusal(case):
            row.failed.append(f"{board}: {why}")
        else:
            fit.append((case, row, wanted))
    for start in range(0, len(fit), PER_FIRMWARE):
        _run_firmware(board, fit[start : start + PER_FIRMWARE])


def _run_firmware(board: str, some: Sequence[Judged]) -> None:
    """Compare the files of one firmware; halves of them where it cannot be built or run."""
    try:
        got = list(results([case for case, _, _ in some], board))
    except MilliwattError as error:
        if len(some) == 1:
            some[0][1].failed.append(f"{board}: {some[0][0]}: {str(error).splitlines()[0][:300]}")
            return
        for half in (some[: len(some) // 2], some[len(some) // 2 :]):
            _run_firmware(board, half)
        return
    for (case, row, wanted), (_, outputs) in zip(some, got, strict=True):
        row.add(board, difference(case, wanted, outputs))


def spread(cases: Sequence[Judged], count: int) -> list[Judged]:
    """`count` of the cases, spread evenly over them all."""
    step = max(len(cases) / max(count, 1), 1.0)
    return [cases[math.floor(i * step)] for i in range(min(count, len(cases)))]


def report(rows: Sequence[Row], rungs: Sequence[str], names: int) -> None:
    """The table, then every failure in a line, then the sum."""
    head = "".join(f" {rung[:12]:>12} bytes   error" for rung in rungs)
    print(f"{'operator':{names}} {'type':>5} {'files':>5} {'judge':>11}{head}")
    for row in rows:
        cells = "".join(
            f" {row.tested[r]:>12} {row.differing[r]:>5} {row.error.get(r, 0.0):>7.0e}"
            for r in rungs
        )
        judge = "+".join(sorted(row.judges)) + (" (near)" if row.near else "")
        print(f"{row.name[:names]:{names}} {row.dtype[:5]:>5} {row.files:>5} {judge:>11}{cells}")
    for row in rows:
        for line in row.notes[:1]:
            print(f"NOTE {row.name}, {len(row.notes)} files: {line}")
        for line in row.failed:
            print(f"FAILED {row.name}: {line}")
    for rung in rungs:
        files = sum(row.tested[rung] for row in rows)
        differing = sum(row.differing[rung] for row in rows)
        worst = max((row.error.get(rung, 0.0) for row in rows if not row.near), default=0.0)
        print(f"{rung}: {files} files, {differing} differing bytes, worst float error {worst:.1e}")
    if near := [row for row in rows if row.near]:
        worst = max(max(row.error.values(), default=0.0) for row in near)
        print(f"{len(near)} of them are dynamic-range files, near by design: {worst:.1e}")
    failures = sum(len(row.failed) for row in rows)
    print(f"{failures} failures; floats may differ by {FLOAT_TOLERANCE} of what the sums reach")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=COUNT, help="files of the suite")
    parser.add_argument("--boards", nargs="*", default=["host", "cortex-m4"])
    parser.add_argument("--emulated", type=int, default=EMULATED, help="files on emulated boards")
    parser.add_argument("--models", type=Path, help="compare the .tflite files below it as well")
    parser.add_argument("--folder", type=Path, help="compare the files below it, not the suite")
    return parser.parse_args()


def main() -> None:
    """Compare, print, write bench/results/conformance.csv (the suite's; a folder is printed)."""
    np.seterr(all="ignore")
    given = arguments()
    rows: dict[tuple[str, str], Row] = {}
    cases: list[tuple[Case, Row]] = []
    if given.folder is None:
        for case in suite(given.count):
            key = (case.name, str(case.dtype))
            row = rows.setdefault(key, Row(*key))
            row.files += 1
            cases.append((case, row))
    for place in (given.folder, given.models):
        for found, row in folder(place) if place else ():
            rows[row.name, "file"] = row
            if found is not None:
                cases.append((found, row))
    able = run_reference(cases)
    for board in given.boards:
        run_board(board, able if board == "host" else spread(able, given.emulated))
    listed = [rows[key] for key in sorted(rows)]
    rungs = ["reference", *given.boards]
    report(listed, rungs, max((min(len(row.name), 56) for row in listed), default=8))
    if given.folder is None:
        write_csv("conformance", [row.cells(rungs) for row in listed])
    sys.exit(any(row.failed for row in listed))


if __name__ == "__main__":
    main()
