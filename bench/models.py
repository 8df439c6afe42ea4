"""The five MLPerf Tiny int8 models on every board, compiler and aim: one CSV and one plot.

    python -m bench.models [--models DIR] [--only kws vww] [--quick] [--accept]

A row is one cell: model, board, toolchain, optimize. `cycles` are an estimate good to
`error_percent`; `cycles_per_mac` divides by the multiply-accumulates of the model as it was given,
as the published table does, so that work left out counts. Bytes: flash = code + weights,
`source_weight_bytes` are the constants of the .tflite file; ram = arena + stack + static.
`bit_exact`: every byte of the output is the reference's.

`published_*`: the best submission on that board of bench/published.csv, and its time divided by
ours. `cmsis_*`, `ref_*`: TensorFlow Lite Micro with either kernels (bench/tflm.csv) divided by ours
on the same core. Above 1 means that milliwatt is faster or smaller.

The figures of the last release are bench/baseline.csv. A cell that needs over 2 % more cycles,
flash or RAM than there, or is no longer bit-exact, fails with a line of its own. Where that is
wanted, `--accept` (or `make accept`) makes the figures last written the new baseline, without
measuring; say in the commit why.
"""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import milliwatt as mw
from bench.common import HERE, MODELS, RESULTS, arguments, inputs, path, read_csv, write_csv
from bench.compare import accept, best_published, regressions
from milliwatt.compiler.aim import AIMS
from milliwatt.debug.report import equal, reference_outputs
from milliwatt.emulate.machine import Trace
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import OPS

TFLM = {(row["model"], row["build"]): row for row in read_csv(HERE / "tflm.csv")}
BOARD = "nucleo-l4r5zi"
DUAL_BANK = "nucleo-l4r5zi, dual bank"
# Boards that stand for the core that TensorFlow Lite Micro was measured on.
COMPARED = ("cortex-m4", BOARD, DUAL_BANK)
CELLS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (BOARD, ("zig", "gcc"), AIMS),
    ("nucleo-u575zi-q", ("zig",), AIMS),
    ("disco-f746ng", ("zig",), AIMS),
    ("nucleo-h7a3zi-q", ("zig",), AIMS),
    ("cortex-m0plus", ("zig",), AIMS),
    ("esp32-c3", ("zig",), AIMS),
    ("cortex-m4", ("zig", "gcc"), ("speed",)),
    (DUAL_BANK, ("zig", "gcc"), ("speed",)),
    ("cortex-m3", ("zig",), ("speed",)),
    ("cortex-m7", ("zig",), ("speed",)),
    ("cortex-m33", ("zig",), ("speed",)),
)
"""(board, toolchains, aims) to measure."""
PROCESSES = 2


@dataclass(frozen=True)
class Cell:
    """What one row measures."""

    model: str
    board: str
    toolchain: str
    optimize: str


def cells(only: list[str], quick: bool) -> list[Cell]:
    """The cells of the given models; `quick`: the Cortex-M4 boards with zig for speed."""
    compilers = {"zig"} | ({"gcc"} if shutil.which("arm-none-eabi-gcc") else set())
    if "gcc" not in compilers:
        print("arm-none-eabi-gcc is not installed: no gcc rows")
    found = [
        Cell(model, board, toolchain, aim)
        for model in only
        for board, toolchains, aims in CELLS
        for toolchain in toolchains
        for aim in aims
        if toolchain in compilers
    ]
    if quick:
        kept = (COMPARED, "zig", "speed")
        return [c for c in found if c.board in kept[0] and (c.toolchain, c.optimize) == kept[1:]]
    return found


def target(board: str) -> mw.Board:
    """A board by name; the dual-bank one reads its flash 64 bits at a time, as TFLM's did."""
    if board != DUAL_BANK:
        return mw.board(board)
    single = mw.board(BOARD)
    return replace(single, name=DUAL_BANK, flash=replace(single.flash, read_bits=64))


def macs_of(graph: Graph) -> int:
    """Multiply-accumulates of one inference of a graph as it is."""
    return sum(
        OPS[n.op].macs(n.attrs, n.type, [s.type for s in n.src]) for n in graph.nodes() if n.src
    )


@functools.cache
def given(models: Path, key: str) -> tuple[Graph, Any, Any]:
    """A model, an input and the reference's outputs."""
    graph = mw.load(path(models, key))
    x = inputs(key, graph, models, 1)[0][0]
    return graph, x, reference_outputs(graph, [(x,)])[0]


def measure(models: Path, cell: Cell) -> dict[str, object]:
    """One row."""
    graph, x, wanted = given(models, cell.model)
    firmware = mw.build(
        graph, board=target(cell.board), toolchain=cell.toolchain, optimize=cell.optimize
    )
    return row_of(cell, graph, firmware, firmware.run(x), wanted)


