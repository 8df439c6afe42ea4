"""The layout pass: no transposes left in networks, the same numbers on any graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milliwatt.formats.layout import to_nhwc
from milliwatt.formats.torch import read_torch
from milliwatt.ir.attrs import (
    RELU,
    Attrs,
    ClampAttrs,
    Concat,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify
from support.torch_nets import (
    NETS,
    F,
    compare,
    examples,
    function,
    imported,
    net_graph,
    nn,
    transposes,
)


@pytest.mark.parametrize("name", NETS)
def test_networks_keep_no_transpose(name: str) -> None:
    graph = net_graph(name)
    assert transposes(graph) == 0
    # Layers sit side by side, as the compiler's fusions want them: no reshape between two of them.
    reshapes = sum(n.op is Op.RESHAPE for n in graph.nodes())
    assert reshapes <= {"signal": 2, "inception": 2}.get(name, 1)


def test_flatten_order_goes_into_the_weight() -> None:
    layer = nn.Linear(24, 2)
    graph = imported(nn.Sequential(nn.Flatten(), layer), (1, 2, 3, 4))
    (weight,) = (n.value for n in graph.nodes() if n.name == "1.weight")
    turned = layer.weight.detach().numpy().reshape(2, 2, 3, 4).transpose(0, 2, 3, 1).reshape(2, 24)
    np.testing.assert_array_equal(weight, turned)


def test_a_weight_that_two_orders_read_is_two_constants() -> None:
    layer = nn.Linear(24, 2)
    graph = imported(function(lambda x, y: layer(x.flatten(1)) + layer(y)), (1, 2, 3, 4), (1, 24))
    names = [n.name for n in graph.nodes() if n.is_constant and n.type.shape == (2, 24)]
    assert len(set(names)) == 2
    assert transposes(graph) == 0


STAYS: dict[str, tuple[Callable[..., Any], tuple[int, ...], int]] = {
    "flatten kept and used": (lambda x: (x.flatten(1) * 2, F.relu(x)), (1, 2, 3, 4), 1),
    "channel shuffle": (
        lambda x: x.view(1, 2, 2, 3, 5).transpose(1, 2).reshape(1, 4, 3, 5) + 1, (1, 4, 3, 5), 1,
    ),
    "swapped sides": (lambda x: x.transpose(2, 3) + x.mean(), (1, 2, 3, 4), 1),
    "mean of a flatten": (lambda x: x.flatten(1).mean(1), (2, 2, 3, 4), 0),
    "one channel": (lambda x: x.flatten(1), (1, 1, 3, 4), 0),
    "one pixel": (lambda x: x.flatten(1), (2, 5, 1, 1), 0),
}  # fmt: skip


@pytest.mark.parametrize("case", STAYS)
def test_what_cannot_go_stays_and_is_right(case: str) -> None:
    body, shape, most = STAYS[case]
    assert transposes(imported(function(body), shape)) == most


def test_equal_types_at_the_edges() -> None:
    x = graph_input((1, 3, 4, 5), DType.F32, "x")
    out = Node(Op.TRANSPOSE, (x,), Transpose((0, 2, 3, 1)), "t")
    again = to_nhwc(Graph((x,), (out, x)))
    assert again.inputs == (x,)
    assert [n.type for n in again.outputs] == [out.type, x.type]


def moved(graph: Graph) -> int:
    """Elements that transposes move."""
    return sum(n.type.size for n in graph.nodes() if n.op is Op.TRANSPOSE)


def random_graph(seed: int) -> Graph:
    """A graph of transposes, reshapes and the operators that the pass moves past them."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(d) for d in rng.choice([1, 2, 3], size=int(rng.integers(2, 5))))
    values = [graph_input(shape, DType.F32, "x")]
    for i in range(int(rng.integers(3, 9))):
        x = values[int(rng.integers(max(0, len(values) - 3), len(values)))]
        values.append(_random_node(rng, x, values, f"n{i}"))
    return Graph((values[0],), (values[-1], values[-2]))


