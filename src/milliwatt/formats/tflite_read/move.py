"""Operators that move values: .tflite operators as nodes."""

from __future__ import annotations

import numpy as np

from milliwatt.formats.tflite_read import blocks, slices, static
from milliwatt.formats.tflite_read.moves import axis_of, known, numbers
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.move import BroadcastTo, Gather, MirrorPad, Resize
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_REFLECT, _SYMMETRIC = 0, 1


def _check_indices(site: Site, values: np.ndarray, dim: int) -> None:
    """ImportFailed for a constant index outside an axis of `dim`."""
    outside = values[(values < 0) | (values >= dim)]
    if outside.size:
        site.fail(f"index {int(outside[0])} of an axis of {dim}; 0 to {dim - 1} wanted")


def _gather(site: Site) -> Node:
    x, indices = site.operand(0), site.operand(1)
    axis = axis_of(site, site.option(0, "i"), len(x.type.shape))
    batch = site.option(1, "i")
    if batch < 0:
        batch += len(indices.type.shape)
    return _picked(site, x, indices, Gather(axis, batch))


def _picked(site: Site, x: Node, indices: Node, attrs: Gather, suffix: str = "") -> Node:
    if indices.is_constant:
        _check_indices(site, indices.value, x.type.shape[attrs.axis])
    return known(site.node(Op.GATHER, (x, indices), attrs, suffix))


def _gather_nd(site: Site) -> Node:
    x, indices = site.operand(0), site.operand(1)
    node = site.node(Op.GATHER_ND, (x, indices), Attrs())
    if indices.is_constant:
        for at in range(indices.type.shape[-1]):
            _check_indices(site, indices.value[..., at], x.type.shape[at])
    return known(node)


def _embedding_lookup(site: Site) -> Node:
    """EMBEDDING_LOOKUP(rows, table): a gather; of an s8 table perhaps the real values."""
    rows, table = site.operand(0), site.operand(1)
    if len(rows.type.shape) != 1 or len(table.type.shape) < 2:
        site.fail(f"{rows.type.short} of {table.type.short}; [rows] of 2 axes or more wanted")
    real = table.type.dtype is DType.S8 and any(out.dtype is DType.F32 for out in site.outs)
    if not real:
        return _picked(site, table, rows, Gather())
    if table.type.zero_point != 0:
        site.fail(f"{table.name} has zero point {table.type.zero_point}; 0 wanted")
    picked = _picked(site, table, rows, Gather(), ".gather")
    return known(site.node(Op.DEQUANTIZE, (picked,), Attrs()))


def _broadcast_to(site: Site) -> Node:
    return known(
        site.node(Op.BROADCAST_TO, (site.operand(0),), BroadcastTo(tuple(numbers(site, 1))))
    )


def _mirror_pad(site: Site) -> Node:
    x, table, mode = site.operand(0), site.parameter(1), site.option(0, "b")
    if mode not in (_REFLECT, _SYMMETRIC):
        site.fail(f"mode number {mode}; 0 (REFLECT) or 1 (SYMMETRIC) wanted")
    rank = len(x.type.shape)
    if table.shape != (rank, 2):
        site.fail(f"paddings are {table.tolist()}; {rank} pairs wanted")
    paddings = tuple((int(before), int(after)) for before, after in table)
    return known(site.node(Op.MIRROR_PAD, (x,), MirrorPad(paddings, mode == _SYMMETRIC)))


def _dynamic_update_slice(site: Site) -> Node:
    operands = (site.operand(0), site.operand(1), site.operand(2))
    return known(site.node(Op.DYNAMIC_UPDATE_SLICE, operands, Attrs()))


def _resize(op: Op, align_corners: int) -> Reader:
    """`align_corners` is the number of its option; half_pixel_centers is the next."""

    def read(site: Site) -> Node:
        height, width = numbers(site, 1, 2)
        align, half = (site.option(align_corners + at, "B") != 0 for at in range(2))
        attrs = Resize((height, width), align, half)
        return known(site.node(op, (site.operand(0),), attrs))

    return read


READERS: dict[str, tuple[int, Reader]] = {
    **blocks.READERS,
    **slices.READERS,
    **static.READERS,
    "BROADCAST_TO": (0, _broadcast_to),
    "DYNAMIC_UPDATE_SLICE": (0, _dynamic_update_slice),
    "EMBEDDING_LOOKUP": (0, _embedding_lookup),
    "GATHER": (23, _gather),
    "GATHER_ND": (0, _gather_nd),
    "MIRROR_PAD": (77, _mirror_pad),
    "RESIZE_BILINEAR": (15, _resize(Op.RESIZE_BILINEAR, 2)),
    "RESIZE_NEAREST_NEIGHBOR": (74, _resize(Op.RESIZE_NEAREST, 0)),
}
