"""Size and speed of the five MLPerf Tiny int8 models, beside TensorFlow Lite Micro, as CSV.

One row a model, board, compiler and optimization: cycles, milliseconds, cycles per MAC, flash for
code and weights, RAM for arena and stack, microjoules. The ratio columns compare with
bench/baseline.csv on the same core: above 1 means that milliwatt is faster or smaller.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import milliwatt as mw
from bench.common import HERE, arguments, inputs, path, read_csv, write_csv

BASELINE = {(row["model"], row["build"]): row for row in read_csv(HERE / "baseline.csv")}
# Boards that stand for the core of the baseline get every compiler and optimization.
COMPARED = ("cortex-m4", "nucleo-l4r5zi")
OTHERS = ("cortex-m0plus", "cortex-m3", "cortex-m7", "cortex-m33", "esp32-c3")


def variants(quick: bool) -> list[tuple[str, str, str]]:
    """(board, toolchain, optimize) to measure."""
    toolchains = ["zig"] + (["gcc"] if shutil.which("arm-none-eabi-gcc") else [])
    if toolchains == ["zig"]:
        print("arm-none-eabi-gcc is not installed: no gcc rows")
    if quick:
        return [("nucleo-l4r5zi", "zig", "speed")]
    full = [(b, t, o) for b in COMPARED for t in toolchains for o in ("speed", "flash")]
    return full + [(b, "zig", "speed") for b in OTHERS]


def measure(models: Path, key: str, board: str, toolchain: str, optimize: str) -> dict[str, object]:
    """One row."""
    graph = mw.load(path(models, key))
    firmware = mw.build(graph, board=board, toolchain=toolchain, optimize=optimize)
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
        **ratios(key, board, trace.cycles, trace.latency_ms, firmware.flash_bytes, ram_bytes),
    }


def ratios(
    key: str, board: str, cycles: int, latency_ms: float | None, flash: int, ram: int
) -> dict[str, object]:
    """TensorFlow Lite Micro divided by milliwatt: time, flash and RAM, for CMSIS-NN and reference.

    On `cortex-m4` time is cycles without wait states, for CMSIS-NN at P = 1 like ours. On the board
    it is milliseconds; the baseline's flash is read 64 bits at a time there, ours 128.
    """
    empty = dict.fromkeys(("cmsis_time", "ref_time", "cmsis_flash", "cmsis_ram", "ref_ram"), "")
    if board not in COMPARED:
        return dict(empty)
    cmsis, ref = BASELINE[key, "cmsis_O3"], BASELINE[key, "ref_O3"]
    smallest = BASELINE[key, "cmsis_O3_i8"]
    if board == "cortex-m4":
        cmsis_time = int(cmsis["cycles"]) * float(cmsis["p1_factor"]) / cycles
        ref_time = int(ref["cycles"]) / cycles
    else:
        assert latency_ms is not None
        cmsis_time = float(cmsis["ms_l4r5"]) / latency_ms
        ref_time = float(ref["ms_l4r5"]) / latency_ms
    return {
        "cmsis_time": round(cmsis_time, 3),
        "ref_time": round(ref_time, 3),
        "cmsis_flash": round(
            (int(smallest["code_bytes"]) + int(smallest["model_bytes"])) / flash, 3
        ),
        "cmsis_ram": round(int(smallest["ram_bytes"]) / ram, 3),
        "ref_ram": round(int(ref["ram_bytes"]) / ram, 3),
    }


def main() -> None:
    """Measure every model in every variant."""
    given = arguments("Size and speed of the MLPerf Tiny models")
    rows = []
    for key in given.only:
        for board, toolchain, optimize in variants(given.quick):
            row = measure(given.models, key, board, toolchain, optimize)
            print(
                f"{key:4} {board:14} {toolchain:4} {optimize:6} {row['cycles']:>12,} cycles "
                f"{row['latency_ms']:>9} ms {row['flash_bytes']:>8,} flash "
                f"{row['ram_bytes']:>8,} RAM  time vs CMSIS-NN {row['cmsis_time']}"
            )
            rows.append(row)
    write_csv("models", rows)


if __name__ == "__main__":
    main()
