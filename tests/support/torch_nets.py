"""Small torch networks of the kinds people bring, and the check that a Graph computes the same."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from milliwatt.formats.torch import read_torch
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run

torch = pytest.importorskip("torch", reason='pip install "milliwatt[torch]"')
nn, F = torch.nn, torch.nn.functional
Shapes = tuple[tuple[int, ...], ...]


def settle(module: Any, seed: int = 0) -> Any:
    """The module with random batch-norm statistics: at their defaults they would hide mistakes."""
    rng = torch.Generator().manual_seed(seed)
    for part in module.modules():
        if isinstance(part, (nn.BatchNorm1d, nn.BatchNorm2d)):
            part.running_mean.normal_(0, 0.3, generator=rng)
            part.running_var.uniform_(0.5, 2, generator=rng)
            if part.affine:
                with torch.no_grad():
                    part.weight.uniform_(0.5, 1.5, generator=rng)
                    part.bias.normal_(0, 0.3, generator=rng)
    return module


def examples(shapes: Sequence[tuple[int, ...]], seed: int = 1) -> tuple[Any, ...]:
    """One random tensor a shape."""
    rng = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(shape, generator=rng) for shape in shapes)


def fitted(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A torch value in the axis order of the Graph: channels last where that gives `shape`."""
    if array.ndim in (3, 4):
        last = np.moveaxis(array, 1, -1)
        return last if last.shape == shape else array
    return array


def compare(module: Any, graph: Graph, inputs: Sequence[Any], tolerance: float = 1e-5) -> None:
    """Assert that graph and module agree within `tolerance` of the largest output."""
    with torch.no_grad():
        wanted = module.eval()(*inputs)
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    arrays = [
        np.ascontiguousarray(fitted(x.numpy(), n.type.shape))
        for x, n in zip(inputs, graph.inputs, strict=True)
    ]
    got = run(graph, arrays)
    assert len(got) == len(wanted)
    for ours, theirs in zip(got, wanted, strict=True):
        value = fitted(theirs.numpy(), ours.shape)
        assert ours.shape == value.shape
        scale = max(1.0, float(np.abs(value).max()))
        np.testing.assert_allclose(ours, value, rtol=0, atol=tolerance * scale)


def imported(module: Any, *shapes: tuple[int, ...]) -> Graph:
    """Read `module` for inputs of `shapes` and check the Graph against it."""
    torch.manual_seed(0)
    inputs = examples(shapes)
    graph = read_torch(module, inputs)
    compare(module, graph, examples(shapes, seed=2))
    return graph


def transposes(graph: Graph) -> int:
    """How many transposes run at run time."""
    return sum(node.op is Op.TRANSPOSE for node in graph.nodes())


def function(body: Callable[..., Any]) -> Any:
    """A module whose forward is `body`."""

    class Function(nn.Module):
        def forward(self, *x: Any) -> Any:
            return body(*x)

    return Function()


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> Any:
    """conv + batch norm + ReLU6, as MobileNets stack them."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


def lenet() -> Any:
    """Convolutions, max pools, a flatten of 3 axes and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(4, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(6 * 3 * 2, 20), nn.ReLU(), nn.Dropout(), nn.Linear(20, 10),
    )  # fmt: skip


class MobileNet(nn.Module):
    """Depthwise separable blocks with an inverted residual."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            conv_bn(3, 8, stride=2), conv_bn(8, 16, groups=8), conv_bn(16, 8, 1)
        )
        self.expand = nn.Sequential(
            conv_bn(8, 24, 1),
            conv_bn(24, 24, groups=24),
            nn.Conv2d(24, 8, 1, bias=False),
            nn.BatchNorm2d(8),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(8, 5))

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        x = x + self.expand(x)
        x = F.adaptive_avg_pool2d(x, (1, 1)).reshape(x.shape[0], -1)
        return self.classifier(x)


class ResNet(nn.Module):
    """Two residual blocks, the second with a strided shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12)
        self.short = nn.Conv2d(8, 12, 1, stride=2)
        self.fc = nn.Linear(12, 4)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        x = F.relu(self.bn1(self.conv1(x)) + x)
        x = F.relu(self.bn2(self.conv2(x)) + self.short(x))
        return F.softmax(self.fc(F.avg_pool2d(x, x.shape[2:]).flatten(1)), dim=1)


