"""Streams: frames one after the other through run, check, profile and first_divergence."""

from __future__ import annotations

import re

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler import build as compiler
from milliwatt.compiler.program import Program
from milliwatt.debug.model import model_dict, model_view
from milliwatt.debug.table import as_text
from milliwatt.ir.attrs import Elementwise, Unary
from milliwatt.ir.attrs.control import Part
from milliwatt.ir.graph import Graph, Node, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType, Quant, Type

Q = Quant.per_tensor(1.0, 0)
BOARDS = ("host", "cortex-m4")


def running() -> Graph:
    """total += 3 * x; count += total; the output is count, through a part of a packet."""
    packet = graph_input((16,), DType.U8, "packet")
    x = Node(Op.PART, (packet,), Part(8, Type((1, 4), DType.S8, Q)), "x")
    total = state(np.zeros((1, 4), np.int8), "total", Q)
    count = state(np.array([[0, 1, 2, 3]], np.int8), "count", Q)
    triple = add(add(x, x, "double"), x, "triple")
    new_total = add(total, triple, "new_total")
    new_count = add(count, new_total, "new_count")
    updates = ((total, new_total), (count, new_count))
    return Graph((packet,), (new_count,), updates, name="running")


def add(a: Node, b: Node, name: str) -> Node:
    return Node(Op.ADD, (a, b), Elementwise(quant=Q), name)


def frames(count: int = 6) -> np.ndarray:
    values = np.random.default_rng(3).integers(-2, 3, (count, 16)).astype(np.int8)
    return values.view(np.uint8)


@pytest.mark.parametrize("board", BOARDS)
def test_stream_goes_on_and_run_begins_anew(board: str) -> None:
    graph = running()
    firmware = mw.build(graph, board=board)
    session = Session(graph)
    wanted = [session.run([frame])[0] for frame in frames()]
    found = [trace.outputs[0] for trace in firmware.stream(frames())]
    np.testing.assert_array_equal(np.array(found), np.array(wanted))
    assert len({value.tobytes() for value in wanted}) > 3
    fresh = [Session(graph).run([frame])[0] for frame in frames()]
    many = [trace.outputs[0] for trace in firmware.run_many(frames())]
    np.testing.assert_array_equal(np.array(many), np.array(fresh))
    np.testing.assert_array_equal(firmware.run(frames()[5]).outputs[0], fresh[5])
    assert firmware.check(frames(), stream=True)
    assert firmware.check(frames()[0])


def test_profile_of_a_stream() -> None:
    firmware = mw.build(running(), board="cortex-m4")
    report = firmware.profile(frames(), stream=True)
    assert (report.bit_exact, report.inputs, report.stream) == (True, 6, True)
    assert report.state_bytes == firmware.program.plan.state_bytes == 16
    text = str(report)
    assert "6 frames: given" in text.split("\n", maxsplit=1)[0]
    assert "(16 of it state)" in text
    assert "equal to the reference" in text
    assert firmware.profile().bit_exact


def test_no_frames_are_told() -> None:
    firmware = mw.build(running(), board="host")
    with pytest.raises(mw.BadData, match="running: no frames given; one or more wanted"):
        firmware.check(frames(0), stream=True)
    with pytest.raises(mw.BadData, match=r"sample 1: input packet: .* u8\[16\] wanted"):
        list(firmware.stream([frames()[0], np.zeros(3, np.uint8)]))


@pytest.mark.parametrize("layer", ["double", "new_total", "new_count"])
def test_first_divergence_of_a_stream(monkeypatch: pytest.MonkeyPatch, layer: str) -> None:
    """A layer left out shows in the first frame whose states or outputs it spoils."""
    built = mw.build(running(), board="host")
    symbol = next(x.symbol for x in built.image.layers if x.name == layer)
    emit = compiler.emit

    def without_call(program: Program) -> dict[str, str]:
        call = f"  {symbol}(model->arena);"
        return {k: v.replace(call, f"  (void){symbol};") for k, v in emit(program).items()}

    quiet = np.concatenate([np.zeros((2, 16), np.uint8), np.ones((3, 16), np.uint8)])
    assert built.first_divergence(quiet, stream=True) is None
    monkeypatch.setattr(compiler, "emit", without_call)
    found = built.first_divergence(quiet, stream=True)
    assert found is not None
    assert found.layer == layer
    # The count begins as 0 1 2 3 and its sum is in place: without it nothing is seen before x is 1.
    assert str(found).startswith(f"frame {found.frame}, first differing layer: {layer} (add, mw_")
    assert found.frame == (2 if layer != "double" else found.frame)


def test_a_wrong_copy_is_the_runtimes(monkeypatch: pytest.MonkeyPatch) -> None:
    x = graph_input((1, 4), DType.S8, "x", Q)
    last = state(np.zeros((1, 4), np.int8), "last", Q)
    graph = Graph((x,), (add(x, last, "y"),), ((last, x),))
    emit = compiler.emit

    def without_copy(program: Program) -> dict[str, str]:
        copy = r"memcpy\(model->arena \+ 0, (model->arena \+ \d+), 4\)"
        return {k: re.sub(copy, r"memcpy(\1, \1, 0)", v) for k, v in emit(program).items()}

    values = np.ones((3, 1, 4), np.int8)
    built = mw.build(graph, board="host")
    assert built.first_divergence(values, stream=True) is None
    monkeypatch.setattr(compiler, "emit", without_copy)
    found = built.first_divergence(values, stream=True)
    assert found is not None
    assert (found.layer, found.frame, found.wanted.tolist()) == ("(runtime)", 0, [[1, 1, 1, 1]])


def test_models_list_their_states() -> None:
    firmware = mw.build(running(), board="host")
    listed = model_dict(firmware.graph, firmware.program)
    assert [row["name"] for row in listed["states"]] == ["total", "count"]
    assert listed["state_bytes"] == 16
    text = as_text(*model_view(firmware.graph, firmware.program))
    assert [line.split()[1] for line in text.split("\n") if line.startswith("state")] == [
        "total",
        "count",
    ]
    assert "layer, 16 of it state" in text


def test_float_states_keep_their_bits() -> None:
    x = graph_input((3,), DType.F32, "x")
    held = state(np.array([0.1, -0.0, 1e-40], np.float32), "held")
    new = Node(Op.TANH, (Node(Op.ADD, (held, x), Elementwise(), "sum"),), Unary(), "new")
    firmware = mw.build(Graph((x,), (new, held), ((held, new),)), board="host")
    values = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    session = Session(firmware.graph)
    for trace, value in zip(firmware.stream(values), values, strict=True):
        for found, wanted in zip(trace.outputs, session.run([value]), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-5)
