"""Spoiled .tflite files through the reader and all behind it: each works or is refused by name.

    python -m bench.fuzz --seconds 600 --workers 2 --corpus build/fuzz [--seed 1] [--more DIR ...]

The corpus folder is filled with generated files where it is empty (and with the .tflite files below
--more), then mutated; a mutant that is refused in a new way, or that compiles to new kernels, is
mutated further. What fails (bench/fuzz_path.py says what may come of a file) is written to
CORPUS/failures with a note beside it, and every run is a row of bench/results/fuzz.csv.
"""

from __future__ import annotations

import argparse
import csv
import gc
import multiprocessing
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from ctypes import c_char
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from bench import fuzz_path
from bench.common import RESULTS
from bench.fuzz_corpus import MAX_BYTES, Pool, fill, keep

KINDS = ("compiled", "uncompiled", "UnsupportedOp", "ImportFailed", "failure")
# No file may keep a worker for this long, whatever else the machine does: it hangs in C code.
SECONDS_SILENT = 60.0
SECONDS_A_REPORT = 1.0
_SHARED_BYTES = 4 * MAX_BYTES


@dataclass
class Tally:
    """What came of the files so far; `failures` maps a signature to one file and its problem."""

    counts: Counter[str] = field(default_factory=Counter)
    ways: set[str] = field(default_factory=set)
    failures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    slowest: float = 0.0

    def add(self, model: bytes, outcome: fuzz_path.Outcome) -> bool:
        """Count one file; True where it took a way that none before it took."""
        self.counts[outcome.kind] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        new = outcome.signature not in self.ways
        self.ways.add(outcome.signature)
        if new and outcome.kind == "failure":
            self.failures[outcome.signature] = model, outcome.problem
        return new

    def merge(self, other: Tally) -> None:
        """Add another's files."""
        self.counts += other.counts
        self.ways |= other.ways
        self.failures = other.failures | self.failures
        self.slowest = max(self.slowest, other.slowest)


def mutants(pool: Pool, seed: str, tally: Tally) -> Iterator[tuple[bytes, fuzz_path.Outcome]]:
    """Mutants of the pool without end, each sent down the path and counted; the pool grows.

    The same pool and seed give the same mutants.
    """
    chance = random.Random(seed)
    while True:
        model = pool.mutant(chance)
        outcome = fuzz_path.check(model)
        if tally.add(model, outcome) and outcome.kind != "failure":
            pool.add(model)
        yield model, outcome


class _Announcing(Pool):
    """A pool that shows every mutant to the parent, which would not learn it from a dead worker."""

    def __init__(self, models: list[bytes], shown: Any) -> None:
        super().__init__(models)
        self._shown = shown

    def mutant(self, chance: random.Random) -> bytes:
        """See Pool."""
        model = super().mutant(chance)
        cut = model[: _SHARED_BYTES - 4]
        self._shown[: 4 + len(cut)] = len(cut).to_bytes(4, "little") + cut
        return model


def _work(models: list[bytes], seed: str, shown: Any, seconds: float, pipe: Connection) -> None:
    """One worker: report what was added to the tally every second or so."""
    fuzz_path.strict_warnings()
    pool = _Announcing(models, shown)
    gc.freeze()
    fuzz_path.limit_memory()
    start = reported = time.monotonic()
    tally, known = Tally(), set[str]()
    for _ in mutants(pool, seed, tally):
        now = time.monotonic()
        if now - reported >= SECONDS_A_REPORT or now - start >= seconds:
            ways = tally.ways - known
            known |= ways
            pipe.send(Tally(tally.counts, ways, tally.failures, tally.slowest))
            tally.counts, tally.failures, reported = Counter(), {}, now
            if now - start >= seconds:
                return