class Keyword(nn.Module):
    """DS-CNN on [N,49,10] features that get their channel axis inside."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(1, 8, (10, 4), 2, (5, 1)), nn.BatchNorm2d(8), nn.ReLU()
        )
        self.blocks = nn.Sequential(conv_bn(8, 8, groups=8), conv_bn(8, 8, 1))
        self.head = nn.Linear(8, 12)

    def forward(self, x: Any) -> Any:
        x = self.blocks(self.first(x.unsqueeze(1)))
        return torch.softmax(self.head(x.mean(dim=[2, 3])), -1)


def signal_net() -> Any:
    """A 1-D network: dilated convolutions, batch norm, pools, a flatten of two axes."""
    return nn.Sequential(
        nn.Conv1d(3, 8, 5, padding="same"), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 8, 3, padding=2, dilation=2, groups=8), nn.Tanh(), nn.AvgPool1d(2),
        nn.Conv1d(8, 6, 1, stride=2), nn.BatchNorm1d(6), nn.Flatten(), nn.Linear(30, 4),
    )  # fmt: skip


def mlp() -> Any:
    """Linear layers with a batch norm on features, as an autoencoder has them."""
    return nn.Sequential(
        nn.Linear(20, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Linear(16, 4),
        nn.Sigmoid(),
        nn.Linear(4, 20),
    )


class Inception(nn.Module):
    """Branches concatenated over channels; two heads flattened, then concatenated and scaled."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 5, 3, padding=1)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        self.norm = nn.BatchNorm1d(2 * 12 * 16)
        self.fc = nn.Linear(2 * 12 * 16, 6)

    def forward(self, x: Any) -> Any:
        x = torch.cat([self.a(x), F.relu(self.b(x)), self.pool(x)], dim=1)
        both = torch.cat([x.flatten(1), torch.sigmoid(x).flatten(1)], dim=1)
        return self.fc(F.relu(self.norm(both)))


class Squeeze(nn.Module):
    """Squeeze-and-excitation, then spatial attention: gates multiplied with whole tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix = nn.Conv2d(2, 8, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1)
        self.down, self.up = nn.Linear(8, 3), nn.Linear(3, 8)

    def forward(self, x: Any) -> Any:
        x = F.hardswish(self.conv(x))
        gate = torch.sigmoid(self.up(F.relu(self.down(x.mean((2, 3))))))
        x = x * gate.view(x.shape[0], 8, 1, 1)
        maps = torch.cat([x.mean(1, keepdim=True), (x * x).mean(1, keepdim=True)], 1)
        return x * F.hardsigmoid(self.mix(maps))


class Segmenter(nn.Module):
    """An image out: softmax over the channels of every pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.ZeroPad2d((1, 2, 0, 1)), nn.Conv2d(3, 6, 3), nn.SiLU())
        self.head = nn.Conv2d(6, 4, 1)

    def forward(self, x: Any) -> Any:
        return torch.softmax(self.head(self.body(x)), dim=1)


# Each network with the shape of its input, some with a batch; none may keep a transpose.
NETS: dict[str, tuple[Callable[[], Any], Shapes]] = {
    "lenet": (lenet, ((1, 1, 22, 18),)),
    "mobilenet": (MobileNet, ((1, 3, 17, 16),)),
    "resnet": (ResNet, ((2, 3, 10, 12),)),
    "keyword": (Keyword, ((1, 49, 10),)),
    "signal": (signal_net, ((2, 3, 40),)),
    "mlp": (mlp, ((1, 20),)),
    "inception": (Inception, ((1, 3, 4, 4),)),
    "squeeze": (Squeeze, ((3, 2, 6, 5),)),
    "segmenter": (Segmenter, ((1, 3, 5, 6),)),
}


def build(name: str) -> tuple[Any, Shapes]:
    """The named network with fixed random weights, and its input shapes."""
    make, shapes = NETS[name]
    torch.manual_seed(0)
    return settle(make()), shapes


@functools.cache
def net_graph(name: str) -> Graph:
    """The Graph of the named network, checked against it; read once, as an export is slow."""
    net, shapes = build(name)
    return imported(net, *shapes)
