"""MLPerf Tiny's wake word recording, frame by frame: a stream gives what windows give.

The benchmark's own convolutional model, and a GRU over the same features.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.debug.streaming import stream_report
from milliwatt.ir.attrs import FullyConnected
from milliwatt.ir.batch import run_samples
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType
from milliwatt.zoo.recurrent import gru
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
    """All results of ten seconds, bit for bit.

    Nothing but "marvin" is heard; the model itself stays below its threshold at the third one.
    """
    session = Session(mw.stream(model()))
    results = np.concatenate([session.run([frame])[0] for frame in frames()])
    assert len(results) == 311
    assert np.array_equal(results, window_results())
    ends = (np.arange(len(results)) * HOP + FRAME) / RATE
    heard = ends[results[:, 0] >= 115]  # 0.95 and more, the benchmark's threshold
    assert all(any(a <= at <= b + 1 for at in heard) for a, b in spoken()[:2])
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


STEPS, UNITS = 31, 32
"""Frames of one run of the GRU's window graph, 10 of which are the recording; hidden units."""


def gru_network() -> Graph:
    """A GRU that carries its state on, and a dense layer, over [1, 31, 40]."""
    rng = np.random.default_rng(0)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(0, 0.3, shape).astype(np.float32)

    x = graph_input((1, STEPS, 40), DType.F32, "frames")
    gates = 3 * UNITS
    layer = gru(x, draw(gates, 40), draw(gates, UNITS), draw(gates), draw(gates))
    weight = constant(draw(3, UNITS), "dense.weight")
    y = Node(Op.FULLY_CONNECTED, (layer.y, weight), FullyConnected(), "dense")
    return Graph((x,), (y,), layer.updates, name="gru")


def run_in_steps(graph: Graph, values: np.ndarray) -> np.ndarray:
    """Results along time of values [1, frames, 40], as many a run as the graph takes."""
    session, step = Session(graph), graph.inputs[0].type.shape[1]
    starts = range(0, values.shape[1], step)
    return np.concatenate([session.run([values[:, at : at + step]])[0] for at in starts], axis=1)


@pytest.mark.parametrize("activations", [None, "int8", "int16"])
def test_a_gru_over_the_recording(activations: str | None) -> None:
    """A frame at a time gives the bits of 31 at a time, in float, 8 and 16 bits, in C as well."""
    graph = gru_network()
    values = features(recording())[: 10 * STEPS].astype(np.float32)[None]
    if activations:
        graph = mw.quantize(graph, values.reshape(1, 10, STEPS, 40), activations=activations)
        values = quantize_array(values, graph.inputs[0].type)
    streaming = mw.stream(graph)
    assert streaming.inputs[0].type.shape == (1, 1, 40)
    results = run_in_steps(streaming, values)
    assert results.shape == (1, 10 * STEPS, 3)
    assert np.array_equal(results, run_in_steps(graph, values))
    if activations:  # cores round floats each in their own way
        frames = values[0, :40, None, None]
        assert mw.build(streaming, board="cortex-m4").check(frames, stream=True)
    report = stream_report(graph, streaming, mw.board("nucleo-l4r5zi"))
    assert report.different == 0
    assert report.saved is not None
    assert report.saved >= LEAST_SAVED
