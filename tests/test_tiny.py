"""Start here: ten checks, one small net from end to end, in a few seconds.

The net is made by hand from nodes, quantized on random samples, compiled to C, run on the host and
on two emulated cores, and compared byte by byte with the NumPy reference. Run it alone:

    pytest tests/test_tiny.py
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.ir.attrs import RELU, Conv2d, FullyConnected, Pool2d, Reshape, Softmax
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify

SAMPLES = np.random.default_rng(1).random((32, 8, 8, 1), np.float32)


@functools.cache
def float_net() -> Graph:
    """conv 3x3 -> depthwise 3x3 -> max pool -> fully connected -> softmax on an 8 x 8 image."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> Node:
        return constant((rng.standard_normal(shape) / 3).astype(np.float32), name)

    same = (1, 1, 1, 1)
    x = graph_input((1, 8, 8, 1), DType.F32, "image")
    conv = Conv2d(padding=same, clamp=RELU)
    y = Node(Op.CONV2D, (x, weight("w1", 4, 3, 3, 1), weight("b1", 4)), conv, "conv")
    y = Node(Op.DEPTHWISE_CONV2D, (y, weight("w2", 1, 3, 3, 4), weight("b2", 4)), conv, "depthwise")
    y = Node(Op.MAX_POOL2D, (y,), Pool2d((2, 2), (2, 2)), "pool")
    y = Node(Op.RESHAPE, (y,), Reshape((1, 64)), "flat")
    y = Node(Op.FULLY_CONNECTED, (y, weight("w3", 3, 64), weight("b3", 3)), FullyConnected(), "fc")
    return Graph((x,), (Node(Op.SOFTMAX, (y,), Softmax(), "label"),), name="tiny")


@functools.cache
def int8_net() -> Graph:
    """The same net after post-training quantization."""
    return mw.quantize(float_net(), SAMPLES)


@functools.cache
def firmware(board: str) -> mw.Firmware:
    """The quantized net compiled for a board."""
    return mw.build(int8_net(), board=board)


def test_1_a_graph_is_text_and_back() -> None:
    """What a graph prints as, parses to the same graph."""
    text = print_graph(float_net())
    assert text.startswith("graph tiny\n  image = input()")
    assert print_graph(verify(parse_graph(text))) == text


def test_2_types_are_inferred() -> None:
    """Shapes follow from operands and attributes; a misfit is refused by name."""
    assert {n.name: n.type.short for n in float_net().nodes()}["pool"] == "f32[1,4,4,4]"
    with pytest.raises(mw.InvalidGraph, match=r"^big \(max_pool2d\): kernel \[9, 9\] is larger"):
        Node(Op.MAX_POOL2D, float_net().inputs, Pool2d((9, 9), (1, 1)), "big")


def test_3_quantized_is_near_float() -> None:
    """Int8 weights and activations cost a few hundredths of probability."""
    graph = int8_net()
    assert graph.inputs[0].type.dtype is DType.S8
    kind = graph.outputs[0].type
    for sample in SAMPLES[:8]:
        wanted = run(float_net(), [sample[None]])[0]
        scale, zero = graph.inputs[0].type.scale, graph.inputs[0].type.zero_point
        steps = np.clip(np.round(sample[None] / scale) + zero, -128, 127).astype(np.int8)
        real = kind.scale * (run(graph, [steps])[0].astype(np.float32) - kind.zero_point)
        assert np.abs(real - wanted).max() < 0.05


@pytest.mark.parametrize("board", ["host", "cortex-m4", "rv32imc"])
def test_4_firmware_equals_the_reference(board: str) -> None:
    """C on the host and on two emulated cores gives the reference's bytes."""
    assert all(firmware(board).check(sample) for sample in SAMPLES[:4])


def test_5_a_profile_adds_up() -> None:
    """Layer cycles sum to the total; flash is code and weights; the numbers are above zero."""
    report = firmware("cortex-m4").profile(SAMPLES[0])
    assert report.bit_exact
    assert sum(layer.cycles for layer in report.layers) == report.cycles
    assert report.flash_bytes == report.code_bytes + report.weight_bytes
    assert [layer.op for layer in report.layers][:2] == ["conv2d", "depthwise_conv2d"]
    # 8 x 8 pixels x 9 taps x 3 channels, twice, and 48 x 3: the fourth channel is constant.
    assert sum(layer.macs for layer in report.layers) == 2 * 64 * 9 * 3 + 48 * 3
    assert report.stack_bytes is not None
    assert 0 < report.stack_bytes < 2048


def test_6_a_board_gives_time_and_energy() -> None:
    """Milliseconds follow from the clock, microjoules from the board's measured power."""
    board = mw.board("nucleo-l4r5zi")
    trace = firmware("nucleo-l4r5zi").run(SAMPLES[0])
    assert trace.cycles is not None
    assert trace.latency_ms == pytest.approx(trace.cycles / board.clock_hz * 1e3)
    assert board.active_power_mw is not None
    assert trace.energy_uj == pytest.approx(trace.latency_ms * board.active_power_mw)


def test_7_the_folder_is_plain_c(tmp_path: Path) -> None:
    """`save` writes a header with three calls and the exact arena size, and all sources."""
    built = firmware("cortex-m4")
    built.save(tmp_path / "out")
    header = (tmp_path / "out" / "mw_model.h").read_text(encoding="utf-8")
    assert f"#define MW_MODEL_ARENA_BYTES {built.arena_bytes}\n" in header
    assert header.count("mw_model_") >= 3
    model = (tmp_path / "out" / "mw_model.c").read_text(encoding="utf-8")
    assert "mw_fully_connected_s8_dsp(" in model
    assert (tmp_path / "out" / "fully_connected_s8_dsp.c").exists()


def test_8_a_tflite_file_reads_back() -> None:
    """The same net as .tflite bytes means the same."""
    pytest.importorskip("flatbuffers", reason="the test writes a .tflite file")
    from milliwatt.formats.tflite_writer import write_tflite

    graph = mw.load(write_tflite(int8_net()))
    x = np.random.default_rng(2).integers(-128, 128, (1, 8, 8, 1)).astype(np.int8)
    np.testing.assert_array_equal(run(graph, [x])[0], run(int8_net(), [x])[0])


def test_9_a_torch_module_reads_in() -> None:
    """A module becomes a channels-last graph with the module's outputs."""
    torch = pytest.importorskip("torch", reason="torch is an extra: pip install 'milliwatt[torch]'")
    torch.manual_seed(0)
    nn = torch.nn
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)).eval()
    x = torch.from_numpy(SAMPLES[:1]).permute(0, 3, 1, 2)
    graph = mw.load(net, example=x)
    assert graph.inputs[0].type.short == "f32[1,8,8,1]"
    wanted = net(x).detach().numpy()
    np.testing.assert_allclose(run(graph, [SAMPLES[:1]])[0], wanted, atol=1e-5)


def test_10_errors_say_what_to_do() -> None:
    """One line: what was found, what is allowed, what to do."""
    with pytest.raises(mw.BadData, match="nucleo-l4r5zi"):
        mw.build(int8_net(), board="nucleo-l4r5z")
    with pytest.raises(mw.BadData, match=r"image.*\[1,8,8,1\] wanted"):
        firmware("host").run(np.zeros((1, 9, 9, 1), np.int8))
    with pytest.raises(mw.InvalidGraph, match="quantiz"):
        mw.quantize(int8_net(), SAMPLES)
