"""Streaming graphs give what the window gives, bit for bit, or say which layers forbid it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from milliwatt.compress.stream import stream
from milliwatt.errors import BadData, InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.attrs import (
    RELU,
    Attrs,
    Clamp,
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Pool2d,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.reference import Session, run
from milliwatt.ir.types import DType, Quant
from support.shared import mlperf

Rng = np.random.Generator
BANDS = 4


class Net:
    """A network under construction: s8, time on axis 1."""

    def __init__(self, seed: int, length: int) -> None:
        self.rng = np.random.default_rng(seed)
        quant = Quant.per_tensor(0.05, int(self.rng.integers(-20, 20)))
        self.x = graph_input((1, length, BANDS, 1), DType.S8, "frames", quant)
        self.last = self.x
        self._count = 0

    def add(self, op: Op, src: tuple[Node, ...], attrs: Attrs) -> Node:
        """A node with a name of its own; it becomes the last one."""
        self._count += 1
        self.last = Node(op, src, attrs, f"{op}_{self._count}")
        return self.last

    def conv(
        self,
        kernel: tuple[int, int],
        *,
        stride: int = 1,
        dilation: int = 1,
        time_padding: tuple[int, int] = (0, 0),
        op: Op = Op.CONV2D,
        outputs: int = 3,
        clamp: Clamp = RELU,
    ) -> Node:
        """A convolution on the last node; kernel and dilation are of time, bands stay as many."""
        x = self.last
        channels = x.type.shape[3]
        left = (kernel[1] - 1) // 2
        shape = (outputs, *kernel, channels) if op is Op.CONV2D else (1, *kernel, channels)
        values = self.rng.integers(-127, 128, shape).astype(np.int8)
        fan_in = math.prod(shape[1:]) if op is Op.CONV2D else math.prod(kernel)
        weight = constant(values, f"w{self._count}", Quant.per_tensor(0.01))
        bias = constant(
            self.rng.integers(-900, 900, shape[0] if op is Op.CONV2D else channels).astype(
                np.int32
            ),
            f"b{self._count}",
        )
        quant = Quant.per_tensor(x.type.scale * 0.4 * math.sqrt(fan_in), -100)
        attrs = Conv2d(
            (stride, 1),
            (*time_padding, left, kernel[1] - 1 - left),
            (dilation, 1),
            clamp,
            quant,
        )
        return self.add(op, (x, weight, bias), attrs)

    def dense(self, outputs: int = 3) -> Node:
        """fully_connected on the last node."""
        inputs = self.last.type.shape[-1]
        values = self.rng.integers(-127, 128, (outputs, inputs)).astype(np.int8)
        weight = constant(values, f"w{self._count}", Quant.per_tensor(0.01))
        quant = Quant.per_tensor(self.last.type.scale * 0.4 * math.sqrt(inputs), 3)
        return self.add(Op.FULLY_CONNECTED, (self.last, weight), FullyConnected(quant=quant))

    def flat(self) -> Node:
        """All but the batch in one axis."""
        return self.add(Op.RESHAPE, (self.last,), Reshape((1, self.last.type.size)))

    def graph(self) -> Graph:
        """The network that ends in the last node."""
        return Graph((self.x,), (self.last,), name="net")


def frames_of(graph: Graph, count: int, seed: int = 5) -> np.ndarray:
    """s8 [1, count, ...]: random frames for the first input."""
    shape = graph.inputs[0].type.shape
    rng = np.random.default_rng(seed)
    return rng.integers(-128, 128, (1, count, *shape[2:])).astype(np.int8)


def streamed(graph: Graph, data: np.ndarray, frames: int) -> list[np.ndarray]:
    """Results of every run on `frames` new frames of data [1, count, ...]."""
    session = Session(stream(graph, frames=frames))
    starts = range(0, data.shape[1], frames)
    return [session.run([data[:, at : at + frames]])[0] for at in starts]


def check_sliding(graph: Graph, frames: int = 1, count: int = 12) -> None:
    """Every run gives what the window that ends with its frames gives."""
    kind = graph.inputs[0].type
    data = frames_of(graph, count * frames)
    silence = np.full(kind.shape, kind.zero_point, np.int8)
    padded = np.concatenate([silence, data], axis=1)
    results = streamed(graph, data, frames)
    assert len(results) == count
    for number, got in enumerate(results):
        start = (number + 1) * frames
        (wanted,) = run(graph, [padded[:, start : start + kind.shape[1]]])
        assert np.array_equal(got, wanted), f"run {number}"
    assert len({r.tobytes() for r in results}) > 1, "all results are equal: nothing was compared"


def check_sequence(graph: Graph, frames: int = 1) -> None:
    """The runs give the sequence's results one after the other, after those without a window."""
    length = graph.inputs[0].type.shape[1]
    data = frames_of(graph, length)
    (wanted,) = run(graph, [data])
    got = np.concatenate(streamed(graph, data, frames), axis=1)
    early = got.shape[1] - wanted.shape[1]
    assert early >= 0
    assert np.array_equal(got[:, early:], wanted)


