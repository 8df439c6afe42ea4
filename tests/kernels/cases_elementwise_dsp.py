"""Sums and products for the kernels of the DSP extension: planes, steps, sizes, broadcasts; sums
fused into convolutions: bands and copies of weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from kernels.cases_conv_dsp import conv
from kernels.cases_core import CLAMPS, ZERO_POINTS, Case, grid
from milliwatt.ir.attrs import Conv2d, ConvAdd, Elementwise
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant


class Scales(NamedTuple):
    """Of the operands and the result."""

    a: float
    b: float
    out: float


DRAWN = (
    Scales(0.0233183745, 0.0417741537, 0.0455103219),
    Scales(0.0617398210, 0.0119283497, 0.0371920482),
    Scales(0.0191837465, 0.0198273645, 0.0072635491),
)
"""As calibration gives them: a plane in one step."""
SIMPLE = (Scales(0.05, 0.05, 0.1), Scales(0.03, 0.1, 0.1))
"""Sums that lie on halves: a plane in one step, in two."""
NO_PLANE = (Scales(0.031, 0.047, 0.05), Scales(0.07, 0.03, 0.09), Scales(0.5, 0.002, 0.4))
"""Simple fractions of each other: TFLM's roundings of halves lie on no plane."""
PRODUCTS = (Scales(0.0233, 0.0417, 0.0319), Scales(0.05, 0.05, 0.25), Scales(0.11, 0.9, 0.2501))

SHAPES = (
    ((1,), (1,)),
    ((7,), (7,)),
    ((8,), (8,)),
    ((1, 5, 3, 3), (1, 5, 3, 3)),
    ((2, 31), (2, 31)),
    ((3, 4, 9), (9,)),
    ((1, 1, 1, 6), (2, 3, 2, 6)),
    ((3, 1, 11), (3, 5, 11)),
)
"""Of both operands; rows of odd lengths, so that later ones start at any address."""


def _nodes(op: Op, scales: tuple[Scales, ...], count: int) -> Iterator[Case]:
    options = grid(
        count,
        shapes=SHAPES,
        scale=scales,
        zeros=[(a, b) for a in ZERO_POINTS for b in (-128, 3)],
        out=ZERO_POINTS,
        clamp=CLAMPS,
        fixed=(False, False, False, True),
    )
    for number, option in enumerate(options):
        quants = [
            Quant.per_tensor(s, z)
            for s, z in zip(option["scale"], (*option["zeros"], option["out"]), strict=True)
        ]
        x, y = (
            graph_input(shape, DType.S8, name, quant)
            for shape, name, quant in zip(option["shapes"], "ab", quants, strict=False)
        )
        if option["fixed"]:
            values = np.random.default_rng(number).integers(-128, 128, y.type.shape)
            y = constant(values.astype(np.int8), f"{op}{number}.b", quants[1])
        attrs = Elementwise(option["clamp"], quants[2])
        yield f"dsp-{op}-{number}", Node(op, (x, y), attrs, f"{op}{number}")


_WINDOWS: dict[str, Any] = {
    "size": ((1, 1), (3, 3), (7, 5), (12, 7), (5, 16)),
    "kernel": ((1, 1), (1, 1), (3, 3), (1, 3), (2, 1)),
    "stride": ((1, 1), (1, 1), (2, 2), (1, 2)),
    "dilation": ((1, 1), (1, 1), (2, 1)),
    "channels": (1, 3, 4, 8, 13),
    "outputs": (1, 2, 3, 4, 7, 16),
    "padding": ("valid", "same", "same"),
    "batches": (1, 1, 2),
    "clamp": CLAMPS,
    "out_zero": (-128, 5),
}
# Weights that fit each size of copy, in one piece or several; the last of them stay in flash.
_LAYERS = (
    conv((9, 8), 20, 30),
    conv((9, 8), 40, 40),
    conv((9, 8), 70, 70),
    conv((9, 3), 110, 110),
    conv((9, 3), 130, 130),
    conv((9, 5), 6, 20, (3, 3), padding="same", out_zero=3),
    conv((9, 5), 12, 20, (3, 3), padding="same"),
    conv((11, 8), 24, 31, (3, 3), padding="same", stride=(2, 1)),
    conv((9, 8), 48, 29, (3, 3), padding="same", out_zero=3),
)


def fused(hidden: Node, number: int) -> Node:
    """The convolution `hidden` and a sum behind it, as one node; zero points go by `number`."""
    assert isinstance(hidden.attrs, Conv2d)
    scale = hidden.type.scale
    quant = Quant.per_tensor(scale * 0.8371923, ZERO_POINTS[number % 5])
    skip = graph_input(hidden.type.shape, DType.S8, "skip", quant)
    out = Quant.per_tensor(scale * 1.1382746, ZERO_POINTS[number % 3])
    attrs = ConvAdd(hidden.attrs, Elementwise(CLAMPS[number % len(CLAMPS)], out))
    return Node(Op.CONV2D_ADD, (*hidden.src, skip), attrs, "y")


def _fusions() -> Iterator[Case]:
    drawn = [conv(**option) for option in grid(60, **_WINDOWS)]
    for number, hidden in enumerate((*drawn, *_LAYERS)):
        yield f"dsp-conv2d_add-{number}", fused(hidden, number)


CASES: tuple[Case, ...] = (
    *_nodes(Op.ADD, (*DRAWN, *SIMPLE, *NO_PLANE), 64),
    *_nodes(Op.SUB, (*DRAWN, *SIMPLE, *NO_PLANE), 64),
    *_nodes(Op.MUL, PRODUCTS, 40),
    *_fusions(),
)