def row_of(
    cell: Cell, graph: Graph, firmware: mw.Firmware, trace: Trace, wanted: Any
) -> dict[str, object]:
    """The columns of one run."""
    assert trace.cycles is not None
    assert trace.latency_ms is not None
    assert trace.stack_bytes is not None
    ram_bytes = firmware.static_ram_bytes + trace.stack_bytes
    return {
        **vars(cell),
        "bit_exact": "yes" if equal(trace.outputs, wanted) else "no",
        "instructions": trace.instructions,
        "cycles": trace.cycles,
        "error_percent": trace.error_percent,
        "latency_ms": round(trace.latency_ms, 3),
        "cycles_per_mac": round(trace.cycles / macs_of(graph), 3),
        "flash_stall_cycles": sum(layer.flash_stall_cycles for layer in trace.layers),
        "energy_uj": "" if trace.energy_uj is None else round(trace.energy_uj, 1),
        "flash_bytes": firmware.flash_bytes,
        "code_bytes": firmware.code_bytes,
        "weight_bytes": firmware.weight_bytes,
        "source_weight_bytes": sum(n.type.nbytes for n in graph.nodes() if n.is_constant),
        "ram_bytes": ram_bytes,
        "arena_bytes": firmware.arena_bytes,
        "stack_bytes": trace.stack_bytes,
        "static_bytes": firmware.static_ram_bytes - firmware.arena_bytes,
        **published(cell, trace.latency_ms),
        **ratios(cell, trace.cycles, firmware.flash_bytes, ram_bytes),
    }


def published(cell: Cell, latency_ms: float) -> dict[str, object]:
    """The best submission on this board, and its latency divided by ours."""
    best = best_published(cell.board, cell.model)
    if best is None:
        return dict.fromkeys(("published_ms", "published_by", "published_time"), "")
    return {
        "published_ms": best.latency_ms,
        "published_by": f"{best.software} ({best.round})",
        "published_time": round(best.latency_ms / latency_ms, 3),
    }


def ratios(cell: Cell, cycles: int, flash: int, ram: int) -> dict[str, object]:
    """TensorFlow Lite Micro divided by milliwatt: time, flash and RAM, for CMSIS-NN and reference.

    Time is compared where TFLM's was measured: without wait states on `cortex-m4`, with 64-bit
    flash reads on the dual-bank board. CMSIS-NN's cycles are converted to our cost of a taken
    branch (P = 1); the reference kernels' are left as they are, which flatters us by 4 % at most.
    """
    names = ("cmsis_time", "ref_time", "cmsis_flash", "cmsis_ram", "ref_ram")
    if cell.board not in COMPARED:
        return dict.fromkeys(names, "")
    cmsis, ref, smallest = (TFLM[cell.model, b] for b in ("cmsis_O3", "ref_O3", "cmsis_O3_i8"))
    branches = int(cmsis["cycles"]) * (1 - float(cmsis["p1_factor"]))
    times: tuple[object, object] = ("", "")
    if cell.board == "cortex-m4":
        times = ((int(cmsis["cycles"]) - branches) / cycles, int(ref["cycles"]) / cycles)
    elif cell.board == DUAL_BANK:
        kilohertz = mw.board(BOARD).clock_hz / 1e3
        in_cycles = [float(row["ms_l4r5"]) * kilohertz for row in (cmsis, ref)]
        times = ((in_cycles[0] - branches) / cycles, in_cycles[1] / cycles)
    sizes = (
        (int(smallest["code_bytes"]) + int(smallest["model_bytes"])) / flash,
        int(smallest["ram_bytes"]) / ram,
        int(ref["ram_bytes"]) / ram,
    )
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in zip(names, (*times, *sizes), strict=True)
    }


def measure_all(models: Path, wanted: list[Cell]) -> Iterator[dict[str, object]]:
    """Rows in the order of their cells, measured in processes beside each other."""
    with ProcessPoolExecutor(PROCESSES) as pool:
        for cell, row in zip(
            wanted, pool.map(functools.partial(measure, models), wanted), strict=True
        ):
            print(
                f"{cell.model:4} {cell.board:24} {cell.toolchain:4} {cell.optimize:8} "
                f"{row['cycles']:>12,} cycles {row['latency_ms']:>9} ms "
                f"{row['flash_bytes']:>8,} flash {row['ram_bytes']:>8,} RAM "
                f"{'' if row['bit_exact'] == 'yes' else 'NOT BIT-EXACT'}",
                flush=True,
            )
            yield row


def main() -> None:
    """Measure, write the CSV and the plot, compare with the baseline."""
    more = {"--accept": "make the figures last written the baseline, without measuring"}
    options = arguments("Size and speed of the MLPerf Tiny models", more)
    results = RESULTS / "models.csv"
    if options.accept:
        sys.exit(accept(results, HERE / "baseline.csv"))
    wanted = cells(options.only, options.quick)
    rows = list(measure_all(options.models, wanted))
    worse = regressions(rows, read_csv(HERE / "baseline.csv"))
    if options.quick or len(options.only) < len(MODELS):
        print("part of the cells only: nothing written")
    else:
        from bench.plot import plot

        write_csv("models", rows)
        plot(results, RESULTS / "models.png")
    sys.exit("\n".join(worse) or None)


if __name__ == "__main__":
    main()
