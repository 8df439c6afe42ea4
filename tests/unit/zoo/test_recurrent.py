"""Recurrent layers against PyTorch's and against their papers' formulas; what carries on."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.reference import Session, run
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from milliwatt.zoo import recurrent
from milliwatt.zoo.recurrent import Recurrent
from support.ladder import started

INPUTS, UNITS, STEPS = 5, 7, 6


def sequence(batch: int = 1, steps: int = STEPS) -> Node:
    return graph_input((batch, steps, INPUTS), DType.F32, "x")


def graph_of(x: Node, layer: Recurrent) -> Graph:
    """The layer's sequence and last states."""
    return verify(Graph((x,), (layer.y, *layer.last), layer.updates, name="layer"))


def values(batch: int = 1, steps: int = STEPS) -> np.ndarray:
    rng = np.random.default_rng([batch, steps])
    return rng.standard_normal((batch, steps, INPUTS)).astype(np.float32)


def drawn(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(shape).astype(np.float32) / 2 for shape in shapes]


def logistic(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("kind", ["GRU", "LSTM", "RNN", "RNN-relu"])
def test_layers_equal_pytorch(kind: str, batch: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    options = {"nonlinearity": "relu"} if kind == "RNN-relu" else {}
    module = getattr(torch.nn, kind[:4].strip("-"))(INPUTS, UNITS, batch_first=True, **options)
    w, u, b, c = (p.detach().numpy() for p in module.parameters())
    x = sequence(batch)
    if kind == "GRU":
        layer = recurrent.gru(x, w, u, b, c)
    elif kind == "LSTM":
        layer = recurrent.lstm(x, w, u, b + c)
    else:
        layer = recurrent.rnn(x, w, u, b + c, relu=kind == "RNN-relu")
    given = values(batch)
    with torch.no_grad():
        y, last = module(torch.from_numpy(given))
    lasts = [last] if kind != "LSTM" else list(last)
    found = run(graph_of(x, layer), [given])
    np.testing.assert_allclose(found[0], y.numpy(), atol=1e-5)
    for ours, theirs in zip(found[1:], lasts, strict=True):
        np.testing.assert_allclose(ours[:, 0], theirs[0].numpy(), atol=1e-5)


def gru_steps(x: np.ndarray, arrays: list[np.ndarray], *, reset_after: bool) -> np.ndarray:
    """Keras' GRU: gates z, r, h; kernels [I,3H], its formula step by step."""
    kernel, back, bias, back_bias = arrays
    h, made = np.zeros((len(x), UNITS)), []
    for t in range(x.shape[1]):
        given = x[:, t] @ kernel + bias
        parts = np.split(given, 3, axis=1)
        inner = np.split(h @ back + back_bias, 3, axis=1)
        z, r = logistic(parts[0] + inner[0]), logistic(parts[1] + inner[1])
        if reset_after:
            fresh = np.tanh(parts[2] + r * inner[2])
        else:
            fresh = np.tanh(parts[2] + (r * h) @ back[:, 2 * UNITS :] + back_bias[2 * UNITS :])
        h = z * h + (1 - z) * fresh
        made.append(h)
    return np.stack(made, 1)


@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_in_keras_order(reset_after: bool) -> None:
    wide = 3 * UNITS
    arrays = drawn((INPUTS, wide), (UNITS, wide), (wide,), (wide,))
    x = sequence(2)
    kernel, back, bias, back_bias = arrays
    layer = recurrent.gru(
        x, kernel.T, back.T, bias, back_bias, order="zrn", reset_after=reset_after, carry=False
    )
    found = run(graph_of(x, layer), [values(2)])[0]
    wanted = gru_steps(values(2), arrays, reset_after=reset_after)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.parametrize("rank", [None, 3])
def test_fastgrnn_is_the_paper_s(rank: int | None) -> None:
    if rank is None:
        w, u, b_z, b_h = drawn((UNITS, INPUTS), (UNITS, UNITS), (UNITS,), (UNITS,))
        weight, back = w, u
    else:
        w1, w2, u1, u2, b_z, b_h = drawn(
            (UNITS, rank), (INPUTS, rank), (UNITS, rank), (UNITS, rank), (UNITS,), (UNITS,)
        )
        weight, back, w, u = (w1, w2), (u1, u2), w1 @ w2.T, u1 @ u2.T
    x = sequence(2)
    layer = recurrent.fastgrnn(x, weight, back, b_z, b_h, zeta=0.9, nu=0.05)
    h, wanted, given = np.zeros((2, UNITS)), [], values(2)
    for t in range(STEPS):
        total = given[:, t] @ w.T + h @ u.T
        z = logistic(total + b_z)
        h = (0.9 * (1 - z) + 0.05) * np.tanh(total + b_h) + z * h
        wanted.append(h)
    np.testing.assert_allclose(run(graph_of(x, layer), [given])[0], np.stack(wanted, 1), atol=1e-5)


def built(x: Node, name: str, *, carry: bool) -> Recurrent:
    """Any of the layers, drawn weights."""
    w, u, b, c = drawn((4 * UNITS, INPUTS), (4 * UNITS, UNITS), (4 * UNITS,), (4 * UNITS,))
    gates = {"gru": 3, "lstm": 4}.get(name, 1) * UNITS
    w, u, b, c = w[:gates], u[:gates], b[:gates], c[:gates]
    if name == "gru":
        return recurrent.gru(x, w, u, b, c, carry=carry)
    if name == "fastgrnn":
        return recurrent.fastgrnn(x, w, u, b, c, carry=carry)
    return getattr(recurrent, name)(x, w, u, b, carry=carry)


NAMES = ("gru", "lstm", "rnn", "fastgrnn")


@pytest.mark.parametrize("name", NAMES)
def test_states_carry_on_or_start_again(name: str) -> None:
    """Two runs of three steps are one of six where the state carries on, else twice the same."""
    given = values()
    whole, half = sequence(), sequence(steps=3)
    (wanted, *_) = run(graph_of(whole, built(whole, name, carry=True)), [given])
    session = Session(graph_of(half, built(half, name, carry=True)))
    found = [session.run([given[:, at : at + 3]])[0] for at in (0, 3)]
    np.testing.assert_array_equal(np.concatenate(found, 1), wanted)
    fresh = Session(graph_of(half, built(half, name, carry=False)))
    for _ in range(2):
        np.testing.assert_array_equal(fresh.run([given[:, :3]])[0], wanted[:, :3])


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
@pytest.mark.parametrize("name", NAMES)
def test_c_equals_the_reference(name: str, board: str) -> None:
    x = sequence(steps=3)
    graph = graph_of(x, built(x, name, carry=True))
    machine, session = started(graph, board), Session(graph)
    for at in (0, 3):
        given = [values()[:, at : at + 3]]
        for wanted, found in zip(session.run(given), machine.run(given).outputs, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_arrays_that_do_not_fit_are_named() -> None:
    x = sequence()
    w, u, b, c = drawn((21, INPUTS), (21, UNITS), (21,), (20,))
    with pytest.raises(InvalidGraph, match=r"gru: weight is \[21, 4\]; \[21, 5\] wanted"):
        recurrent.gru(x, w[:, :4], u)
    with pytest.raises(InvalidGraph, match=r"gru: recurrent bias is \[20\]; \[21\] wanted"):
        recurrent.gru(x, w, u, b, c)
    with pytest.raises(InvalidGraph, match=r"gates are 'rzz'; an order of 'rzn' wanted"):
        recurrent.gru(x, w, u, order="rzz")
    with pytest.raises(InvalidGraph, match=r"lstm: weight is \[21, 5\]; \[20, 5\] wanted"):
        recurrent.lstm(x, w, u)
    with pytest.raises(InvalidGraph, match=r"rnn: recurrent weight is \[21\]; \[1 \* H, H\] want"):
        recurrent.rnn(x, w, b)
    flat = graph_input((1, INPUTS), DType.F32, "x")
    with pytest.raises(InvalidGraph, match=r"gru: input is f32\[1,5\]; f32 of 3 axes"):
        recurrent.gru(flat, w, u)
    low = (u[:7, :3], u[:7, :2])
    with pytest.raises(InvalidGraph, match="second factor of the recurrent weight is"):
        recurrent.fastgrnn(x, w[:7], low, b[:7], b[:7])
