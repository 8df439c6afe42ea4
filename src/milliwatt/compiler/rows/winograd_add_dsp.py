"""Rows of conv2d + add by the Winograd kernels for the DSP extension: bands of tiles, and a sum."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import gcd

import numpy as np

from milliwatt.compiler.rows import winograd_dsp
from milliwatt.compiler.rows.conv_add_dsp import hidden_of
from milliwatt.compiler.rows.elementwise_dsp import plane_fields, plane_of
from milliwatt.compiler.rows.results import prefixed, s8_bounds
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.rows.winograd_dsp import F2, F4, GROUPS, Scheme
from milliwatt.compiler.target import DSP
from milliwatt.ir.attrs import ConvAdd
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op


def _band(node: Node, scheme: Scheme) -> int:
    """Output rows at a time: as few tiles as make whole blocks of four."""
    _, height, width, _ = node.type.shape
    wide = -(-width // scheme.side)
    return int(min(scheme.side * (4 // gcd(4, wide)), height))


def _fits(node: Node, scheme: Scheme, group: int) -> bool:
    """What conv2d takes, and scales with a plane."""
    hidden = hidden_of(node)
    return (
        winograd_dsp.fits(hidden, scheme, group)
        and plane_of(Op.ADD, node.type, hidden.type, node.src[3].type) is not None
    )


def _lower(node: Node, scheme: Scheme, group: int) -> Lowered:
    """conv2d with a fused add; the skip tensor is the second pointer."""
    assert isinstance(node.attrs, ConvAdd)
    hidden = hidden_of(node)
    conv = winograd_dsp.lower(hidden, scheme, group)
    plane = plane_of(Op.ADD, node.type, hidden.type, node.src[3].type)
    assert plane is not None
    total: tuple[Field, ...] = (
        ("rows", 1),
        ("row", node.type.size),
        ("rank", 0),
        ("axes", np.zeros(3, np.int32)),
        *prefixed("linear", plane_fields(plane)),
        *s8_bounds(node.type, node.attrs.add.clamp),
    )
    band = _band(node, scheme)
    kept = (band * node.type.shape[2] * node.type.shape[3] + 3) & ~3
    fields = (*prefixed("conv", conv.fields), ("band", band), *prefixed("sum", total))
    return Lowered(fields, kept + conv.workspace_bytes, (0, 3))


def _work(node: Node, scheme: Scheme, group: int) -> Mapping[str, float]:
    """conv2d's counts, and of bands and sums."""
    counts = winograd_dsp.work(hidden_of(node), scheme, group)
    bands = node.type.shape[0] * -(-node.type.shape[1] // _band(node, scheme))
    return {**counts, "bands": bands, "added": node.type.size}


def _row(scheme: Scheme, group: int) -> Row:
    conv = next(r for r in winograd_dsp.ROWS if r.kernel == f"conv2d_winograd{scheme.side}_s8_dsp")
    return Row(
        Op.CONV2D_ADD,
        ("s8", "s8"),
        f"conv2d_add_winograd{scheme.side}_s8_dsp",
        "conv2d_add_winograd_s8_dsp_params",
        partial(_lower, scheme=scheme, group=group),
        partial(_fits, scheme=scheme, group=group),
        f"{conv.note}; scales with a plane",
        inplace=(1,),
        isa=DSP,
        files=(f"{conv.kernel}.c", *conv.files, "add_s8_dsp.c"),
        work=partial(_work, scheme=scheme, group=group),
    )


ROWS = tuple(_row(scheme, group) for scheme in (F4, F2) for group in GROUPS)
