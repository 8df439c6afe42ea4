"""Figures beside others: the best published ones, and those of the last release."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.common import HERE, read_csv, save_csv

KEY = ("model", "board", "toolchain", "optimize")
GUARDED = {"cycles": "cycles", "flash_bytes": "bytes of flash", "ram_bytes": "bytes of RAM"}
"""Columns that may not grow, and what they count."""
TOLERANCE = 0.02
ACCEPT = "accept with: make accept"


@dataclass(frozen=True)
class Submission:
    """One published latency. Source: bench/published.csv, whose head says where from."""

    board: str
    round: str
    submitter: str
    software: str
    model: str
    latency_ms: float


@functools.cache
def submissions() -> tuple[Submission, ...]:
    """All of them."""
    return tuple(
        Submission(
            row["board"],
            row["round"],
            row["submitter"],
            row["software"],
            row["model"],
            float(row["latency_ms"]),
        )
        for row in read_csv(HERE / "published.csv")
    )


def best_published(board: str, model: str) -> Submission | None:
    """The fastest submission of a model on a board; None where there is none."""
    found = [s for s in submissions() if (s.board, s.model) == (board, model)]
    return min(found, key=lambda s: s.latency_ms, default=None)


def _key(row: Mapping[str, object]) -> tuple[str, ...]:
    return tuple(str(row[name]) for name in KEY)


def regressions(
    rows: Iterable[Mapping[str, object]], baseline: Sequence[Mapping[str, str]]
) -> list[str]:
    """One line for each guarded figure over TOLERANCE above its baseline, or not bit-exact.

    Cells that the baseline lacks have nothing to be compared with. Cells of the baseline that were
    not measured are left to `accept`, so that parts can be measured.
    """
    before = {_key(row): row for row in baseline}
    lines = []
    for row in rows:
        name = " ".join(_key(row))
        if row["bit_exact"] != "yes":
            lines.append(f"{name}: the output is not the reference's")
        old = before.get(_key(row))
        for column, what in GUARDED.items() if old else ():
            was, now = int(old[column]), int(str(row[column]))
            if now > was * (1 + TOLERANCE):
                more = f"{100 * (now / was - 1):+.1f} %, {100 * TOLERANCE:.0f} % allowed"
                lines.append(f"{name}: {was:,} -> {now:,} {what} ({more}); {ACCEPT}")
    return lines


def accept(results: Path, baseline: Path) -> str | None:
    """Make the figures of `results` the baseline; why not, where one of them is not bit-exact."""
    rows = read_csv(results)
    if wrong := [" ".join(_key(row)) for row in rows if row["bit_exact"] != "yes"]:
        return f"{results.name}: {', '.join(wrong)}: not bit-exact, no baseline"
    head = f"What `make bench` allows {100 * TOLERANCE:.0f} % above; `make accept` writes it."
    save_csv(baseline, [{name: row[name] for name in (*KEY, *GUARDED)} for row in rows], head)
    return None
