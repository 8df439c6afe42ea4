"""The streaming models of the `pymicro-wakeword` wheel on real speech: TFLM's bytes, word by word.

Features by the `pymicro-features` wheel (TFLM's audio front end), clips from the picovoice wake
word benchmark; every clip after a second of near-silence, as a device would hear it.
"""

from __future__ import annotations

import functools
import importlib.resources
import io
import zipfile

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import Session
from support.oracle import Tflm
from support.shared import shared

MODELS = ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
CLIPS = ("alexa", "jarvis", "computer", "snowboy")
PER_WORD = 2
RATE, STEP = 16_000, 160
FRAMES = 3
"""Feature frames of 10 ms that a model takes at a time."""


def model_bytes(name: str) -> bytes:
    """A model of the wheel; skips where it is not installed."""
    pytest.importorskip("pymicro_wakeword", reason="pip install pymicro-wakeword: the models")
    folder = importlib.resources.files("pymicro_wakeword") / "models"
    return (folder / f"{name}.tflite").read_bytes()


@functools.cache
def speech(word: str) -> np.ndarray:
    """s16 [samples]: test clips of `word`, a second of faint noise before each."""
    soundfile = pytest.importorskip("soundfile", reason="pip install soundfile: the clips are FLAC")
    archive = zipfile.ZipFile(shared("data/wakeword_picovoice/wakeword_picovoice.zip"))
    names = [n for n in archive.namelist() if n.startswith(f"test/{word}/")][:PER_WORD]
    rng = np.random.default_rng(0)
    parts = []
    for name in names:
        clip, rate = soundfile.read(io.BytesIO(archive.read(name)), dtype="int16")
        assert rate == RATE
        parts += [rng.integers(-3, 4, RATE).astype(np.int16), clip]
    return np.concatenate(parts)


@functools.cache
def features(word: str) -> np.ndarray:
    """f32 [steps, 1, 3, 40]: what the models take, one step every 30 ms."""
    package = pytest.importorskip("pymicro_features", reason="pip install pymicro-features")
    front_end, rows = package.MicroFrontend(), []
    data = speech(word).tobytes()
    for at in range(0, len(data) - 2 * STEP + 1, 2 * STEP):
        found = front_end.process_samples(data[at : at + 2 * STEP])
        if found.features:
            rows.append(found.features)
    steps = len(rows) // FRAMES
    return np.array(rows[: steps * FRAMES], np.float32).reshape(steps, 1, FRAMES, 40)


def quantized(word: str, graph: mw.Graph) -> np.ndarray:
    """s8: the features in the model's own numbers."""
    kind = graph.inputs[0].type
    steps = np.round(features(word) / kind.scale) + kind.zero_point
    return np.clip(steps, -128, 127).astype(np.int8)


@pytest.mark.parametrize("name", MODELS)
def test_reference_and_host_c_equal_tflm(name: str) -> None:
    """Every output over all clips: TFLM's interpreter, the reference, C on the host."""
    data = model_bytes(name)
    graph = mw.load(data)
    firmware = mw.build(graph, board="host")
    watched = Graph(graph.inputs, (*graph.outputs, graph.updates[-1][1]), graph.updates)
    kept = set()
    for word in CLIPS:
        frames = quantized(word, graph)
        oracle, session = Tflm(data), Session(watched)
        wanted = np.array([oracle.run([frame]).copy() for frame in frames])
        results = [session.run([frame]) for frame in frames]
        assert np.array_equal([out for out, _ in results], wanted), word
        traces = firmware.stream(frames)
        assert np.array_equal([trace.outputs[0] for trace in traces], wanted), word
        kept.update(state.tobytes() for _, state in results)
    assert len(kept) > 100, "the deepest state hardly moved: nothing was compared"


def test_alexa_is_heard_on_the_core() -> None:
    """On the emulated Cortex-M4, too; the word itself is found, the others are not."""
    graph = mw.load(model_bytes("alexa"))
    firmware = mw.build(graph, board="cortex-m4")
    best = {}
    for word in ("alexa", "snowboy"):
        frames = quantized(word, graph)
        session = Session(graph)
        traces = list(firmware.stream(frames))
        outputs = np.array([trace.outputs[0] for trace in traces])
        assert np.array_equal(outputs, [session.run([frame])[0] for frame in frames])
        # The model's own rule: a mean of five steps above the cut-off of 0.9.
        means = np.convolve(outputs.reshape(-1) / 256, np.ones(5) / 5, "valid")
        best[word] = means.max()
    assert best["alexa"] > 0.9
    assert best["snowboy"] < 0.5
