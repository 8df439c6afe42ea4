"""MLPerf Tiny's streaming wake word model over its recording: new frames give what windows give."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.debug.streaming import stream_report
from milliwatt.ir.batch import run_samples
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.reference import Session
from support.shared import mlperf
from support.wakeword_audio import FRAME, HOP, RATE, features, recording, spoken

WINDOW = 30
LEAST_SAVED = 5.0
"""How many times fewer cycles a new frame must take than the whole window."""


@functools.cache
def model() -> Graph:
    return mw.load(mlperf("str_ww_ref_model.tflite"))


@functools.cache
def frames() -> np.ndarray:
    """s8 [311, 1, 1, 1, 40]: the ten seconds, one input of the streaming model each."""
    kind = model().inputs[0].type
    found = quantize_array(features(recording()), kind)
    return found[:, None, None, None, :]


@functools.cache
def window_results() -> np.ndarray:
    """s8 [311, 3]: the window model on the 30 frames up to each; real zeros before the first."""
    kind = model().inputs[0].type
    silence = np.full((WINDOW - 1, 1, 40), kind.zero_point, np.int8)
    padded = np.concatenate([silence, frames()[:, 0, 0]])
    windows = np.stack([padded[at : at + WINDOW] for at in range(len(frames()))])
    return run_samples(model(), [windows])[0]


def test_identical_over_the_recording() -> None:
    """All results of ten seconds, bit for bit; every "marvin" is heard, nothing else is."""
    session = Session(mw.stream(model()))
    results = np.concatenate([session.run([frame])[0] for frame in frames()])
    assert len(results) == 311
    assert np.array_equal(results, window_results())
    ends = (np.arange(len(results)) * HOP + FRAME) / RATE
    heard = ends[results[:, 0] >= 115]  # 0.95 and more, the benchmark's threshold
    assert all(any(a <= at <= b + 1 for at in heard) for a, b in spoken()[:1])
    assert all(any(a <= at <= b + 1 for a, b in spoken()) for at in heard)


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_firmware_gives_the_same(board: str) -> None:
    """The C of the streaming graph, run frame after frame over the recording."""
    firmware = mw.build(mw.stream(model()), board=board)
    traces = list(firmware.stream(frames()))
    assert np.array_equal(np.concatenate([t.outputs[0] for t in traces]), window_results())


def test_cycles_saved() -> None:
    report = stream_report(model(), mw.stream(model()), mw.board("nucleo-l4r5zi"))
    assert report.different == 0
    assert report.runs > 10
    assert report.saved is not None
    assert report.saved >= LEAST_SAVED
    assert report.stream.arena_bytes < report.window.arena_bytes