class _Worker:
    """A worker process, its pipe and the file that it is at."""

    def __init__(self, models: list[bytes], seed: str, seconds: float) -> None:
        context = multiprocessing.get_context("fork")
        self._shown = context.RawArray(c_char, _SHARED_BYTES)
        self.pipe, sender = context.Pipe(duplex=False)
        given = (models, seed, self._shown, seconds, sender)
        self.process = context.Process(target=_work, args=given, daemon=True)
        self.process.start()
        sender.close()
        self.heard = time.monotonic()

    @property
    def model(self) -> bytes:
        """The file that the worker is at."""
        size = int.from_bytes(self._shown[:4], "little")
        return bytes(self._shown[4 : 4 + size])

    def reports(self) -> Iterator[Tally]:
        """What has arrived; nothing more where the worker is done or dead."""
        try:
            while self.pipe.poll():
                yield self.pipe.recv()
                self.heard = time.monotonic()
        except EOFError:
            self.process.join(SECONDS_SILENT)


def run(models: list[bytes], seed: int, seconds: float, workers: int, tally: Tally) -> None:
    """Run the workers for `seconds`; one that dies or is silent counts as a failure and is
    replaced.
    """
    end = time.monotonic() + seconds
    crew = [_Worker(models, f"{seed}/{number}/0", seconds) for number in range(workers)]
    started, told = workers, time.monotonic()
    while crew:
        wait([worker.pipe for worker in crew], timeout=SECONDS_A_REPORT)
        for worker in list(crew):
            for report in worker.reports():
                tally.merge(report)
            silent = time.monotonic() - worker.heard > SECONDS_SILENT
            if worker.process.is_alive() and not silent:
                continue
            crew.remove(worker)
            if worker.process.exitcode == 0:
                continue
            worker.process.kill()
            why = "silent" if silent else f"dead, exit code {worker.process.exitcode}"
            outcome = fuzz_path.Outcome("failure", f"failure {why}", f"the worker is {why}")
            tally.add(worker.model, outcome)
            if (left := end - time.monotonic()) > 0:
                crew.append(_Worker(models, f"{seed}/{started}/1", left))
                started += 1
        if time.monotonic() - told > 30:
            told = time.monotonic()
            print(_line(tally), flush=True)


def _line(tally: Tally) -> str:
    counts = ", ".join(f"{tally.counts[kind]:,} {kind}" for kind in KINDS)
    return f"{tally.counts.total():,} files: {counts}; {len(tally.ways):,} ways"


def _commit() -> str:
    """The commit that was run, with a + where the tree held changes."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
        cwd=RESULTS,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _append(row: dict[str, object]) -> None:
    """Add a row to bench/results/fuzz.csv."""
    path = RESULTS / "fuzz.csv"
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(row), lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--more", type=Path, nargs="*", default=[], help="folders of .tflite files")
    return parser.parse_args()


def main() -> None:
    """Fuzz, print, write the failures and a row of bench/results/fuzz.csv."""
    given = arguments()
    fill(given.corpus, given.more)
    models = [path.read_bytes() for path in sorted(given.corpus.glob("*.tflite"))]
    commit, start, tally = _commit(), time.monotonic(), Tally()
    run(models, given.seed, given.seconds, given.workers, tally)
    seconds = time.monotonic() - start
    print(_line(tally))
    print(f"{tally.counts.total() / seconds:.0f} files/s, slowest {tally.slowest:.2f} s")
    for signature, (model, problem) in sorted(tally.failures.items()):
        path = keep(given.corpus / "failures", model)
        path.with_suffix(".txt").write_text(f"{signature}\n{problem}\n", encoding="utf-8")
        print(f"FAILED {path}: {signature}")
    row = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit,
        "seed": given.seed,
        "seconds": round(seconds),
        "workers": given.workers,
        "corpus_files": len(models),
        "files": tally.counts.total(),
        **{kind: tally.counts[kind] for kind in KINDS},
        "failure_kinds": len(tally.failures),
        "ways": len(tally.ways),
        "slowest_seconds": f"{tally.slowest:.2f}",
    }
    _append(row)
    sys.exit(bool(tally.failures))


if __name__ == "__main__":
    main()
