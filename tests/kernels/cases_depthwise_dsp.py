"""Grids of the depthwise kernels for the DSP extension."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from kernels.cases_core import CLAMPS, ZERO_POINTS, Case, grid
from milliwatt.ir.attrs import NO_CLAMP, RELU, Conv2d
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant
from support.single_ops import same_padding

_OPTIONS: dict[str, Sequence[Any]] = {
    "clamp": (RELU, RELU, *CLAMPS),
    "zero": ZERO_POINTS,
    "bias": (True, True, False),
    "per_axis": (True, True, False),
    "batches": (1, 1, 1, 2),
}


def depthwise(shape: Sequence[int], kernel: tuple[int, int], option: dict[str, Any]) -> Node:
    """depthwise_conv2d of `shape` [H,W,C]. `option`: stride, padding ("same" or four numbers),
    clamp, zero, bias, per_axis, batches; where a ReLU follows, no result is below the zero point,
    which is what lets kernels round in one step."""
    height, width, channels = shape
    rng = np.random.default_rng([height, width, channels, *kernel])
    stride, padding = option["stride"], option["padding"]
    if padding == "same":
        padding = same_padding((height, width), kernel, stride, (1, 1))
    x = graph_input(
        (option["batches"], height, width, channels),
        DType.S8,
        "x",
        Quant.per_tensor(0.05, option["zero"]),
    )
    scales = 2.0 ** rng.uniform(-8, -6, channels if option["per_axis"] else 1)
    quant = Quant.per_axis(scales, 3) if option["per_axis"] else Quant.per_tensor(float(scales[0]))
    weight = rng.integers(-127, 128, (1, *kernel, channels)).astype(np.int8)
    nodes = [constant(weight, "w", quant)]
    if option["bias"]:
        nodes.append(constant(rng.integers(-5000, 5000, channels).astype(np.int32), "b"))
    zero = 11 if option["clamp"] == NO_CLAMP else -128
    out = Quant.per_tensor(0.05 * math.sqrt(math.prod(kernel)), zero)
    attrs = Conv2d(stride, padding, (1, 1), option["clamp"], out)
    return Node(Op.DEPTHWISE_CONV2D, (x, *nodes), attrs, "y")


def three(stride: int, count: int) -> Iterator[Node]:
    """3 x 3: sizes around what is made at a time, in one block and in several; rows and columns."""
    sizes = ((1, 1), (2, 3), (3, 2), (4, 7), (7, 5), (25, 5), (6, 13), (13, 8), (9, 48), (8, 10))
    paddings = ("same", "same", (1, 1, 1, 1), (0, 0, 0, 0), (2, 1, 0, 1), (0, 1, 2, 2))
    channels = (1, 2, 3, 4, 5, 7, 8, 9)
    for option in grid(count, size=sizes, padding=paddings, channels=channels, **_OPTIONS):
        option["stride"] = (stride, stride)
        if option["padding"] != "same" and min(option["size"]) < 3:
            option["padding"] = "same"
        yield depthwise((*option["size"], option["channels"]), (3, 3), option)


def layer(
    shape: tuple[int, int, int],
    stride: int,
    kernel: tuple[int, int] = (3, 3),
    padding: Any = "same",
    clamp: tuple[float, float] = RELU,
) -> Node:
    """A layer as networks have them."""
    option = {"stride": (stride, stride), "padding": padding, "clamp": clamp, "zero": -128}
    return depthwise(shape, kernel, {**option, "bias": True, "per_axis": True, "batches": 1})


def taps(count: int) -> Iterator[Node]:
    """Any kernel that moves by one along an axis, with and without ReLU; in one step or two."""
    windows = (
        ((12, 1), (5, 1)),
        ((15, 1), (10, 1)),
        ((15, 1), (15, 1)),
        ((30, 1), (3, 1)),
        ((1, 9), (1, 4)),
        ((7, 9), (2, 5)),
        ((9, 6), (5, 5)),
        ((40, 30), (4, 3)),
        ((2, 2), (1, 1)),
    )
    options = {**_OPTIONS, "clamp": (NO_CLAMP, NO_CLAMP, RELU, (-1.0, 1.0))}
    strides = ((1, 1), (1, 1), (2, 1), (1, 3))
    paddings = ("same", (0, 0, 0, 0))
    for option in grid(
        count, window=windows, stride=strides, padding=paddings, channels=(1, 3, 4, 6, 9), **options
    ):
        size, kernel = option["window"]
        yield depthwise((*size, option["channels"]), kernel, option)


def one_line(count: int) -> Iterator[Node]:
    """Kernels of one line, 2 to 16 taps and more: every count of results around six, odd channels,
    rows and columns, several lines."""
    options = {**_OPTIONS, "clamp": (NO_CLAMP, NO_CLAMP, RELU, (-1.0, 1.0))}
    for option in grid(
        count,
        taps=(*range(2, 17), 19, 23),
        results=(*range(1, 14), 24),
        channels=(1, 2, 3, 4, 5, 7, 8, 11),
        lines=(1, 1, 1, 3),
        across=(True, False),
        padding=("same", (0, 0, 0, 0), (0, 0, 0, 0)),
        **options,
    ):
        n, lines = option["taps"], option["lines"]
        run = option["results"] if option["padding"] == "same" else option["results"] + n - 1
        size, kernel = ((lines, run), (1, n)) if option["across"] else ((run, lines), (n, 1))
        option["stride"] = (1, 1)
        yield depthwise((*size, option["channels"]), kernel, option)


CASES: tuple[Case, ...] = tuple(
    (f"{name}-s8-{number}", node)
    for name, nodes in (
        ("depthwise_dsp_three", three(1, 30)),
        ("depthwise_dsp_three_two", three(2, 30)),
        ("depthwise_dsp_taps", taps(40)),
        ("depthwise_dsp_line", one_line(60)),
        ("depthwise_dsp_wide", (layer(s, 1) for s in ((48, 48, 5), (60, 40, 3)))),
        ("depthwise_dsp_wide_two", (layer(s, 2) for s in ((48, 48, 5), (61, 41, 3)))),
    )
    for number, node in enumerate(nodes)
)
