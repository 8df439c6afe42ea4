"""Int8 layers and small networks with the shapes and operators of the MLPerf Tiny models.

Weights are random with a fixed seed and fill the result's range, so that kernels meet ordinary
multipliers and no layer saturates everywhere. They need no model files.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from milliwatt.ir.attrs import (
    NO_CLAMP,
    RELU,
    Clamp,
    Conv2d,
    Elementwise,
    FullyConnected,
    Pool2d,
    Reshape,
    Softmax,
)
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

IN = Quant.per_tensor(0.05, -128)
SPREAD = 74.0
"""Standard deviation of uniform int8 values."""


class Net:
    """Grows one network, a layer after the other; `value` is the last layer's result."""

    def __init__(self, name: str, shape: tuple[int, ...]) -> None:
        """An int8 input of `shape`, [1,H,W,C] or [1,C]."""
        self.name, self.rng = name, np.random.default_rng(list(name.encode()))
        self.input = self.value = graph_input(shape, DType.S8, "x", IN)
        self.count = 0

    def _grow(self, op: Op, operands: tuple[Node, ...], attrs: object) -> Net:
        self.count += 1
        self.value = Node(op, operands, attrs, f"{op}{self.count}")
        return self

    def _weighted(self, shape: tuple[int, ...], axis: int, clamp: Clamp) -> tuple[tuple, Quant]:
        """(operands, quantization of the result): per-channel weights, s32 biases."""
        x, channels = self.value, shape[axis]
        taps = math.prod(shape) // channels
        scales = self.rng.uniform(0.004, 0.008, channels)
        products = x.type.scale * scales
        weight = self.rng.integers(-127, 128, shape).astype(np.int8)
        bias = self.rng.integers(-2000, 2000, channels).astype(np.int32)
        operands = (
            x,
            constant(weight, f"w{self.count}", Quant.per_axis(scales, axis)),
            constant(bias, f"b{self.count}", Quant.per_axis(products, 0)),
        )
        real = float(products.mean()) * SPREAD**2 * math.sqrt(taps)
        zero_point = 0 if clamp == NO_CLAMP else -128
        return operands, Quant.per_tensor(real / 60, zero_point)

    def conv(
        self,
        channels: int,
        kernel: tuple[int, int] = (1, 1),
        stride: tuple[int, int] = (1, 1),
        clamp: Clamp = RELU,
    ) -> Net:
        """conv2d with TFLite's SAME padding."""
        shape = (channels, *kernel, self.value.type.shape[3])
        operands, quant = self._weighted(shape, 0, clamp)
        padding = self._same(kernel, stride)
        return self._grow(Op.CONV2D, operands, Conv2d(stride, padding, clamp=clamp, quant=quant))

    def depthwise(
        self,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        clamp: Clamp = RELU,
        same: bool = True,
    ) -> Net:
        """depthwise_conv2d, padded or not."""
        operands, quant = self._weighted((1, *kernel, self.value.type.shape[3]), 3, clamp)
        padding = self._same(kernel, stride) if same else (0, 0, 0, 0)
        attrs = Conv2d(stride, padding, clamp=clamp, quant=quant)
        return self._grow(Op.DEPTHWISE_CONV2D, operands, attrs)

    def _same(self, kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, int, int, int]:
        sides: list[int] = []
        for length, span, step in zip(self.value.type.shape[1:3], kernel, stride, strict=True):
            total = max((-(-length // step) - 1) * step + span - length, 0)
            sides += [total // 2, total - total // 2]
        return (sides[0], sides[1], sides[2], sides[3])

    def dense(self, channels: int, clamp: Clamp = RELU) -> Net:
        """fully_connected; what is not flat yet is made so."""
        if len(self.value.type.shape) > 2:
            self._grow(Op.RESHAPE, (self.value,), Reshape((1, self.value.type.size)))
        operands, quant = self._weighted((channels, self.value.type.shape[1]), 0, clamp)
        return self._grow(Op.FULLY_CONNECTED, operands, FullyConnected(clamp, quant))

    def add(self, other: Node) -> Net:
        """The sum with an earlier value, clamped at 0."""
        quant = Quant.per_tensor(self.value.type.scale + other.type.scale, -128)
        attrs = Elementwise(RELU, quant)
        return self._grow(Op.ADD, (self.value, other), attrs)

    def pool(self) -> Net:
        """The average over the whole picture."""
        kernel = self.value.type.shape[1:3]
        return self._grow(Op.AVERAGE_POOL2D, (self.value,), Pool2d(kernel, kernel))

    def classify(self, classes: int) -> Graph:
        """fully_connected and softmax; the finished network."""
        self.dense(classes, NO_CLAMP)
        return self._grow(Op.SOFTMAX, (self.value,), Softmax()).graph()

    def graph(self) -> Graph:
        """The network so far."""
        return Graph((self.input,), (self.value,), name=self.name)


def _sum() -> Graph:
    net = Net("add", (1, 32, 32, 16))
    other = graph_input((1, 32, 32, 16), DType.S8, "x2", Quant.per_tensor(0.03, -128))
    net.add(other)
    return Graph((net.input, other), (net.value,), name=net.name)


LAYERS: dict[str, Callable[[], Graph]] = {
    "kws_pointwise": lambda: Net("kws_pointwise", (1, 25, 5, 64)).conv(64).graph(),
    "sww_pointwise": lambda: Net("sww_pointwise", (1, 24, 1, 128)).conv(128).graph(),
    "ic_3x3": lambda: Net("ic_3x3", (1, 16, 16, 32)).conv(32, (3, 3)).graph(),
    "kws_first": lambda: Net("kws_first", (1, 49, 10, 1)).conv(64, (10, 4), (2, 2)).graph(),
    "vww_first": lambda: Net("vww_first", (1, 96, 96, 3)).conv(8, (3, 3), (2, 2)).graph(),
    "ic_first": lambda: Net("ic_first", (1, 32, 32, 3)).conv(16, (3, 3)).graph(),
    "kws_depthwise": lambda: Net("kws_depthwise", (1, 25, 5, 64)).depthwise((3, 3)).graph(),
    "vww_depthwise": lambda: (
        Net("vww_depthwise", (1, 48, 48, 16)).depthwise((3, 3), (2, 2)).graph()
    ),
    "ad_dense": lambda: Net("ad_dense", (1, 640)).dense(128).graph(),
    "ic_add": _sum,
    "kws_pool": lambda: Net("kws_pool", (1, 25, 5, 64)).pool().graph(),
}
"""One layer each, of the shape that the model of that name has."""


def _kws() -> Graph:
    net = Net("kws_like", (1, 49, 10, 1)).conv(64, (10, 4), (2, 2))
    return net.depthwise((3, 3)).conv(64).pool().classify(12)


def _vww() -> Graph:
    net = Net("vww_like", (1, 96, 96, 3)).conv(8, (3, 3), (2, 2))
    net.depthwise((3, 3)).conv(16).depthwise((3, 3), (2, 2)).conv(32)
    return net.depthwise((3, 3), (2, 2)).conv(64).pool().classify(2)


def _ic() -> Graph:
    net = Net("ic_like", (1, 32, 32, 3)).conv(16, (3, 3))
    for channels, stride in ((16, (1, 1)), (32, (2, 2))):
        entry = net.value
        net.conv(channels, (3, 3), stride).conv(channels, (3, 3), clamp=NO_CLAMP)
        main = net.value
        if stride != (1, 1):
            net.value = entry
            entry = net.conv(channels, (1, 1), stride, NO_CLAMP).value
            net.value = main
        net.add(entry)
    return net.pool().classify(10)


def _ad() -> Graph:
    return Net("ad_like", (1, 640)).dense(128).dense(8).dense(640, NO_CLAMP).graph()


def _sww() -> Graph:
    net = Net("sww_like", (1, 30, 1, 40))
    for taps in (3, 5, 10):
        net.depthwise((taps, 1), clamp=NO_CLAMP, same=False).conv(128)
    return net.depthwise((15, 1), clamp=NO_CLAMP, same=False).conv(32).classify(3)


NETS: dict[str, Callable[[], Graph]] = {
    "kws": _kws,
    "vww": _vww,
    "ic": _ic,
    "ad": _ad,
    "sww": _sww,
}
"""Few layers, but every operator of the model of that name with its kernels and strides."""
