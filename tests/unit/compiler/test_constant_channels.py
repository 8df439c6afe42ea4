"""Constant and unread channels on graphs made for them: what goes, what must stay, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from milliwatt.compiler.passes import channel_needs
from milliwatt.compiler.passes.drop_constant_channels import drop_constant_channels, removed
from milliwatt.compiler.program import compile_graph
from milliwatt.ir.attrs import (
    RELU,
    RELU6,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Reshape,
    Transpose,
)
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.intervals import Interval, borders, intervals
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify

RNG = np.random.default_rng(11)
IN = Quant.per_tensor(0.05, -11)
OUT = Quant.per_tensor(0.1, 5)
SAME = (1, 1, 1, 1)
FAR = 1 << 24
"""A bias that no input of these layers outweighs."""


def image(channels: int = 3) -> Node:
    """An s8 input of 6 x 5 pixels."""
    return graph_input((1, 6, 5, channels), DType.S8, "x", IN)


def conv(
    x: Node, name: str, channels: int, dead: tuple[int, ...] = (), far: int = 0, side: int = 3,
    **attrs: object,
) -> Node:  # fmt: skip
    """A convolution whose `dead` filters are zeros with bias `far`."""
    weight = RNG.integers(-127, 128, (channels, side, side, x.type.shape[3])).astype(np.int8)
    bias = RNG.integers(-200, 200, channels).astype(np.int32)
    weight[list(dead)] = 0
    bias[list(dead)] = far
    scales = Quant.per_axis(RNG.uniform(0.005, 0.01, channels), 0)
    src = (x, constant(weight, f"{name}.w", scales), constant(bias, f"{name}.b"))
    return Node(Op.CONV2D, src, replace(Conv2d(quant=OUT), **attrs), name)  # type: ignore[arg-type]


def depthwise(x: Node, name: str, multiplier: int = 1, dead: tuple[int, ...] = ()) -> Node:
    """A 3x3 depthwise convolution with the same padding on all sides."""
    count = x.type.shape[3] * multiplier
    weight = RNG.integers(-127, 128, (1, 3, 3, count)).astype(np.int8)
    weight[..., list(dead)] = 0
    bias = RNG.integers(-200, 200, count).astype(np.int32)
    scales = Quant.per_axis(RNG.uniform(0.005, 0.01, count), 3)
    src = (x, constant(weight, f"{name}.w", scales), constant(bias, f"{name}.b"))
    return Node(Op.DEPTHWISE_CONV2D, src, Conv2d(padding=SAME, quant=OUT), name)


def dropped(graph: Graph) -> dict[str, Node]:
    """The nodes that are left, by name, after checking that no byte of a result changed."""
    after = verify(drop_constant_channels(verify(graph)))
    for seed in range(4):
        rng = np.random.default_rng(seed)
        values = [rng.integers(-128, 128, n.type.shape).astype(np.int8) for n in graph.inputs]
        for have, want in zip(run(after, values), run(graph, values), strict=True):
            np.testing.assert_array_equal(have, want)
    return {node.name: node for node in after.nodes()}


def test_a_dead_channel_leaves_producer_and_consumer() -> None:
    """Filter, bias and scale here, the column there; what it held is in the bias."""
    x = image()
    a = conv(x, "a", 4, dead=(2,), far=300)
    left = dropped(Graph((x,), (conv(a, "b", 5),)))
    assert left["a"].type.shape == (1, 4, 3, 3)
    assert left["a.w"].type.shape == (3, 3, 3, 3)
    quant = left["a.w"].type.quant
    was = a.src[1].type.quant
    assert quant is not None
    assert was is not None
    assert quant.scale == tuple(was.scale[c] for c in (0, 1, 3))
    assert left["b.w"].type.shape == (5, 3, 3, 3)


def test_a_border_keeps_a_channel_that_is_not_zero() -> None:
    """Padding reads the zero point: folding another value into the bias spoils the border."""
    x = image()
    for far, channels in ((0, 3), (300, 4)):
        a = conv(x, "a", 4, dead=(2,), far=far)
        graph = Graph((x,), (conv(a, "b", 5, padding=SAME),))
        assert dropped(graph)["a"].type.shape[3] == channels, far


def test_the_border_rule_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rule that forgets the borders the same network gives wrong pixels, there alone."""
    x = image()
    a = conv(x, "a", 4, dead=(2,), far=3000, side=1)
    graph = Graph((x,), (conv(a, "b", 5, padding=SAME),))
    full = np.ones((1, 3)), np.ones((1, 3))
    monkeypatch.setattr(channel_needs, "borders", lambda node: full)
    careless = drop_constant_channels(graph)
    assert removed(graph, careless)
    values = [RNG.integers(-128, 128, (1, 6, 5, 3)).astype(np.int8)]
    wrong = (run(graph, values)[0] != run(careless, values)[0]).any(axis=(0, 3))
    assert wrong.any()
    assert not wrong[1:-1, 1:-1].any()


