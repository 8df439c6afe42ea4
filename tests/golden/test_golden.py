"""The compiler's text output, byte for byte, and that this very text compiles and runs."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest

import milliwatt as mw
from golden.golden import FOLDER, GRAPHS, SOURCES, texts
from milliwatt.debug.inputs import random_inputs

FILES = sorted(path.relative_to(FOLDER) for path in FOLDER.rglob("*.*"))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_text_is_unchanged(path: Path) -> None:
    """A wanted change is recorded by `make golden`; the diff is shown here."""
    wanted = (FOLDER / path).read_text(encoding="utf-8").splitlines()
    have = texts(path.parent.name)[path.name].splitlines()
    diff = "\n".join(difflib.unified_diff(wanted, have, "golden", "now", lineterm="", n=1))
    assert have == wanted, f"{path} changed; if that is wanted, run: make golden\n{diff}"


def test_every_golden_file_is_made() -> None:
    """No file is left over from an earlier layout, none is missing."""
    made = [Path(folder, name) for folder in GRAPHS for name in texts(folder)]
    assert sorted(made) == FILES


@pytest.mark.parametrize("board", ["host", "cortex-m3"])
@pytest.mark.parametrize("folder", GRAPHS)
def test_what_is_compared_also_runs(folder: str, board: str) -> None:
    """The golden sources are those of the firmware, and the firmware equals the reference."""
    graph = GRAPHS[folder]()
    firmware = mw.build(graph, board=board)
    for name in SOURCES:
        wanted = (FOLDER / folder / name).read_text(encoding="utf-8")
        assert firmware.image.sources[name] == wanted
    frames = [random_inputs(graph, seed) for seed in range(5)]
    assert firmware.check(frames, stream=True)


def test_same_graph_same_text() -> None:
    """Nothing depends on the order of sets, on addresses or on the time."""
    for folder in GRAPHS:
        assert texts(folder) == texts(folder)
