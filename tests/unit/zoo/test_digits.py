"""The digits demo: real images, a short training, both boards, all artefacts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.zoo import digits as task
from milliwatt.zoo import digits_demo

pytest.importorskip("torch", reason="torch is an extra: pip install 'milliwatt[torch]'")
pytest.importorskip("sklearn", reason="scikit-learn is an extra: pip install 'milliwatt[demo]'")


def test_the_split_is_fixed_stratified_and_disjoint() -> None:
    """30 % of each class, the same images every time, none of them in both parts."""
    found, again = task.load_digits(), task.load_digits()
    assert len(found.train_x) + len(found.test_x) == 1797
    assert len(found.test_x) == 540
    np.testing.assert_array_equal(found.test_x, again.test_x)
    assert np.bincount(found.test_y).min() >= 52
    assert (found.train_x.min(), found.train_x.max()) == (0, 1)
    train = {image.tobytes() for image in found.train_x}
    assert not any(image.tobytes() in train for image in found.test_x)


def test_training_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same seed gives the same weights, and torch's own state is left alone."""
    import torch

    found = task.load_digits()
    small = task.Digits(found.train_x[:64], found.train_y[:64], found.test_x, found.test_y)
    before, threads = torch.get_rng_state(), torch.get_num_threads()
    first, second = (task.train(small, epochs=1) for _ in range(2))
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs and forty held-out images in place of all."""
    whole = task.load_digits()
    part = task.Digits(whole.train_x, whole.train_y, whole.test_x[:40], whole.test_y[:40])
    monkeypatch.setattr(digits_demo, "load_digits", lambda: part)
    monkeypatch.setattr(digits_demo, "train", lambda found: task.train(found, epochs=2))


@pytest.mark.usefixtures("short")
def test_demo_leaves_models_firmware_and_numbers(tmp_path: Path) -> None:
    """Every board agrees with the reference and the host; the files work with the other verbs."""
    shown: list[Any] = []
    found = digits_demo.demo(tmp_path, lambda *parts: shown.extend(parts))
    assert found == json.loads((tmp_path / "report.json").read_text())
    assert [row["board"] for row in found["boards"]] == ["host", "nucleo-l4r5zi", "esp32-c3"]
    for row in found["boards"]:
        assert row["bit_exact"] is True
        assert (row["differing_bytes_reference"], row["differing_bytes_host"]) == (0, 0)
        assert row["accuracy"] == found["s8_accuracy"]
        assert (tmp_path / row["board"] / "mw_model.c").exists()
    assert found["float_accuracy"] > 0.85
    graph = mw.load(tmp_path / "digits_s8.mwg")
    images = np.load(tmp_path / "held_out.npy")
    assert mw.build(graph, board="host").check(images[0])
    text = (tmp_path / "report.txt").read_text()
    for part in ("1  Train", "2  Quantize", "5  Run on esp32-c3", "All 40 held-out digits"):
        assert part in text
    assert shown


@pytest.mark.usefixtures("short")
def test_the_demo_on_one_board(tmp_path: Path) -> None:
    """The board that was asked for, after the host."""
    found = digits_demo.demo(tmp_path, lambda *parts: None, boards=["cortex-m0plus"])
    assert [row["board"] for row in found["boards"]] == ["host", "cortex-m0plus"]


def test_a_missing_emulator_is_told_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is trained or written."""
    monkeypatch.setitem(sys.modules, "unicorn", None)
    with pytest.raises(mw.ToolMissing, match="unicorn is not installed"):
        digits_demo.demo(tmp_path / "demo", lambda *parts: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("short")
def test_a_differing_byte_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board that gives one other byte ends the demo with Mismatch and the image's number."""
    real = digits_demo.reference_outputs

    def wrong(*given: Any) -> list[Any]:
        outputs = real(*given)
        outputs[7] = (outputs[7][0] ^ 1,)
        return outputs

    monkeypatch.setattr(digits_demo, "reference_outputs", wrong)
    with pytest.raises(mw.Mismatch, match="digits on host: image 7 differs from the reference"):
        digits_demo.demo(tmp_path, lambda *parts: None)


@pytest.mark.slow
def test_the_whole_demo_is_accurate(tmp_path: Path) -> None:
    """All 540 held-out images: at least 97.5 % on every board."""
    found = digits_demo.demo(tmp_path, lambda *parts: None)
    assert found["held_out"] == 540
    assert min(row["accuracy"] for row in found["boards"]) >= 0.975