def two_convolutions(seed: int, length: int) -> Net:
    net = Net(seed, length)
    net.conv((3, 3))
    net.conv((2, 1), dilation=3, op=Op.DEPTHWISE_CONV2D)
    return net


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_a_classifier_over_a_window(frames: int) -> None:
    net = two_convolutions(0, 17)
    rows = net.last.type.shape[1]
    net.add(Op.AVERAGE_POOL2D, (net.last,), Pool2d((rows, BANDS), (rows, BANDS)))
    net.flat()
    net.dense()
    net.add(Op.SOFTMAX, (net.last,), Softmax())
    check_sliding(net.graph(), frames)


def test_a_dense_layer_over_all_positions() -> None:
    """What mixes time gets the whole window from a ring buffer."""
    net = two_convolutions(1, 13)
    net.flat()
    net.dense()
    check_sliding(net.graph())


@pytest.mark.parametrize("frames", [4, 8])
def test_strides(frames: int) -> None:
    net = Net(2, 29)
    net.conv((3, 3), stride=2)
    net.conv((3, 1), stride=2, op=Op.DEPTHWISE_CONV2D)
    net.add(Op.MEAN, (net.last,), Mean((1, 2), False, net.last.type.quant))
    check_sliding(net.graph(), frames)


def test_a_skip_connection_that_is_cropped() -> None:
    """A residual around an unpadded convolution: the crop waits for the frames ahead."""
    net = Net(3, 12)
    trunk = net.conv((1, 1))
    conv = net.conv((5, 3))
    shape = trunk.type.shape
    crop = StridedSlice((0, 2, 0, 0), (1, shape[1] - 4, *shape[2:]), (1,) * 4)
    skip = net.add(Op.STRIDED_SLICE, (trunk,), crop)
    net.add(Op.ADD, (conv, skip), Elementwise(quant=Quant.per_tensor(0.2, 5)))
    net.flat()
    net.dense()
    check_sliding(net.graph())


def test_branches_transposes_and_activations() -> None:
    net = Net(4, 11)
    left = net.conv((3, 3))
    right = net.add(Op.CLAMP, (left,), ClampAttrs((0.1, 2.0), left.type.quant))
    net.add(Op.CONCAT, (left, right), Concat(3))
    net.add(Op.TRANSPOSE, (net.last,), Transpose((0, 2, 1, 3)))
    net.add(Op.TRANSPOSE, (net.last,), Transpose((0, 2, 1, 3)))
    net.add(Op.LOGISTIC, (net.last,), Unary())
    net.add(Op.RESHAPE, (net.last,), Reshape((1, 9, BANDS * 6)))
    net.dense(5)
    net.flat()
    net.dense()
    check_sliding(net.graph())


def test_only_the_newest_position_of_a_padded_network() -> None:
    """Causal padding may be at the start of the window if nobody reads what it touched."""
    net = Net(5, 16)
    net.conv((3, 3), time_padding=(2, 0))
    net.conv((3, 1), time_padding=(4, 0), dilation=2, op=Op.DEPTHWISE_CONV2D)
    shape = net.last.type.shape
    newest = StridedSlice((0, 15, 0, 0), (1, 1, *shape[2:]), (1,) * 4)
    net.add(Op.STRIDED_SLICE, (net.last,), newest)
    net.flat()
    net.dense()
    check_sliding(net.graph())