def _random_node(rng: np.random.Generator, x: Node, values: list[Node], name: str) -> Node:
    shape, axis = x.type.shape, int(rng.integers(len(x.type.shape)))
    same = [v for v in values if v.type.shape == shape]
    other = same[int(rng.integers(len(same)))]
    sizes = [int(rng.choice([1, d])) for d in shape][int(rng.integers(len(shape))) :]
    number = constant(rng.normal(size=sizes).astype(np.float32), f"{name}.c")
    weight = constant(rng.normal(size=(4, shape[-1])).astype(np.float32), f"{name}.w")
    turned = Transpose(tuple(int(p) for p in rng.permutation(len(shape))))
    axes = (axis,) if len(shape) > 1 else ()
    makers: list[tuple[int, Op, tuple[Node, ...], Attrs]] = [
        (3, Op.TRANSPOSE, (x,), turned),
        (2, Op.RESHAPE, (x,), Reshape(_random_shape(rng, x.type.size))),
        (1, Op.CLAMP, (x,), ClampAttrs(RELU)),
        (1, Op.TANH, (x,), Unary()),
        (1, Op.MEAN, (x,), Mean(axes, bool(rng.integers(2)))),
        (1, Op.PAD, (x,), Pad(tuple((int(rng.integers(2)), 0) for _ in shape), 0.5)),
        (1, Op.SOFTMAX, (x,), Softmax()),
        (1, Op.FULLY_CONNECTED, (x, weight), FullyConnected()),
        (2, Op.CONCAT, (x, other), Concat(axis)),
        (1, Op.ADD, (x, other), Elementwise()),
        (1, Op.SUB, (number, x), Elementwise()),
        (1, Op.MUL, (x, number), Elementwise()),
    ]
    weights = np.array([m[0] for m in makers], np.float64)
    _, op, src, attrs = makers[int(rng.choice(len(makers), p=weights / weights.sum()))]
    return Node(op, src, attrs, name)


def _random_shape(rng: np.random.Generator, size: int) -> tuple[int, ...]:
    shape: list[int] = []
    while size > 1:
        divisors = [d for d in range(2, size + 1) if size % d == 0]
        shape.append(divisors[int(rng.integers(len(divisors)))])
        size //= shape[-1]
    for _ in range(int(rng.integers(1, 3))):
        shape.insert(int(rng.integers(len(shape) + 1)), 1)
    return tuple(shape)


@pytest.mark.parametrize("block", range(4))
def test_random_graphs_mean_the_same(block: int) -> None:
    for seed in range(100 * block, 100 * block + 100):
        graph = random_graph(seed)
        turned = verify(to_nhwc(graph))
        x = np.random.default_rng(seed).normal(size=graph.inputs[0].type.shape).astype(np.float32)
        assert moved(turned) <= moved(graph), seed
        for ours, wanted in zip(run(turned, [x]), run(graph, [x]), strict=True):
            assert ours.shape == wanted.shape, seed
            np.testing.assert_allclose(ours, wanted, rtol=1e-5, atol=1e-6, err_msg=str(seed))


@st.composite
def networks(draw: st.DrawFn) -> tuple[Any, tuple[int, ...]]:
    """A small random convolutional network and the shape of its input."""
    channels, height, width = (
        draw(st.integers(1, 4)),
        draw(st.integers(5, 9)),
        draw(st.integers(5, 9)),
    )
    shape = (draw(st.integers(1, 2)), channels, height, width)
    layers: list[Any] = []
    for _ in range(draw(st.integers(1, 4))):
        match draw(st.sampled_from(["conv", "depthwise", "norm", "act", "pool", "pad"])):
            case "conv":
                kernel, outputs = draw(st.sampled_from([1, 3])), draw(st.integers(1, 5))
                layers.append(
                    nn.Conv2d(channels, outputs, kernel, draw(st.integers(1, 2)), kernel // 2)
                )
                channels = outputs
            case "depthwise":
                factor = draw(st.integers(1, 2))
                layers.append(
                    nn.Conv2d(
                        channels, factor * channels, 3, padding=1, groups=channels, bias=False
                    )
                )
                channels *= factor
            case "norm":
                layers.append(nn.BatchNorm2d(channels))
            case "act":
                layers.append(draw(st.sampled_from([nn.ReLU(), nn.Sigmoid(), nn.Softmax(1)])))
            case "pool":
                layers.append(draw(st.sampled_from([nn.MaxPool2d(2, 1, 1), nn.AvgPool2d(3, 1, 1)])))
            case _:
                layers.append(nn.ZeroPad2d(draw(st.integers(0, 1))))
    if draw(st.booleans()):
        layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 3)]
    elif draw(st.booleans()):
        layers += [nn.Flatten(), nn.LazyLinear(3)]
    net = nn.Sequential(*layers)
    net.eval()(*examples([shape]))
    return net, shape


@settings(
    max_examples=5, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(networks())
def test_random_networks(case: tuple[Any, tuple[int, ...]]) -> None:
    net, shape = case
    inputs = examples([shape])
    graph = read_torch(net, inputs)
    compare(net, graph, inputs)
    assert transposes(graph) == 0