def test_padding_that_nothing_reads_is_no_border() -> None:
    """A stride that ends before the padded column: every window lies inside."""
    x = graph_input((1, 5, 5, 3), DType.S8, "x", IN)
    a = conv(x, "a", 4, dead=(1,), far=300, side=1)
    graph = Graph((x,), (conv(a, "b", 2, side=2, stride=(3, 3), padding=(0, 1, 0, 1)),))
    assert dropped(graph)["a"].type.shape[3] == 3


def test_a_depthwise_of_a_constant_is_constant_where_all_borders_agree() -> None:
    """Channel 1 saturates everywhere, channel 2 is 300 inside and something else at borders."""
    x = image()
    a = conv(x, "a", 3, dead=(1, 2), far=300, side=1)
    d = depthwise(a, "d")
    weight, bias = d.src[1].value.copy(), d.src[2].value.copy()
    bias[1] = FAR
    d = Node(d.op, (a, constant(weight, "d.w", d.src[1].type.quant), constant(bias, "d.b")),
             d.attrs, "d")  # fmt: skip
    found = intervals(Graph((x,), (d,)))[d]
    assert found.constant.tolist() == [False, True, False]
    left = dropped(Graph((x,), (conv(d, "b", 4, side=1),)))
    assert left["d"].type.shape[3] == left["a"].type.shape[3] == 2
    assert left["d.w"].type.shape == (1, 3, 3, 2)


def test_a_clamp_makes_constants() -> None:
    """A channel that never leaves its ReLU6: the range says so, whatever the weights."""
    x = image()
    a = conv(x, "a", 4, side=1, clamp=RELU6)
    bias = np.array([0, -FAR, 50, FAR], np.int32)
    a = Node(a.op, (*a.src[:2], constant(bias, "a.b")), a.attrs, "a")
    found = intervals(Graph((x,), (a,)))[a]
    assert found.constant.tolist() == [False, True, False, True]
    assert (found.low[1], found.low[3]) == (5, 65)
    assert dropped(Graph((x,), (conv(a, "b", 2, side=1),)))["a"].type.shape[3] == 2


def test_unread_channels_go_backwards() -> None:
    """Columns of zeros: nobody reads the channel, so nobody computes it, two layers up."""
    x = image()
    a = conv(x, "a", 6, side=1)
    d = depthwise(a, "d")
    b = conv(d, "b", 2, side=1)
    weight = b.src[1].value.copy()
    weight[..., (0, 4)] = 0
    b = Node(b.op, (d, constant(weight, "b.w", b.src[1].type.quant), b.src[2]), b.attrs, "b")
    left = dropped(Graph((x,), (b,)))
    assert left["a"].type.shape[3] == left["d"].type.shape[3] == 4


