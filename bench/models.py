"""Size and speed of the five MLPerf Tiny int8 models, beside TensorFlow Lite Micro, as CSV.

One row a model, board, compiler and optimization: cycles, milliseconds, cycles per MAC, flash for
code and weights, RAM for arena and stack, microjoules. The ratio columns compare with
bench/baseline.csv on the same core: above 1 means that milliwatt is faster or smaller.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import milliwatt as mw
from bench.common import HERE, arguments, inputs, path, read_csv, write_csv

BASELINE = {(row["model"], row["build"]): row for row in read_csv(HERE / "baseline.csv")}
BOARD = "nucleo-l4r5zi"
DUAL_BANK = "nucleo-l4r5zi, dual bank"
# Boards that stand for the core of the baseline get every compiler and optimization.
COMPARED = ("cortex-m4", BOARD, DUAL_BANK)
OTHERS = ("cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m33", "esp32-c3")


def variants(quick: bool) -> list[tuple[str, str, str]]:
    """(board, toolchain, optimize) to measure."""
    toolchains = ["zig"] + (["gcc"] if shutil.which("arm-none-eabi-gcc") else [])
    if toolchains == ["zig"]:
        print("arm-none-eabi-gcc is not installed: no gcc rows")
    if quick:
        return [(board, "zig", "speed") for board in COMPARED]
    full = [(b, t, o) for b in COMPARED for t in toolchains for o in ("speed", "flash")]
    return full + [(b, "zig", "speed") for b in OTHERS]


def target(board: str) -> mw.Board:
    """A board by name; the dual-bank one reads its flash 64 bits at a time, as the baseline did."""
    if board != DUAL_BANK:
        return mw.board(board)
    single = mw.board(BOARD)
    return replace(single, name=DUAL_BANK, flash=replace(single.flash, read_bits=64))


def measure(models: Path, key: str, board: str, toolchain: str, optimize: str) -> dict[str, object]:
    """One row."""
    graph = mw.load(path(models, key))
    firmware = mw.build(graph, board=target(board), toolchain=toolchain, optimize=optimize)
    values, _ = inputs(key, graph, models, 1)
    trace = firmware.run(values[0])
    assert trace.cycles is not None
    assert trace.stack_bytes is not None
    macs = sum(layer.macs for layer in trace.layers)
    ram_bytes = firmware.static_ram_bytes + trace.stack_bytes
    return {
        "model": key,
        "board": board,
        "toolchain": toolchain,
        "optimize": optimize,
        "instructions": trace.instructions,
        "cycles": trace.cycles,
        "latency_ms": round(trace.latency_ms or 0, 3),
        "cycles_per_mac": round(trace.cycles / macs, 3),
        "energy_uj": "" if trace.energy_uj is None else round(trace.energy_uj, 1),
        "flash_bytes": firmware.flash_bytes,
        "code_bytes": firmware.code_bytes,
        "weight_bytes": firmware.weight_bytes,
        "ram_bytes": ram_bytes,
        "arena_bytes": firmware.arena_bytes,
        "stack_bytes": trace.stack_bytes,
        **ratios(key, board, trace.cycles, firmware.flash_bytes, ram_bytes),
    }


def ratios(key: str, board: str, cycles: int, flash: int, ram: int) -> dict[str, object]:
    """TensorFlow Lite Micro divided by milliwatt: time, flash and RAM, for CMSIS-NN and reference.

    Time is compared where the baseline was measured: without wait states on `cortex-m4`, with
    64-bit flash reads on the dual-bank board. CMSIS-NN's cycles are converted to our cost of a
    taken branch (P = 1); the reference kernels' are left as they are, which flatters us by 4 % at
    most.
    """
    names = ("cmsis_time", "ref_time", "cmsis_flash", "cmsis_ram", "ref_ram")
    if board not in COMPARED:
        return dict.fromkeys(names, "")
    cmsis, ref = BASELINE[key, "cmsis_O3"], BASELINE[key, "ref_O3"]
    smallest = BASELINE[key, "cmsis_O3_i8"]
    branches = int(cmsis["cycles"]) * (1 - float(cmsis["p1_factor"]))
    times: tuple[object, object] = ("", "")
    if board == "cortex-m4":
        times = ((int(cmsis["cycles"]) - branches) / cycles, int(ref["cycles"]) / cycles)
    elif board == DUAL_BANK:
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


def main() -> None:
    """Measure every model in every variant."""
    given = arguments("Size and speed of the MLPerf Tiny models")
    rows = []
    for key in given.only:
        for board, toolchain, optimize in variants(given.quick):
            row = measure(given.models, key, board, toolchain, optimize)
            print(
                f"{key:4} {board:24} {toolchain:4} {optimize:6} {row['cycles']:>12,} cycles "
                f"{row['latency_ms']:>9} ms {row['flash_bytes']:>8,} flash "
                f"{row['ram_bytes']:>8,} RAM  time vs CMSIS-NN {row['cmsis_time']}"
            )
            rows.append(row)
    write_csv("models", rows)


if __name__ == "__main__":
    main()
