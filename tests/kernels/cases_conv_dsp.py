"""The grids of conv2d with the DSP extension: layers large enough to fill its blocks and chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kernels.cases_core import CLAMPS, Case, grid, parameters, quantized
from milliwatt.ir.attrs import NO_CLAMP, RELU, Conv2d
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.single_ops import same_padding

# Around the unrolling of 16 products, blocks of 4 channels and runs of 4 bytes.
_OPTIONS: dict[str, Any] = {
    "size": ((1, 1), (3, 3), (5, 4), (1, 7), (6, 3)),
    "kernel": ((1, 1), (1, 1), (3, 3), (1, 3), (2, 1)),
    "stride": ((1, 1), (1, 1), (2, 2), (1, 2)),
    "dilation": ((1, 1), (1, 1), (1, 2), (2, 1)),
    "channels": (1, 3, 4, 6, 8, 13, 16, 17, 31, 36),
    "outputs": (1, 2, 3, 4, 5, 6, 7, 8, 12, 23),
    "padding": ("valid", "same", "same"),
    "batches": (1, 2, 3),
    "clamp": CLAMPS,
    "per_axis": (True, False),
    # Results on both sides of the zero point are rounded in two steps.
    "out_zero": (-128, 127, 0, 5),
}


def conv(
    size: tuple[int, int],
    channels: int,
    outputs: int,
    kernel: tuple[int, int] = (1, 1),
    **options: Any,
) -> Node:
    """conv2d of s8 with random weights; `options` are members of _OPTIONS."""
    stride, dilation = options.get("stride", (1, 1)), options.get("dilation", (1, 1))
    fits = all((k - 1) * d + 1 <= s for k, d, s in zip(kernel, dilation, size, strict=True))
    padding = (0, 0, 0, 0)
    if options.get("padding") == "same" or not fits:
        padding = same_padding(size, kernel, stride, dilation)
    shape = (options.get("batches", 1), *size, channels)
    x = graph_input(shape, DType.S8, "x", quantized(DType.S8, 7))
    nodes, scale = parameters(
        x, (outputs, *kernel, channels), 0, bias=True, per_axis=options.get("per_axis", True)
    )
    quant = quantized(DType.S8, options.get("out_zero", -128), scale)
    attrs = Conv2d(stride, padding, dilation, options.get("clamp", NO_CLAMP), quant)
    return Node(Op.CONV2D, (x, *nodes), attrs, "y")


def one_channel(size: tuple[int, int], outputs: int, kernel: tuple[int, int]) -> Node:
    """depthwise_conv2d of one input channel."""
    x = graph_input((1, *size, 1), DType.S8, "x", quantized(DType.S8, -3))
    nodes, scale = parameters(x, (1, *kernel, outputs), 3, bias=True, per_axis=True)
    padding = same_padding(size, kernel, (2, 2), (1, 1))
    attrs = Conv2d((2, 2), padding, clamp=RELU, quant=quantized(DType.S8, -128, scale))
    return Node(Op.DEPTHWISE_CONV2D, (x, *nodes), attrs, "y")


def extremes() -> Node:
    """Weights and inputs at their ends: the halves of pairs carry and borrow."""
    x = graph_input((1, 4, 5, 6), DType.S8, "x", quantized(DType.S8, 127))
    values = np.array([-127, 127, -1, 0, 1, -128], np.int8)
    weight = np.stack([np.roll(values, shift) for shift in range(6)])
    weight[::2] = np.maximum(weight[::2], -127)
    kind = parameters(x, (6, 1, 1, 6), 0, bias=False, per_axis=True)[0][0].type
    node = constant(weight.reshape(6, 1, 1, 6), "w", kind.quant)
    attrs = Conv2d(quant=quantized(DType.S8, -128, 0.2))
    return Node(Op.CONV2D, (x, node), attrs, "y")


def _cases() -> Iterator[Case]:
    for number, option in enumerate(grid(120, **_OPTIONS)):
        yield f"conv2d_dsp-s8-{number}", conv(**option)
    # Weights that fit each size of copy, in one piece or several; the last ones stay in flash.
    layers = (
        conv((4, 5), 20, 30),
        conv((4, 5), 40, 40),
        conv((4, 5), 70, 70),
        conv((4, 5), 130, 130),
        conv((4, 4), 100, 100),
        conv((5, 3), 128, 44),
        conv((6, 5), 64, 70),
        conv((5, 4), 6, 20, (3, 3)),
        conv((5, 4), 12, 20, (3, 3), padding="same"),
        conv((5, 4), 24, 20, (3, 3), padding="same"),
        conv((5, 4), 48, 29, (3, 3), padding="same", out_zero=3),
        conv((7, 6), 3, 8, (3, 3), padding="same", stride=(2, 2)),
        conv((5, 7), 3, 5, (3, 3), padding="same", out_zero=0),
        conv((9, 5), 2, 9, (4, 2), padding="same"),
        conv((3, 3), 8, 6),
        conv((3, 3), 8, 6, (2, 2)),
        one_channel((11, 9), 18, (3, 4)),
        one_channel((11, 9), 64, (9, 4)),
        one_channel((21, 9), 64, (10, 9)),
        one_channel((5, 5), 3, (3, 3)),
        extremes(),
    )
    for number, node in enumerate(layers):
        yield f"conv2d_dsp_copies-s8-{number}", node


CASES: tuple[Case, ...] = tuple(_cases())
