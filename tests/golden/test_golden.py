"""The compiler's text output, byte for byte, and that this very text compiles and runs."""

from __future__ import annotations

import difflib

import numpy as np
import pytest

import milliwatt as mw
from golden.golden import FOLDER, texts, tiny


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_text_is_unchanged(name: str) -> None:
    """A wanted change is recorded by `make golden`; the diff is shown here."""
    wanted = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    have = texts()[name].splitlines()
    diff = "\n".join(difflib.unified_diff(wanted, have, "golden", "now", lineterm="", n=1))
    assert have == wanted, f"{name} changed; if that is wanted, run: make golden\n{diff}"


def test_every_golden_file_is_made() -> None:
    """No file is left over from an earlier layout, none is missing."""
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(texts())


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_what_is_compared_also_runs(board: str) -> None:
    """The golden sources are those of the firmware, and the firmware equals the reference."""
    firmware = mw.build(tiny(), board=board)
    for name in ("mw_model.h", "mw_model.c", "mw_weights.c", "main.c"):
        assert firmware.image.sources[name] == (FOLDER / name).read_text(encoding="utf-8")
    chance = np.random.default_rng(0)
    for _ in range(5):
        assert firmware.check(chance.integers(-128, 128, (1, 5, 4, 2)).astype(np.int8))


def test_same_graph_same_text() -> None:
    """Nothing depends on the order of sets, on addresses or on the time."""
    assert texts() == texts()
