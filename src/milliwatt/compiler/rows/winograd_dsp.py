"""Rows and weight packing of the Winograd convolutions for the DSP extension."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from milliwatt.compiler.rows.channel_steps import LIMIT, ChannelSteps, channel_steps
from milliwatt.compiler.rows.results import s8_bounds
from milliwatt.compiler.rows.row import Lowered, Row
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import Conv2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.conv import is_plain

GROUPS = (4, 1)
"""Pairs of output channels whose sums are kept at a time: more find the code of products and of
results in the flash's instruction cache, fewer take less RAM."""


@dataclass(frozen=True)
class Scheme:
    """F(side x side, 3 x 3): `kernel` is the integer matrix G of kernels/mw_winograd_dsp.h, `order`
    the one of positions down a column, and all results are 2**shift (times an odd number that is
    divided away) times the convolution's."""

    side: int
    kernel: tuple[tuple[int, int, int], ...]
    order: tuple[int, ...]
    shift: int

    @property
    def positions(self) -> int:
        """Products of a tile and channel."""
        return len(self.order) ** 2

    def tiles(self, node: Node) -> int:
        """Tiles of all images."""
        batches, height, width, _ = node.type.shape
        return batches * -(-height // self.side) * -(-width // self.side)


F2 = Scheme(2, ((2, 0, 0), (1, 1, 1), (1, -1, 1), (0, 0, 2)), (1, 0, 2, 3), 2)
F4 = Scheme(
    4,
    ((3, 0, 0), (1, 1, 1), (1, -1, 1), (1, 2, 4), (1, -2, 4), (0, 0, 3)),
    (1, 2, 3, 4, 0, 5),
    6,
)


def pack(weight: np.ndarray, scheme: Scheme) -> np.ndarray:
    """int8 [O,3,3,C] as s32 [O/2, positions, C/2, 2] of two int16 each, flat.

    Positions go column by column; of four channels the pairs are (0, 2) and (1, 3).
    """
    g = np.array(scheme.kernel, np.int64)
    moved = np.einsum("ia,oabc,jb->ojic", g, weight.astype(np.int64), g)[:, :, list(scheme.order)]
    outputs, channels = weight.shape[0], weight.shape[3]
    quads = moved.reshape(outputs // 2, 2, scheme.positions, channels // 4, 2, 2)
    # [pair of outputs, output, position, quad, lane, parity] -> lane innermost
    lanes = quads.transpose(0, 2, 3, 5, 1, 4).astype(np.int16)
    packed: np.ndarray = np.ascontiguousarray(lanes).reshape(-1).view(np.int32)
    return packed


def steps_of(node: Node, scheme: Scheme) -> ChannelSteps | None:
    """The requantization; None where a sum, without its bias, does not fit the scheme."""
    assert isinstance(node.attrs, Conv2d)
    weight = np.abs(node.src[1].value.astype(np.int64))
    if 128 * int(weight.sum(axis=(1, 2, 3)).max()) >= 1 << (31 - scheme.shift):
        return None
    return channel_steps(node, node.attrs, node.type, 0, LIMIT)


def fits(node: Node, scheme: Scheme, group: int) -> bool:
    """Kernel 3 x 3, stride and dilation 1, channels in fours and results in twos, and no smaller
    group does the same."""
    x, weight, attrs = node.src[0].type, node.src[1], node.attrs
    assert isinstance(attrs, Conv2d)
    return (
        all(s.is_constant for s in node.src[1:])
        and is_plain(node.op, x, weight.type)
        and weight.type.shape[1:3] == (3, 3)
        and attrs.stride == attrs.dilation == (1, 1)
        and x.shape[3] % 4 == 0
        and node.type.shape[3] % 2 == 0
        and (group == 1 or node.type.shape[3] > 2)
        and steps_of(node, scheme) is not None
    )


def lower(node: Node, scheme: Scheme, group: int) -> Lowered:
    """conv2d by Winograd's F(side x side, 3 x 3)."""
    assert isinstance(node.attrs, Conv2d)
    steps = steps_of(node, scheme)
    assert steps is not None
    records = steps.records.copy()
    if steps.steps == 2:
        records[:, 0] *= 2
    x = node.src[0].type
    fields = (
        *zip(("batches", "in_h", "in_w", "in_c"), x.shape, strict=True),
        *zip(("out_h", "out_w", "out_c"), node.type.shape[1:], strict=True),
        ("pad_top", node.attrs.padding[0]),
        ("pad_left", node.attrs.padding[2]),
        ("in_zero_point", x.zero_point),
        *s8_bounds(node.type, node.attrs.clamp),
        ("group", group),
        ("weights", pack(node.src[1].value, scheme)),
        ("channels", records.reshape(-1)),
    )
    return Lowered(fields, scheme.positions * (8 * x.shape[3] + 32 * group), (0,))


def work(node: Node, scheme: Scheme, group: int) -> Mapping[str, float]:
    """What a call does; see Row. A step is 16 products, a sum one of a tile and channel; turns are
    those between products and results."""
    tiles = scheme.tiles(node)
    blocks = -(-tiles // 4)
    channels, outputs = node.src[0].type.shape[3], node.type.shape[3]
    groups = blocks * (outputs // 2) * scheme.positions
    return {
        "calls": 1,
        "tiles": tiles,
        "cells": tiles * channels,
        "sums": tiles * outputs,
        "turns": blocks * -(-outputs // (2 * group)),
        "groups": groups,
        "steps": groups * (channels // 2),
        "multiplies": tiles * scheme.positions * channels * outputs,
        "flash_bytes": 2 * blocks * scheme.positions * channels * outputs,
    }


def _row(scheme: Scheme, group: int) -> Row:
    name = f"winograd{scheme.side}"
    return Row(
        Op.CONV2D,
        ("s8", "s8"),
        f"conv2d_{name}_s8_dsp",
        "conv2d_winograd_s8_dsp_params",
        partial(lower, scheme=scheme, group=group),
        partial(fits, scheme=scheme, group=group),
        "3 x 3 kernel, stride 1, input channels in fours, results in twos",
        isa=DSP,
        files=("winograd_gemm_dsp.c", f"{name}_input_dsp.c", f"{name}_output_dsp.c"),
        work=partial(work, scheme=scheme, group=group),
    )


ROWS = tuple(_row(scheme, group) for scheme in (F4, F2) for group in GROUPS)
