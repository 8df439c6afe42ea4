"""Every torch operator that the importer takes, against torch itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from milliwatt.formats.torch import read_torch
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.torch_nets import (
    F,
    build,
    examples,
    function,
    imported,
    net_graph,
    nn,
    settle,
    torch,
    transposes,
)

IMAGE = (1, 4, 9, 7)


def ops(graph: Graph) -> list[Op]:
    return [n.op for n in graph.nodes() if n.op not in (Op.INPUT, Op.CONSTANT)]


class Branches(nn.Module):
    """Layers side by side on one input: an export takes its time, so one serves them all."""

    def __init__(self, *layers: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Any) -> Any:
        return tuple(layer(x) for layer in self.layers)


def test_conv2d() -> None:
    torch.manual_seed(3)
    layers = (
        nn.Conv2d(4, 6, 3),
        nn.Conv2d(4, 5, (3, 2), (2, 1), (1, 0), bias=False),
        nn.Conv2d(4, 3, 3, padding=2, dilation=(2, 1)),
        nn.Conv2d(4, 3, (4, 3), padding="same"),
        nn.Conv2d(4, 4, 3, 2, 1, groups=4),
        nn.Conv2d(4, 12, (1, 3), groups=4, bias=False),
    )
    graph = imported(Branches(*layers), IMAGE)
    assert ops(graph).count(Op.CONV2D) == 4
    assert ops(graph).count(Op.DEPTHWISE_CONV2D) == 2
    assert set(ops(graph)) <= {Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.PAD}


def test_conv1d_is_conv2d_of_height_1() -> None:
    torch.manual_seed(3)
    layers = (
        nn.Conv1d(3, 5, 4, stride=2, padding=1, dilation=2),
        nn.Conv1d(3, 6, 3, groups=3, padding="same"),
    )
    graph = imported(Branches(*layers), (2, 3, 20))
    assert transposes(graph) == 0
    assert [n.src[1].type.shape for n in graph.nodes() if n.op is Op.CONV2D] == [(5, 1, 4, 3)]
    assert [n.src[1].type.shape for n in graph.nodes() if n.op is Op.DEPTHWISE_CONV2D] == [
        (1, 1, 3, 6)
    ]


def test_conv_without_a_batch_axis() -> None:
    imported(nn.Conv1d(3, 6, 3), (3, 11))


FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[tuple[int, ...], ...]]] = {
    "activations": (
        lambda x: (
            F.relu(x), F.relu6(4 * x), F.hardtanh(x, -0.5, 0.7), x.clamp(min=0.1), x.clamp(max=0.2),
            F.hardswish(x), F.hardsigmoid(x), F.silu(x), torch.sigmoid(x), torch.tanh(x),
            x.clone().relu_(), F.dropout(x, 0.5, training=False) - 1,
        ),
        (IMAGE,),
    ),
    "arithmetic": (
        lambda x, y: (
            x + y, x - y, x * y, 1 - x, x / 3, -x, x + 2, 0.5 * x, x / torch.arange(1.0, 8.0),
            x * torch.tensor(2.5), x + torch.zeros_like(x), x + y.mean(),
        ),
        (IMAGE, (1, 4, 1, 1)),
    ),
    "softmax": (
        lambda x: (F.softmax(x, 1), F.softmax(x, -1), F.softmax(x, 2), F.softmax(x.mean(1), 2)),
        (IMAGE,),
    ),
    "max pools": (
        lambda x: (
            F.max_pool2d(x, 2), F.max_pool2d(x, (3, 2), (2, 3), (1, 1)),
            F.max_pool2d(x - 5, 3, 2, 1, ceil_mode=True), F.adaptive_max_pool2d(x, (3, 1)),
        ),
        (IMAGE,),
    ),
    "average pools": (
        lambda x: (
            F.avg_pool2d(x, 2), F.avg_pool2d(x, 3, 2, 1), F.avg_pool2d(x, (3, 2), ceil_mode=True),
            F.avg_pool2d(x, 3, 2, (1, 0), count_include_pad=False),
            F.avg_pool2d(x, 2, 2, 1, ceil_mode=True), F.adaptive_avg_pool2d(x, (3, 7)),
            F.avg_pool2d(x, 2, 2, 1, ceil_mode=True, count_include_pad=False),
            F.adaptive_avg_pool2d(x, 1),
        ),
        (IMAGE,),
    ),
    "pools of signals": (
        lambda x: (
            F.max_pool1d(x, 3, 2, 1), F.avg_pool1d(x, 2), F.adaptive_avg_pool1d(x, 1),
            F.adaptive_avg_pool1d(x, 4), F.adaptive_max_pool1d(x, 3),
        ),
        ((1, 5, 12),),
    ),
    "mean": (
        lambda x: (
            x.mean((2, 3)), x.mean(1, keepdim=True), x.mean(), x.mean(-1), x.mean((0, 2), True),
        ),
        (IMAGE,),
    ),
    "shape": (
        lambda x: (
            x.flatten(1), x.view(4, -1), x.permute(0, 3, 1, 2), x.transpose(2, 3).reshape(1, 28, 9),
            x.unsqueeze(1).squeeze(0).contiguous(), x.to(torch.float32).expand(1, 4, 9, 7) + 1,
            x.reshape(1, 2, 2, 9, 7).transpose(1, 2).flatten(1, 2),
        ),
        (IMAGE,),
    ),
    "cat": (
        lambda x, y: (
            torch.cat([x, y], 1), torch.cat([x, x], 2), torch.cat([x, torch.ones(1, 4, 9, 2)], -1),
            torch.stack([y, y], 1).mean(1), torch.cat([x.flatten(1), y.mean((1, 2))], 1),
        ),
        (IMAGE, (1, 3, 9, 7)),
    ),
    "pad": (
        lambda x: (
            F.pad(x, (1, 2)), F.pad(x, (0, 0, 3, 1), value=-1.5), F.pad(x, (0, 0, 0, 0, 1, 2)),
            F.pad(x, (0, 0, 0, 0)),
        ),
        (IMAGE,),
    ),
    "products": (
        lambda x: (
            F.linear(x, torch.full((3, 7), 0.3)),
            x.flatten(1) @ torch.linspace(-1, 1, 504).view(252, 2),
            torch.addmm(torch.ones(2), x.flatten(1), torch.linspace(-1, 1, 504).view(252, 2)),
        ),
        (IMAGE,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FUNCTIONS)
def test_function(case: str) -> None:
    body, shapes = FUNCTIONS[case]
    imported(function(body), *shapes)


def test_batch_norm_is_mul_and_add_per_channel() -> None:
    graph = imported(
        settle(nn.Sequential(nn.BatchNorm2d(4), nn.BatchNorm2d(4, affine=False))), IMAGE
    )
    assert ops(graph) == [Op.MUL, Op.ADD] * 2
    assert [n.type.shape for n in graph.nodes() if n.is_constant] == [(4,)] * 4


def test_relu6_and_hardswish_clamp_once() -> None:
    layers = nn.Sequential(nn.Hardswish(), nn.ReLU6(), nn.Linear(7, 2), nn.ReLU())
    graph = read_torch(layers, np.zeros(IMAGE), name="mine")  # float64, as numpy makes it
    clamps = [n.attrs.bounds for n in graph.nodes() if n.op is Op.CLAMP]
    assert clamps == [(0.0, 6.0), (0.0, 6.0), (0.0, math.inf)]
    assert graph.name == "mine"
    assert graph.inputs[0].type.dtype is DType.F32


def test_names_are_the_modules_own() -> None:
    graph = net_graph("mobilenet")
    names = [n.name for n in graph.nodes()]
    assert {"features.0.conv2d_0", "features.1.0.weight", "add", "classifier.1.bias"} <= set(names)
    assert len(set(names)) == len(names)
    assert graph.name == "MobileNet"


def test_numbered_layers_and_functions_have_readable_names() -> None:
    """No name is a bare number or an operator of torch's own."""
    net = settle(
        nn.Sequential(
            *(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
            *(nn.Linear(24, 3), nn.Softmax(1)),
        )
    )
    graph = imported(net, (1, 4, 9, 6))
    names = {n.op: n.name for n in graph.nodes() if not n.is_constant}
    assert names[Op.CONV2D] == "conv2d_0"
    assert names[Op.ADD] == "batch_norm2d_1"
    assert names[Op.CLAMP] == "relu_2"
    assert names[Op.MAX_POOL2D] == "max_pool2d_3"
    assert names[Op.FULLY_CONNECTED] == "linear_5"
    assert graph.outputs[0].name == "softmax_6"
    body = function(lambda x: F.softmax(F.max_pool2d(F.conv2d(x, torch.ones(3, 4, 1, 1)), 2), 3))
    graph = imported(body, IMAGE)
    names = {n.op: n.name for n in graph.nodes() if not n.is_constant}
    assert names[Op.CONV2D] == "conv2d"
    assert names[Op.MAX_POOL2D] == "max_pool2d"
    assert names[Op.SOFTMAX] == "softmax"


def test_shared_weights_stay_one_constant() -> None:
    layer = nn.Conv2d(4, 4, 1)
    graph = imported(nn.Sequential(layer, nn.ReLU(), layer), IMAGE)
    assert len([n for n in graph.nodes() if n.is_constant]) == 2
    assert ops(graph) == [Op.CONV2D, Op.CLAMP, Op.CONV2D]


def test_computed_weights_are_constants() -> None:
    graph = imported(nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 3, 3)), IMAGE)
    assert ops(graph) == [Op.CONV2D]