def test_both_operands_of_a_residual_add_lose_a_channel_or_none() -> None:
    """Constant in one operand: it stays in both. In both: it goes from both and from the sum."""
    x = image()
    for second, channels in (((), 4), ((2,), 3)):
        a = conv(x, "a", 4, dead=(1, 2), far=40, side=1)
        b = conv(x, "b", 4, dead=second, far=90, side=1)
        add = Node(Op.ADD, (a, b), Elementwise(RELU, OUT), "sum")
        left = dropped(Graph((x,), (conv(add, "c", 2),)))
        assert [left[n].type.shape[3] for n in ("a", "b", "sum")] == [channels] * 3


def test_a_joined_row_of_constants_goes() -> None:
    """concat(conv, constant): the constant is the next layer's bias."""
    x = image()
    a = conv(x, "a", 2, side=1)
    c = constant(np.full((1, 6, 5, 2), 17, np.int8), "c", OUT)
    joined = Node(Op.CONCAT, (c, a), Concat(3), "joined")
    left = dropped(Graph((x,), (conv(joined, "b", 3),)))
    assert "c" not in left
    assert left["b.w"].type.shape == (3, 3, 3, 2)


def test_channels_are_columns_behind_a_reshape() -> None:
    """flatten, fully_connected: a channel is as many columns as there are pixels."""
    x = image()
    a = conv(x, "a", 4, dead=(3,), far=200)
    flat = Node(Op.RESHAPE, (a,), Reshape((1, 48)), "flat")
    weight = RNG.integers(-127, 128, (5, 48)).astype(np.int8)
    src = (flat, constant(weight, "fc.w", Quant.per_tensor(0.01)))
    fc = Node(Op.FULLY_CONNECTED, src, FullyConnected(quant=OUT), "fc")
    left = dropped(Graph((x,), (fc,)))
    assert left["flat"].type.shape == (1, 36)
    assert left["fc.w"].type.shape == (5, 36)
    assert len(left["fc"].src) == 3  # a bias, that the layer did not have


def test_a_multiplier_loses_whole_groups() -> None:
    """Two results a channel: one of them constant stays with the other."""
    x = image(2)
    a = conv(x, "a", 3, side=1)
    for dead, channels in (((0,), 6), ((2, 3), 4)):
        d = depthwise(a, "d", 2, dead)
        assert dropped(Graph((x,), (conv(d, "b", 2, side=1),)))["d"].type.shape[3] == channels


def test_a_layer_of_constants_becomes_one() -> None:
    """Every filter zero: the layer, and all that only it reads, is a row that repeats."""
    x = image()
    a = conv(x, "a", 4)
    b = conv(a, "b", 3, dead=(0, 1, 2), far=77)
    add = Node(Op.ADD, (conv(x, "other", 3, side=5), b), Elementwise(quant=OUT), "sum")
    graph = Graph((x,), (add, Node(Op.MEAN, (b,), Mean((1, 2), quant=OUT), "mean")))
    left = dropped(graph)
    assert "a" not in left
    assert left["mean"].is_constant
    assert compile_graph(graph).steps


def test_one_channel_stays_where_all_go() -> None:
    """Nothing but borders differs: the value must be there for the padded layer to read."""
    x = image()
    a = conv(x, "a", 4, dead=(0, 1, 2, 3), far=300)
    left = dropped(Graph((x,), (conv(a, "b", 2, padding=SAME),)))
    assert "x" in left
    a = conv(x, "a", 4, side=1)
    b = conv(a, "b", 2, side=1)
    weight = constant(np.zeros((2, 1, 1, 4), np.int8), "b.w", b.src[1].type.quant)
    b = Node(b.op, (a, weight, b.src[2]), b.attrs, "b")
    assert dropped(Graph((x,), (b,)))["b"].type == b.type


