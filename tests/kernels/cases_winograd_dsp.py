"""Convolutions for the Winograd kernels: sizes around whole tiles and blocks, borders, steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.cases_core import CLAMPS, ZERO_POINTS, Case, grid
from milliwatt.ir.attrs import NO_CLAMP, Clamp, Conv2d, ConvAdd, Elementwise
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

SIZES = ((1, 1), (3, 3), (4, 4), (5, 8), (8, 5), (7, 13), (2, 17), (9, 9))
PADDINGS = ((1, 1, 1, 1), (1, 1, 1, 1), (0, 0, 0, 0), (2, 0, 1, 2), (0, 3, 2, 0))
CHANNELS = (4, 8, 12, 16, 16, 20, 36)


def convolution(
    shape: tuple[int, int, int, int],
    outputs: int,
    padding: tuple[int, int, int, int],
    *,
    zeros: tuple[int, int] = (-128, -128),
    clamp: Clamp = (0.0, float("inf")),
    fill: int = 0,
) -> Node:
    """conv2d of a 3 x 3 kernel; `fill` other than 0 makes all weights that, sums extreme."""
    rng = np.random.default_rng([*shape, outputs])
    x = graph_input(shape, DType.S8, "x", Quant.per_tensor(0.05, zeros[0]))
    values = rng.integers(-127, 128, (outputs, 3, 3, shape[3]))
    weight = constant(
        np.full_like(values, fill).astype(np.int8) if fill else values.astype(np.int8),
        "w",
        Quant.per_axis(2.0 ** rng.uniform(-8, -4, outputs), 0),
    )
    bias = constant(rng.integers(-5000, 5000, outputs).astype(np.int32), "b")
    quant = Quant.per_tensor(0.05 * 3 * np.sqrt(shape[3]), zeros[1])
    attrs = Conv2d((1, 1), padding, (1, 1), clamp, quant)
    return Node(Op.CONV2D, (x, weight, bias), attrs, "y")


def added(node: Node, clamp: Clamp = NO_CLAMP) -> Node:
    """A convolution and a sum with a skip tensor as one conv2d_add, at scales with a plane."""
    assert isinstance(node.attrs, Conv2d)
    skip = graph_input(node.type.shape, DType.S8, "skip", Quant.per_tensor(0.0417741537, 11))
    out = Quant.per_tensor(max(node.type.scale, 0.0417741537) * 1.0894, 5)
    attrs = ConvAdd(node.attrs, Elementwise(clamp, out))
    return Node(Op.CONV2D_ADD, (*node.src, skip), attrs, "y")


def _cases() -> Iterator[Case]:
    options = grid(
        40,
        size=SIZES,
        padding=PADDINGS,
        channels=CHANNELS,
        outputs=(2, 4, 6),
        batches=(1, 1, 2),
        zeros=[(a, b) for a in ZERO_POINTS for b in (-128, 3)],
        clamp=CLAMPS,
        fill=(0, 0, 0, 0, -127, 127),
    )
    for number, option in enumerate(options):
        top, bottom, left, right = option["padding"]
        height, width = option["size"]
        if min(height + top + bottom, width + left + right) < 3:
            continue
        node = convolution(
            (option["batches"], height, width, option["channels"]),
            option["outputs"],
            option["padding"],
            zeros=option["zeros"],
            clamp=option["clamp"],
            fill=option["fill"],
        )
        yield f"winograd-s8-{number}", node
        if number % 3 == 0:
            yield f"winograd_add-s8-{number}", added(node, option["clamp"])


CASES: tuple[Case, ...] = tuple(sorted(_cases(), key=lambda case: case[0].rsplit("-", 1)[0]))