class Scaled(nn.Module):
    """A buffer that is saved, one that is not, and a number as a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor([1.0, 2.0, 3.0]))
        self.register_buffer("scale", torch.tensor([4.0, 0.5, 2.0]), persistent=False)
        self.gain = nn.Parameter(torch.tensor(1.5))

    def forward(self, x: Any) -> Any:
        return (x - self.mean.view(3, 1, 1)) * self.scale[:, None, None] * self.gain


def test_buffers_and_parameters_are_constants() -> None:
    graph = imported(Scaled(), (1, 3, 4, 2))
    assert ops(graph) == [Op.SUB, Op.MUL, Op.MUL]
    assert [n.type.shape for n in graph.nodes() if n.is_constant] == [(3,), (3,), ()]


def test_edges_are_channels_last_unless_the_module_permutes_them() -> None:
    graph = imported(nn.Conv2d(3, 5, 1), (1, 3, 6, 4))
    assert (graph.inputs[0].type.shape, graph.outputs[0].type.shape) == ((1, 6, 4, 3), (1, 6, 4, 5))
    conv = nn.Conv2d(3, 5, 1)
    own = function(lambda x: conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))
    graph = imported(own, (1, 6, 4, 3))
    assert (graph.inputs[0].type.shape, graph.outputs[0].type.shape) == ((1, 6, 4, 3), (1, 6, 4, 5))
    assert transposes(graph) == 0
    graph = imported(function(lambda x: F.relu(x.permute(0, 3, 1, 2))), (1, 6, 4, 3))
    assert (graph.outputs[0].type.shape, transposes(graph)) == ((1, 6, 4, 3), 0)
    graph = imported(nn.Conv1d(3, 5, 2), (1, 3, 8))
    assert (graph.inputs[0].type.shape, graph.outputs[0].type.shape) == ((1, 8, 3), (1, 7, 5))
    graph = imported(nn.Linear(8, 2), (1, 3, 8))
    assert graph.inputs[0].type.shape == (1, 3, 8)


def test_a_pool_before_the_first_signal_layer_turns_the_input() -> None:
    graph = imported(nn.Sequential(nn.MaxPool1d(2), nn.Conv1d(3, 5, 2)), (1, 3, 8))
    assert (graph.inputs[0].type.shape, transposes(graph)) == ((1, 8, 3), 0)


def test_several_inputs_and_outputs_keep_their_order() -> None:
    graph = imported(function(lambda a, b: (b * 2, a + 1, b)), (1, 3), (1, 5))
    assert [n.type.shape for n in graph.inputs] == [(1, 3), (1, 5)]
    assert [n.type.shape for n in graph.outputs] == [(1, 5), (1, 3), (1, 5)]
    nested = read_torch(function(lambda a: {"x": [a + 1], "y": a * 2}), examples([(1, 3)]))
    assert [n.op for n in nested.outputs] == [Op.ADD, Op.MUL]


def test_module_is_left_as_it_was() -> None:
    net, shapes = build("resnet")
    net.train()
    net.bn1.eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    read_torch(net, examples(shapes))
    assert net.training
    assert net.conv1.training
    assert not net.bn1.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
