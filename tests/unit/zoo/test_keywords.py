"""The keyword demo on a toy classifier and, where the recordings are, on real utterances."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt import cli
from milliwatt.debug.files import write_graph
from milliwatt.ir.reference import run
from milliwatt.zoo.keywords import demo, load_utterances
from support.oracle import Tflm
from support.quantize_nets import samples, small_cnn
from support.shared import INT8_MODELS, mlperf, shared

LABELS = np.array(["a", "b", "c", "d", "e"])


@pytest.fixture
def toy(tmp_path: Path) -> tuple[Path, Path]:
    """A classifier of five labels and twelve samples of random classes."""
    data = samples(small_cnn(), 12)
    graph = mw.quantize(small_cnn(), data)
    write_graph(graph, tmp_path / "m.mwg")
    kind = graph.inputs[0].type
    steps = np.clip(np.round(data / kind.scale) + kind.zero_point, -128, 127).astype(np.int8)
    y = np.random.default_rng(0).integers(0, 5, 12)
    np.savez(tmp_path / "d.npz", x=steps, y=y, labels=LABELS)
    return tmp_path / "m.mwg", tmp_path / "d.npz"


def test_labels_are_the_references(toy: tuple[Path, Path]) -> None:
    """What the board said, utterance by utterance, and how often it was right."""
    model, data = toy
    found = demo(model, data, lambda *parts: None, board="cortex-m4", count=12)
    graph = mw.load(model)
    with np.load(data) as arrays:
        said = [int(run(graph, [x[None]])[0].argmax()) for x in arrays["x"]]
        assert found["labels"] == [str(LABELS[i]) for i in said]
        assert found["accuracy"] == np.mean(np.array(said) == arrays["y"])
    assert found["labels_equal_reference"] is True
    assert found["inputs"] == 12


def test_count_takes_evenly_spaced_utterances(toy: tuple[Path, Path]) -> None:
    """The first, the last and some between; never more than there are."""
    whole = load_utterances(toy[1], 100)
    assert len(whole.y) == 12
    np.testing.assert_array_equal(load_utterances(toy[1], 3).x, whole.x[[0, 6, 11]])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": np.zeros(3, int)}, r"y int64\[3\]; x \[N, ...\] and integers y \[N\] wanted"),
        ({"y": np.zeros(12)}, r"y float64\[12\]"),
        ({"y": np.full(12, 5)}, "y runs from 5 to 5 for 5 labels"),
        ({"labels": LABELS[:4], "y": np.zeros(12, int)}, r"s8\[1,5\]; one of 4 labels wanted"),
        ({"labels": None}, "no array labels; a .npz with x, y, labels wanted"),
    ],
)
def test_wrong_data(toy: tuple[Path, Path], changed: dict[str, object], message: str) -> None:
    """Arrays that do not belong together are refused before anything is built."""
    model, data = toy
    with np.load(data) as arrays:
        given = {**arrays, **changed}
    np.savez(data, **{name: value for name, value in given.items() if value is not None})
    with pytest.raises(mw.BadData, match=message):
        demo(model, data, lambda *parts: None, board="host", count=2)


@pytest.mark.slow
def test_real_utterances_get_the_oracles_labels() -> None:
    """MLPerf Tiny's keyword model on real speech: demo and firmware say what TFLM says.

    Labels of 60 utterances of all classes from the demo, and every output byte from the firmware.
    """
    model, data = mlperf(INT8_MODELS["kws"]), shared("data/mlperf_kws01/mlperf_kws01.npz")
    heard = load_utterances(data, 60)
    assert len(np.unique(heard.y)) == len(heard.labels) == 12
    oracle = Tflm(model.read_bytes())
    wanted = [oracle.run([x[None]]).copy() for x in heard.x]
    found = demo(model, data, lambda *parts: None, board="nucleo-l4r5zi", count=60)
    assert found["labels"] == [heard.labels[int(np.argmax(value))] for value in wanted]
    assert found["labels_equal_reference"] is True
    assert found["bit_exact"] is True
    assert found["accuracy"] >= 0.8
    firmware = mw.build(mw.load(model), board="nucleo-l4r5zi")
    for trace, value in zip(firmware.run_many(heard.x), wanted, strict=True):
        np.testing.assert_array_equal(trace.outputs[0], value, strict=True)


@pytest.mark.slow
def test_mw_run_says_what_the_oracle_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`mw run` on 40 real utterances at once: the bytes in its JSON are TFLM's."""
    model = mlperf(INT8_MODELS["kws"])
    heard = load_utterances(shared("data/mlperf_kws01/mlperf_kws01.npz"), 40)
    np.save(tmp_path / "x.npy", heard.x)
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", str(model), "-i", str(tmp_path / "x.npy"), "--json"])
    assert ended.value.code == 0
    oracle = Tflm(model.read_bytes())
    wanted = [[oracle.run([x[None]]).tolist()] for x in heard.x]
    assert json.loads(capsys.readouterr().out)["outputs"] == wanted
