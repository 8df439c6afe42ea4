"""TFLM's audio front ends on its own clips, then its micro_speech model: features and words.

Frames of 30 ms every 20 ms, as in its micro_speech example. The front end keeps a noise estimate
from frame to frame: a clip is one session from a fresh start.
"""

from __future__ import annotations

import functools
import wave

import numpy as np
import pytest

from milliwatt.compiler.build import build
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import machine_for
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import Session, run
from milliwatt.ir.text import print_graph
from support.oracle import Tflm
from support.shared import shared

FRAME, STEP = 480, 320
FRONT_ENDS = ("int8", "float")
WORDS = ("silence", "unknown", "yes", "no")
# The clips of one second and what micro_speech hears in them; noise is no word, so silence.
HEARD = {"yes": "yes", "no": "no", "silence": "silence", "noise": "silence"}
CLIPS = (*(f"{name}_1000ms" for name in HEARD), "yes_30ms", "no_30ms")
# TFLM's own test expects these features of its 30 ms clip "no".
NO_FEATURES = (
    *(126, 103, 124, 102, 124, 102, 123, 100, 118, 97, 118, 100, 118, 98, 121, 100, 121, 98, 117),
    *(91, 96, 74, 54, 87, 100, 87, 109, 92, 91, 80, 64, 55, 83, 74, 74, 78, 114, 95, 101, 81),
)


def model(kind: str) -> bytes:
    """The front end with int8 or float features."""
    return shared(f"models/tflm/audio_preprocessor_{kind}.tflite").read_bytes()


def frames(clip: str) -> np.ndarray:
    """The frames of a clip: s16 [count, 1, 480]."""
    with wave.open(str(shared(f"data/tflm_testdata/{clip}.wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    starts = range(0, len(samples) - FRAME + 1, STEP)
    return np.stack([samples[None, at : at + FRAME] for at in starts])


def features(graph: Graph, clip: str) -> np.ndarray:
    """The reference's features of a clip: [count, 40]."""
    session = Session(graph)
    return np.stack([session.run([frame])[0] for frame in frames(clip)])


@functools.cache
def wanted(kind: str, clip: str) -> np.ndarray:
    """TFLM's features of a clip."""
    oracle = Tflm(model(kind))
    return np.stack([oracle.run([frame]) for frame in frames(clip)])


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_reference_equals_tflite_micro(kind: str, clip: str) -> None:
    """0 differing values, of the float front end as well."""
    np.testing.assert_array_equal(features(read_tflite(model(kind)), clip), wanted(kind, clip))


def test_features_are_those_that_tflm_expects() -> None:
    found = features(read_tflite(model("int8")), "no_30ms")
    assert found[0].tolist() == list(NO_FEATURES)


@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_written_file_equals_tflite_micro(kind: str) -> None:
    """What we write is the same graph, and the same values in TFLM."""
    graph = read_tflite(model(kind))
    again = write_tflite(graph)
    assert print_graph(read_tflite(again, name=graph.name)) == print_graph(graph)
    oracle = Tflm(again)
    found = np.stack([oracle.run([frame]) for frame in frames("yes_1000ms")])
    np.testing.assert_array_equal(found, wanted(kind, "yes_1000ms"))


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
@pytest.mark.parametrize("kind", FRONT_ENDS)
def test_firmware_equals_tflite_micro(kind: str, board: str) -> None:
    """C on the host and on an emulated Cortex-M4, states included, over whole clips."""
    target = find_board(board)
    firmware = build(read_tflite(model(kind)), target)
    machine = machine_for(target)
    clips = CLIPS if board == "host" else ("yes_1000ms",)
    for clip in clips:
        session = machine.load(firmware, count=False)
        found = np.stack([session.run([frame]).outputs[0] for frame in frames(clip)])
        np.testing.assert_array_equal(found, wanted(kind, clip), clip)


@pytest.mark.parametrize("clip", HEARD)
def test_front_end_and_model_hear_the_word(clip: str) -> None:
    """Waveform to word, both models ours; the scores equal those of TFLM's two models."""
    path = shared("models/tflm/micro_speech_quantized.tflite")
    found = features(read_tflite(model("int8")), f"{clip}_1000ms")
    assert found.shape == (49, 40)
    scores = run(read_tflite(path), [found.reshape(1, -1)])[0]
    assert WORDS[int(scores.argmax())] == HEARD[clip]
    judged = wanted("int8", f"{clip}_1000ms").reshape(1, -1)
    np.testing.assert_array_equal(scores, Tflm(path.read_bytes()).run([judged]))