@pytest.mark.parametrize("frames", [1, 3])
def test_a_causal_sequence(frames: int) -> None:
    net = Net(6, 12)
    net.conv((3, 3), time_padding=(2, 0))
    net.add(Op.PAD, (net.last,), Pad(((0, 0), (4, 0), (0, 0), (0, 0))))
    net.conv((3, 1), dilation=2, op=Op.DEPTHWISE_CONV2D)
    net.add(Op.TANH, (net.last,), Unary())
    check_sequence(net.graph(), frames)


def test_a_causal_sequence_with_strides() -> None:
    net = Net(7, 12)
    net.conv((4, 3), time_padding=(2, 0), stride=2)
    net.conv((3, 1), time_padding=(2, 0))
    check_sequence(net.graph(), 2)


def test_an_unpadded_sequence_starts_late() -> None:
    check_sequence(two_convolutions(8, 14).graph())


def test_padding_is_named() -> None:
    """Every layer that padded along time, and what to do."""
    net = Net(9, 12)
    net.conv((3, 3), time_padding=(1, 1))
    net.conv((3, 1), time_padding=(1, 1), op=Op.DEPTHWISE_CONV2D)
    net.add(Op.MEAN, (net.last,), Mean((1, 2), False, net.last.type.quant))
    wanted = r"mean_3 \(mean\): .*along time: conv2d_1, depthwise_conv2d_2; .*'valid'"
    with pytest.raises(UnsupportedOp, match=wanted):
        stream(net.graph())


def test_layers_that_look_ahead_are_named() -> None:
    net = Net(10, 12)
    net.conv((3, 3), time_padding=(1, 1))
    with pytest.raises(UnsupportedOp, match=r"looks ahead .*: conv2d_1; to stream"):
        stream(net.graph())


def test_pools_do_not_pad_with_zeros() -> None:
    net = Net(11, 12)
    net.add(Op.MAX_POOL2D, (net.last,), Pool2d((3, 1), (1, 1), (2, 0, 0, 0)))
    with pytest.raises(UnsupportedOp, match=r"max_pool2d_1"):
        stream(net.graph())


def test_numbers_of_frames() -> None:
    net = Net(12, 12)
    net.conv((3, 3), stride=2)
    net.flat()
    with pytest.raises(InvalidGraph, match=r"conv2d_1 .*stride 2 .*frames= .* 2 times as many"):
        stream(net.graph())
    with pytest.raises(InvalidGraph, match=r"12 new frames of a window of 12; 1 to 11 wanted"):
        stream(net.graph(), frames=12)
    with pytest.raises(InvalidGraph, match=r"inputs have no frames along axis 7"):
        stream(net.graph(), axis=7)
    with pytest.raises(InvalidGraph, match=r"one frame along axis 0; .*already, or .*pass axis="):
        stream(net.graph(), axis=0)
    for wrong in ({"frames": 1.5}, {"frames": True}, {"frames": 0}, {"axis": None}, {"axis": -1}):
        with pytest.raises(BadData, match=r"stream: (frames|axis) is .* a whole number"):
            stream(net.graph(), **wrong)


def test_padding_is_told_before_strides() -> None:
    """A network that no number of frames helps says so, not how many frames it wants."""
    net = Net(13, 12)
    net.conv((3, 3), stride=2, time_padding=(1, 1))
    net.flat()
    with pytest.raises(UnsupportedOp, match=r"padded along time: conv2d_1"):
        stream(net.graph())


def test_a_window_with_a_state_is_no_window() -> None:
    """What a state holds depends on more than the last window."""
    net = Net(14, 6)
    x = net.x
    total = state(np.zeros(x.type.shape, np.int8), "total", x.type.quant)
    new = net.add(Op.ADD, (total, x), Elementwise(quant=x.type.quant))
    net.flat()
    net.dense()
    graph = Graph((x,), (net.last,), ((total, new),))
    with pytest.raises(UnsupportedOp, match=r"reads total, a state that changes once a window"):
        stream(graph)


def test_streaming_wake_word_model() -> None:
    """MLPerf Tiny's model: the window's results from one new frame a run."""
    graph = read_tflite(mlperf("str_ww_ref_model.tflite"))
    check_sliding(graph, count=40)
    streaming = stream(graph)
    macs = [
        sum(OPS[n.op].macs(n.attrs, n.type, [s.type for s in n.src]) for n in g.nodes())
        for g in (graph, streaming)
    ]
    assert macs[0] > 17 * macs[1]
