"""`mw stream`: the table, the file it writes, its JSON, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.debug.files import write_graph
from milliwatt.debug.streaming import stream_report
from milliwatt.ir.attrs import RELU, Conv2d, FullyConnected, Reshape, Unary
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant
from support.command import Run

QUANT = Quant.per_tensor(0.05, 3)


def network(*, padding: tuple[int, int] = (0, 0), sequence: bool = False) -> Graph:
    """A convolution over time on [1, 12, 1, 4], then a classifier or a tanh."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 12, 1, 4), DType.S8, "frames", QUANT)
    kernel = rng.integers(-127, 128, (5, 3, 1, 4)).astype(np.int8)
    weight = constant(kernel, "conv.weight", Quant.per_tensor(0.02))
    attrs = Conv2d((1, 1), (*padding, 0, 0), (1, 1), RELU, Quant.per_tensor(0.1, -128))
    conv = Node(Op.CONV2D, (x, weight), attrs, "conv")
    if sequence:
        return Graph((x,), (Node(Op.TANH, (conv,), Unary(), "tanh"),), name="sequence")
    flat = Node(Op.RESHAPE, (conv,), Reshape((1, conv.type.size)), "flat")
    values = rng.integers(-127, 128, (3, flat.type.size)).astype(np.int8)
    dense = constant(values, "dense.weight", Quant.per_tensor(0.02))
    out = Node(Op.FULLY_CONNECTED, (flat, dense), FullyConnected(quant=QUANT), "dense")
    return Graph((x,), (out,), name="window")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The classifier as a file."""
    write_graph(network(), tmp_path / "window.mwg")
    return tmp_path / "window.mwg"


def test_table_and_file(run: Run, model: Path, tmp_path: Path) -> None:
    output = tmp_path / "stream.tflite"
    done = run("stream", model, "--output", output, "--board", "cortex-m4")
    assert done.code == 0
    assert "whole window: 12 frames a run" in done.out
    assert "stream: 1 frame a run" in done.out
    assert "fewer cycles a run" in done.out
    assert "equal" in done.out
    assert done.err == f"mw: wrote {output}\n"
    streaming = mw.load(output)
    assert streaming.inputs[0].type.shape == (1, 1, 1, 4)
    assert len(streaming.updates) == 2


def test_json(run: Run, model: Path) -> None:
    done = run("stream", model, "--frames", "3", "--board", "cortex-m4", "--json")
    found = json.loads(done.out)
    assert (found["window_frames"], found["new_frames"], found["different"]) == (12, 3, 0)
    assert found["saved"] == found["window"]["cycles"] / found["stream"]["cycles"] > 1
    assert found["output"] == ""


def test_the_host_counts_no_cycles(run: Run, model: Path) -> None:
    done = run("stream", model, "--board", "host")
    assert done.code == 0
    assert "saved" not in done.out
    assert "equal" in done.out


def test_refusals(run: Run, model: Path, tmp_path: Path) -> None:
    padded = tmp_path / "padded.mwg"
    write_graph(network(padding=(1, 1)), padded)
    done = run("stream", padded)
    assert done.code == 1
    assert done.err.startswith("mw: error: flat (reshape): looks ahead")
    assert "padded along time: conv;" in done.err
    assert run("stream", model, "--frames", "12").code == 1
    assert run("stream", model, "--frames", "0").code == 2
    assert run("stream", model, "--output", tmp_path / "x.onnx").code == 2
    assert "one number of frames wanted" in run("stream", model, "--axis", "9").err


def test_a_causal_sequence_is_compared_as_one() -> None:
    """Results along time: every run gives the next positions of the sequence's."""
    graph = network(padding=(2, 0), sequence=True)
    report = stream_report(graph, mw.stream(graph, frames=2), mw.board("host"))
    assert (report.runs, report.different) == (6, 0)


def test_a_wrong_stream_is_noticed() -> None:
    """The comparison can fail: the streaming graph of another network."""
    other = mw.stream(network(padding=(2, 0), sequence=True))
    weight = next(n for n in other.nodes() if n.name == "conv.weight")
    changed = constant(-weight.value, "conv.weight", weight.type.quant)
    wrong = other.rewrite(lambda node: changed if node.name == "conv.weight" else None)
    graph = network(padding=(2, 0), sequence=True)
    assert stream_report(graph, wrong, mw.board("host")).different > 0