def test_what_others_see_keeps_its_channels() -> None:
    """Outputs, states' next values and operands of operators without a rule."""
    x = image()
    a = conv(x, "a", 4, dead=(2,), far=0, side=1)
    b = conv(a, "b", 4, side=1)
    held = state(np.zeros((1, 6, 5, 4), np.int8), "held", OUT)
    turned = Node(Op.TRANSPOSE, (a,), Transpose((0, 3, 1, 2)), "turned")
    for graph in (
        Graph((x,), (a, b)),
        Graph((x,), (b, Node(Op.ADD, (held, b), Elementwise(quant=OUT), "y")), ((held, a),)),
        Graph((x,), (b, turned)),
    ):
        assert dropped(graph)["a"].type.shape[3] == 4


def test_shared_weights_are_left_alone() -> None:
    """Two layers on one weight: cutting it for one would store it twice."""
    x = image(4)
    a = conv(x, "a", 4, dead=(1,), side=1)
    b = Node(a.op, (a, *a.src[1:]), a.attrs, "b")
    left = dropped(Graph((x,), (conv(b, "c", 2, side=1),)))
    assert left["a"].src[1] is left["b"].src[1]
    assert left["a.w"].type.shape == (4, 1, 1, 4)


def test_a_bias_that_would_overflow_is_not_made() -> None:
    """The constant's share and the bias do not fit 32 bits together: the channel stays."""
    x = image()
    for first, channels in ((1 << 30, 3), ((1 << 31) - 1, 4)):
        a = conv(x, "a", 4, dead=(2,), far=300, side=1)
        b = conv(a, "b", 2, side=1)
        bias = constant(np.array([first, 3], np.int32), "b.b")
        b = Node(b.op, (*b.src[:2], bias), b.attrs, "b")
        assert dropped(Graph((x,), (b,)))["a"].type.shape[3] == channels


def test_padding_without_end_takes_no_time() -> None:
    """More border patterns than anybody has: nothing is known, and nothing goes wrong."""
    x = graph_input((1, 1, 900, 2), DType.S8, "x", IN)
    a = conv(x, "a", 3, dead=(1,), far=300, side=1)
    weight = constant(np.ones((1, 1, 900, 3), np.int8), "b.w", Quant.per_tensor(0.01))
    attrs = Conv2d(padding=(0, 0, 899, 899), quant=OUT)
    graph = Graph((x,), (Node(Op.CONV2D, (a, weight), attrs, "b"),))
    assert borders(graph.outputs[0]) is None
    assert dropped(graph)["a"].type.shape[3] == 3


def test_sums_that_wrap_are_not_trusted() -> None:
    """A bias at the end of 32 bits: products wrap round, and the result is anything."""
    x = image()
    a = conv(x, "a", 1, side=3)
    bias = constant(np.array([(1 << 31) - 1], np.int32), "a.b")
    a = Node(a.op, (*a.src[:2], bias), a.attrs, "a")
    graph = Graph((x,), (a,))
    assert not intervals(graph)[a].constant.any()
    values = [RNG.integers(-128, 128, (1, 6, 5, 3)).astype(np.int8)]
    assert len(np.unique(run(graph, values)[0])) > 1


def test_graphs_without_such_channels_are_the_same_object() -> None:
    """Nothing to do is nothing done; without any product nothing is even looked at."""
    x = image()
    graph = Graph((x,), (conv(x, "a", 4),))
    assert drop_constant_channels(graph) is graph
    assert removed(graph, graph) == ""
    idle = Graph((x,), (Node(Op.ADD, (x, x), Elementwise(quant=OUT), "y"),))
    assert drop_constant_channels(idle) is idle


def test_the_line_for_reports() -> None:
    """Counts before and after."""
    x = image()
    graph = Graph((x,), (conv(conv(x, "a", 4, dead=(2,), side=1), "b", 1, side=1),))
    assert removed(graph, drop_constant_channels(graph)) == (
        "1 of 5 channels are constant or unread: 480 -> 360 MACs, 36 -> 28 bytes of constants"
    )


def test_an_interval_says_what_is_constant() -> None:
    """Bounds that meet."""
    span = Interval(np.array([-3, 4]), np.array([-3, 9]))
    assert span.constant.tolist() == [True, False]
    assert span.hull == (-3, 9)
