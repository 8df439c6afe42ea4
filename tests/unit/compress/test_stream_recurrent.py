"""Recurrent layers whose state carries on stream frame by frame; others say what to change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milliwatt.compress.stream import stream
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, Elementwise, FullyConnected, Reshape
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from milliwatt.zoo.recurrent import Recurrent, fastgrnn, gru, lstm
from support.ladder import started
from support.ops.recurrent import draw_lstm

BANDS, UNITS, FRAMES = 5, 6, 30


def drawn(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(shape).astype(np.float32) / 2 for shape in shapes]


def layer(x: Node, kind: str, *, carry: bool = True) -> Recurrent:
    """A layer of UNITS over x, drawn weights."""
    inputs = x.type.shape[2]
    gates = {"gru": 3, "lstm": 4, "fastgrnn": 1}[kind] * UNITS
    w, u, b, c = drawn((gates, inputs), (gates, UNITS), (gates,), (gates,))
    if kind == "gru":
        return gru(x, w, u, b, c, carry=carry)
    return fastgrnn(x, w, u, b, c, carry=carry) if kind == "fastgrnn" else lstm(x, w, u, b)


def network(kind: str, frames: int = FRAMES, *, carry: bool = True) -> Graph:
    """A layer and a linear one behind it."""
    x = graph_input((1, frames, BANDS), DType.F32, "frames")
    made = layer(x, kind, carry=carry)
    weight, bias = drawn((3, UNITS), (3,))
    src = (made.y, constant(weight, "weight"), constant(bias, "bias"))
    y = Node(Op.FULLY_CONNECTED, src, FullyConnected(), "head")
    return verify(Graph((x,), (y,), made.updates, name="network"))


def chunks(count: int, size: int) -> np.ndarray:
    rng = np.random.default_rng(5)
    return rng.standard_normal((count, 1, size, BANDS)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("kind", ["gru", "lstm", "fastgrnn"])
def test_frame_by_frame_is_chunk_by_chunk(kind: str, frames: int) -> None:
    """Three chunks of 30 frames, the state carrying on: not one bit differs."""
    graph = network(kind)
    small = stream(graph, frames=frames)
    assert small.inputs[0].type.shape == (1, frames, BANDS)
    assert [node.attrs.steps for node in small.nodes() if node.op is Op.SCAN] == [frames]
    session, streamed, given = Session(graph), Session(small), chunks(3, FRAMES)
    wanted = np.concatenate([session.run([chunk])[0] for chunk in given], axis=1)
    split = np.concatenate(list(given), axis=1)
    found = [streamed.run([split[:, at : at + frames]])[0] for at in range(0, 3 * FRAMES, frames)]
    assert np.concatenate(found, axis=1).tobytes() == wanted.tobytes()


def test_the_stream_in_c() -> None:
    graph = network("gru", 10)
    machine, session = started(stream(graph), "host"), Session(graph)
    for chunk in chunks(2, 10):
        (wanted,) = session.run([chunk])
        found = [machine.run([chunk[:, t : t + 1]]).outputs[0] for t in range(10)]
        np.testing.assert_allclose(np.concatenate(found, 1), wanted, atol=1e-5)


def test_causal_layers_before_it() -> None:
    """A convolution padded before the first frame keeps its ring buffer, the GRU its state."""
    x = graph_input((1, 12, BANDS, 1), DType.F32, "frames")
    (weight,) = drawn((4, 3, BANDS, 1))
    conv = Conv2d(padding=(2, 0, 0, 0))
    features = Node(Op.CONV2D, (x, constant(weight, "w")), conv, "conv")
    flat = Node(Op.RESHAPE, (features,), Reshape((1, 12, 4)), "flat")
    made = layer(flat, "gru")
    graph = verify(Graph((x,), (made.y,), made.updates))
    rng = np.random.default_rng(6)
    given = rng.standard_normal((1, 12, BANDS, 1)).astype(np.float32)
    (wanted,) = Session(graph).run([given])
    streamed = Session(stream(graph))
    found = [streamed.run([given[:, t : t + 1]])[0] for t in range(12)]
    np.testing.assert_allclose(np.concatenate(found, 1), wanted, atol=1e-6)
    unpadded = Node(Op.CONV2D, (x, constant(weight, "w")), Conv2d(), "conv")
    shorter = Node(Op.RESHAPE, (unpadded,), Reshape((1, 10, 4)), "flat")
    made = layer(shorter, "gru")
    with pytest.raises(UnsupportedOp, match=r"gru.scan \(scan\): flat has no whole window in the"):
        stream(verify(Graph((x,), (made.y,), made.updates)))


def test_the_last_step_of_a_window() -> None:
    """A classifier of the last step gives a result after every frame; the 12th is the window's."""
    x = graph_input((1, 12, BANDS), DType.F32, "frames")
    made = layer(x, "gru")
    cut = StridedSlice((0, 11, 0), (1, 1, UNITS), (1, 1, 1))
    y = Node(Op.STRIDED_SLICE, (made.y,), cut, "newest")
    graph = verify(Graph((x,), (y, *made.last), made.updates))
    given = chunks(1, 12)[0]
    wanted = Session(graph).run([given])
    streamed = Session(stream(graph))
    found = [streamed.run([given[:, t : t + 1]]) for t in range(12)][-1]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("dtype", [DType.F32, DType.S8, DType.S16])
def test_lstm_operators(dtype: DType) -> None:
    """TFLite's LSTM, either order of axes, bit for bit in integers."""
    met = set()
    for seed in range(60):
        graph = draw_lstm(np.random.default_rng(seed), dtype)
        major = next(n.attrs.time_major for n in graph.nodes() if n.op is Op.LSTM)
        axis = 0 if major else 1
        steps = graph.inputs[0].type.shape[axis]
        if steps == 1:
            continue
        met.add(major)
        streamed, session = Session(stream(graph, axis=axis)), Session(graph)
        kind, rng = graph.inputs[0].type, np.random.default_rng(seed)
        for _ in range(2):
            values = rng.standard_normal(kind.shape) * (1 if dtype.is_float else 50)
            chunk = values.astype(dtype.numpy)
            (wanted,) = session.run([chunk])
            cuts = np.split(chunk, steps, axis=axis)
            found = np.concatenate([streamed.run([cut])[0] for cut in cuts], axis=axis)
            np.testing.assert_array_equal(found, wanted)
    assert met == {True, False}


def test_what_starts_anew_in_every_window_is_refused() -> None:
    message = (
        r"gru.scan \(scan\): starts every window from gru.start0 \(constant\).*"
        "let its state carry on from run to run"
    )
    with pytest.raises(UnsupportedOp, match=message):
        stream(network("gru", carry=False))


def test_a_state_that_something_else_updates_is_refused() -> None:
    graph = network("gru")
    ((held, last),) = graph.updates
    twice = Node(Op.ADD, (last, last), Elementwise(), "twice")
    odd = verify(replace(graph, updates=((held, twice),)))
    with pytest.raises(UnsupportedOp, match=r"gru.scan \(scan\): gru.start0 holds twice after a"):
        stream(odd)
