"""How fast the emulator is, and how long a user waits: million instructions per second, seconds.

Emulation: the same model on `cortex-m4` (no wait states) and on `nucleo-l4r5zi` (flash and cache
model), per-layer cycles on; the best of three runs. Waiting: the whole command `mw run`, from file
to printed result, with a cold cache of compiled kernels and then a warm one. Both are wall-clock
times: `load` is what else the machine did (1-minute average, in runnable processes); trust only
rows where it is near 0.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import milliwatt as mw
from bench.common import arguments, inputs, path, write_csv

BOARDS = ("cortex-m4", "nucleo-l4r5zi", "rv32imc")
REPEATS = 3


def load() -> float | str:
    """The machine's load average over the last minute; empty where the system keeps none."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else ""


def emulation(models: Path, key: str, board: str) -> dict[str, object]:
    """Instructions per second of one inference, loading left out."""
    graph = mw.load(path(models, key))
    firmware = mw.build(graph, board=board)
    x = inputs(key, graph, models, 1)[0][0]
    traces = firmware.run_many(np.repeat(x, REPEATS + 1, axis=0))
    next(traces)  # the first run translates the code
    best, instructions = float("inf"), 0
    for _ in range(REPEATS):
        start = time.perf_counter()
        trace = next(traces)
        best = min(best, time.perf_counter() - start)
        assert trace.instructions is not None
        instructions = trace.instructions
    return {
        "what": "emulation",
        "model": key,
        "board": board,
        "instructions": instructions,
        "seconds": round(best, 4),
        "mips": round(instructions / best / 1e6, 1),
        "load": load(),
    }


def command(models: Path, key: str, board: str) -> list[dict[str, object]]:
    """Wall time of `mw run` in a process of its own, twice."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        graph = mw.load(path(models, key))
        x = Path(folder) / "x.npy"
        np.save(x, inputs(key, graph, models, 1)[0][0])
        line = [sys.executable, "-m", "milliwatt", "run", str(path(models, key))]
        line += ["--board", board, "--input", str(x)]
        for cache in ("cold", "warm"):
            environment = {**os.environ, "MILLIWATT_CACHE": str(Path(folder) / "cache")}
            start = time.perf_counter()
            subprocess.run(line, check=True, capture_output=True, env=environment)
            seconds = time.perf_counter() - start
            rows.append(
                {
                    "what": f"mw run, {cache} cache",
                    "model": key,
                    "board": board,
                    "instructions": "",
                    "seconds": round(seconds, 2),
                    "mips": "",
                    "load": load(),
                }
            )
    return rows


def main() -> None:
    """Measure and write."""
    given = arguments("Emulation speed and waiting time")
    keys = [key for key in given.only if key in ("kws", "vww")]
    rows = [emulation(given.models, key, board) for key in keys for board in BOARDS]
    for key in keys:
        rows += command(given.models, key, "nucleo-l4r5zi")
    for row in rows:
        print(
            f"{row['what']:20} {row['model']:4} {row['board']:14} {row['seconds']:>8} s "
            f"{row['mips']:>7} MIPS, load {row['load']}"
        )
    write_csv("speed", rows)


if __name__ == "__main__":
    main()
