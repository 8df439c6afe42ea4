"""The cells of `make bench`, the figures it wrote, its picture, networks in place of models."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from bench.common import HERE, MODELS, RESULTS, read_csv
from bench.compare import KEY, best_published
from bench.layers import inputs_of
from bench.models import Cell, cells, macs_of, row_of
from bench.nets import NETS

import milliwatt as mw
from milliwatt.compiler.aim import AIMS
from milliwatt.debug.report import reference_outputs
from support.shared import INT8_MODELS, mlperf

BOARDS = ("nucleo-l4r5zi", "nucleo-u575zi-q", "disco-f746ng", "nucleo-h7a3zi-q", "cortex-m0plus")
MACS = {"kws": 2_656_768, "vww": 7_489_664, "ic": 12_501_632, "ad": 264_192}
"""As the MLPerf Tiny rules imply them; published cycles per MAC are of these."""


def test_cells_cover_boards_and_aims() -> None:
    """Every aim on every board, each cell once; both compilers on the main board."""
    found = cells(list(MODELS), quick=False)
    assert len(found) == len(set(found))
    wanted = {Cell(m, b, "zig", a) for m in MODELS for b in BOARDS for a in AIMS}
    if shutil.which("arm-none-eabi-gcc"):
        wanted |= {Cell(m, BOARDS[0], "gcc", a) for m in MODELS for a in AIMS}
    assert wanted <= set(found)
    quick = cells(["kws"], quick=True)
    assert quick
    assert set(quick) < set(found)


def test_written_figures_add_up() -> None:
    """bench/results/models.csv: exact rows, sums of their parts, the published figures of today."""
    rows = read_csv(RESULTS / "models.csv")
    assert {tuple(row[name] for name in KEY) for row in rows} >= {
        (m, b, "zig", a) for m in MODELS for b in BOARDS for a in AIMS
    }
    for row in rows:
        assert row["bit_exact"] == "yes"
        number = {k: int(v) for k, v in row.items() if k.endswith("_bytes")}
        assert number["flash_bytes"] == number["code_bytes"] + number["weight_bytes"]
        parts = ("arena_bytes", "stack_bytes", "static_bytes")
        assert number["ram_bytes"] == sum(number[part] for part in parts)
        best = best_published(row["board"], row["model"])
        assert row["published_ms"] == (str(best.latency_ms) if best else "")
    guarded = {tuple(row[name] for name in KEY) for row in read_csv(HERE / "baseline.csv")}
    assert guarded <= {tuple(row[name] for name in KEY) for row in rows}


def test_a_row_of_one_run() -> None:
    """The columns of a small network that nobody published."""
    graph = NETS["ad"]()
    x = inputs_of(graph)
    firmware = mw.build(graph, board="nucleo-l4r5zi", optimize="flash")
    wanted = reference_outputs(graph, [x])[0]
    cell = Cell("ad", "nucleo-l4r5zi", "zig", "flash")
    trace = firmware.run(x)
    row = row_of(cell, graph, firmware, trace, wanted)
    assert (row["model"], row["bit_exact"], row["cycles"]) == ("ad", "yes", trace.cycles)
    assert row["cycles_per_mac"] == round((trace.cycles or 0) / (640 * 128 + 128 * 8 + 8 * 640), 3)
    assert row["published_ms"] == 4.05
    assert row["published_time"] == round(4.05 / (trace.latency_ms or 1), 3)
    wrong = tuple(value ^ 1 for value in wanted)
    assert row_of(cell, graph, firmware, trace, wrong)["bit_exact"] == "no"


@pytest.mark.parametrize("key", INT8_MODELS)
def test_small_networks_have_the_models_operators(key: str) -> None:
    model = mw.load(mlperf(INT8_MODELS[key]))
    operators = {node.op for node in model.nodes()}
    assert {node.op for node in NETS[key]().nodes()} == operators
    assert macs_of(model) == MACS.get(key, macs_of(model))


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib draws bench/results/models.png")
    from bench.plot import plot

    plot(RESULTS / "models.csv", tmp_path / "models.png")
    assert (tmp_path / "models.png").read_bytes().startswith(b"\x89PNG")
