"""Figures beside others: regressions, baselines, published results."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from bench.common import HERE, MODELS, read_csv
from bench.compare import KEY, accept, best_published, regressions

import milliwatt as mw

OLD = {
    **dict(zip(KEY, ("kws", "nucleo-l4r5zi", "zig", "speed"), strict=True)),
    "cycles": "1000",
    "flash_bytes": "2000",
    "ram_bytes": "500",
}


def row(**changed: object) -> dict[str, object]:
    return {**OLD, "bit_exact": "yes", **changed}


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"cycles": 1020, "flash_bytes": 2040, "ram_bytes": 510},
        {"cycles": 1, "flash_bytes": 1, "ram_bytes": 1},
        {"model": "new", "cycles": 10**9},
    ],
)
def test_what_is_no_regression(changed: dict[str, object]) -> None:
    """The same, 2 % more, less, and a cell without a baseline."""
    assert regressions([row(**changed)], [OLD]) == []


def test_each_regression_is_a_line() -> None:
    worse = row(cycles=1021, flash_bytes=2100, ram_bytes=1000, bit_exact="no")
    name = "kws nucleo-l4r5zi zig speed"
    assert regressions([row(), worse], [OLD]) == [
        f"{name}: the output is not the reference's",
        f"{name}: 1,000 -> 1,021 cycles (+2.1 %, 2 % allowed); accept with: make accept",
        f"{name}: 2,000 -> 2,100 bytes of flash (+5.0 %, 2 % allowed); accept with: make accept",
        f"{name}: 500 -> 1,000 bytes of RAM (+100.0 %, 2 % allowed); accept with: make accept",
    ]


def results(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "models.csv"
    lines = [",".join(rows[0]), *(",".join(map(str, r.values())) for r in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_an_accepted_baseline_is_met(tmp_path: Path) -> None:
    """What was a regression is none once it was accepted; one more percent of it is free again."""
    worse, baseline = row(cycles=1100), tmp_path / "baseline.csv"
    assert accept(results(tmp_path, worse), baseline) is None
    assert regressions([worse], read_csv(baseline)) == []
    assert len(regressions([row(cycles=1123)], read_csv(baseline))) == 1


def test_a_wrong_result_is_no_baseline(tmp_path: Path) -> None:
    baseline = tmp_path / "baseline.csv"
    why = accept(results(tmp_path, row(), row(model="ic", bit_exact="no")), baseline)
    assert why == "models.csv: ic nucleo-l4r5zi zig speed: not bit-exact, no baseline"
    assert not baseline.exists()


def test_published_rows_are_well_formed() -> None:
    """Known boards and models, rounds, positive times; energy is a power that a board can draw."""
    rows = read_csv(HERE / "published.csv")
    boards = {board.name for board in mw.boards()}
    assert len(rows) > 100
    for found in rows:
        assert found["board"] in boards
        assert found["model"] in MODELS
        assert re.fullmatch(r"v[01]\.\d", found["round"])
        assert float(found["latency_ms"]) > 0
        if found["energy_uj"]:
            milliwatts = float(found["energy_uj"]) / float(found["latency_ms"])
            assert 20 < milliwatts < 180, found


@pytest.mark.parametrize(
    ("board", "model", "latency_ms", "software"),
    [
        ("nucleo-l4r5zi", "vww", 88.9, "X-CUBE-AI 9.0"),
        ("nucleo-l4r5zi", "ad", 4.05, "Plumerai 2023.05"),
        ("nucleo-u575zi-q", "kws", 29.0, "X-CUBE-AI 10.2"),
        ("nucleo-h7a3zi-q", "ic", 40.8, "X-CUBE-AI 9.0"),
        ("disco-f746ng", "ic", 62.9, "Plumerai"),
    ],
)
def test_best_published(board: str, model: str, latency_ms: float, software: str) -> None:
    best = best_published(board, model)
    assert best is not None
    assert (best.latency_ms, best.software) == (latency_ms, software)


def test_nothing_published() -> None:
    assert best_published("nucleo-l4r5zi", "sww") is None
    assert best_published("cortex-m3", "kws") is None
