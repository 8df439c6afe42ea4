"""The host as a machine: what a model says about itself decides nothing outside the library."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import toy

from milliwatt.emulate.machine import machine_for


@pytest.mark.parametrize("name", ["{}/evil", "../../evil", "a/b", "", "x" * 300])
def test_a_models_name_is_no_path(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a model is called, its library is loaded and no file is written or left outside."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    named = replace(toy.firmware("host"), name=name.format(tmp_path))
    trace = machine_for(named.board).run(named, [toy.INPUT])
    np.testing.assert_array_equal(trace.outputs[0], toy.EXPECTED)
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]
