"""Rows of the operators that move values: slices, gathers, broadcasts, mirrors, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from milliwatt.compiler.rows.row import ANY, Field, Lowered, Row
from milliwatt.compiler.rows.shape import run_fields
from milliwatt.compiler.rows.strides import MAX_RANK, Axis, row_major
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs.move import Gather, MirrorPad, Resize, ShiftIn, StridedSlice
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.move import mirror_maps
from milliwatt.ir.ops.resize import integer_step, nearest_map, places_f32


def lower_strided_slice(node: Node) -> Lowered:
    """strided_slice: a walk in the order of the result, some steps backwards."""
    attrs, itemsize = node.attrs, node.type.dtype.itemsize
    assert isinstance(attrs, StridedSlice)
    steps = row_major(node.src[0].type.shape, itemsize)
    ins = [step * stride for step, stride in zip(steps, attrs.strides, strict=True)]
    outs = row_major(node.type.shape, itemsize)
    offset = sum(begin * step for begin, step in zip(attrs.begin, steps, strict=True))
    axes = list(zip(node.type.shape, ins, outs, strict=True))
    return Lowered((*run_fields(node, axes), ("in_offset", offset)))


def lower_broadcast_to(node: Node) -> Lowered:
    """broadcast_to: axes that repeat take steps of 0."""
    itemsize, shape = node.type.dtype.itemsize, node.src[0].type.shape
    shape = (1,) * (len(node.type.shape) - len(shape)) + shape
    ins = [0 if n == 1 else s for n, s in zip(shape, row_major(shape, itemsize), strict=True)]
    outs = row_major(node.type.shape, itemsize)
    axes = list(zip(node.type.shape, ins, outs, strict=True))
    return Lowered((*run_fields(node, axes), ("in_offset", 0)))


def _take(node: Node, maps: Sequence[np.ndarray]) -> Lowered:
    """Tables of byte offsets; what is kept whole at the end is one run."""
    x, tables = node.src[0].type, list(maps)
    run = x.dtype.itemsize
    while len(tables) > 1 and np.array_equal(tables[-1], np.arange(x.shape[len(tables) - 1])):
        run *= len(tables.pop())
    if len(tables) > MAX_RANK:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): {len(tables)} axes up to the last that changes; "
            f"{MAX_RANK} at most wanted; reshape to fewer axes or split the node"
        )
    sizes = [len(table) for table in tables]
    steps = row_major(x.shape, x.dtype.itemsize)
    offsets = [table * step for table, step in zip(tables, steps, strict=False)]
    return Lowered(
        (
            ("rows", math.prod(sizes[:-1])),
            ("row", sizes[-1]),
            ("run_bytes", run),
            ("rank", len(sizes)),
            ("sizes", np.array(sizes, np.int32)),
            ("offsets", np.concatenate(offsets).astype(np.int32)),
        )
    )


def lower_shift_in(node: Node) -> Lowered:
    """shift_in: of every row, the bytes that stay and those that come."""
    assert isinstance(node.attrs, ShiftIn)
    axis, itemsize = node.attrs.axis, node.type.dtype.itemsize
    row, fresh = (math.prod(s.type.shape[axis:]) * itemsize for s in node.src)
    return Lowered(
        (
            ("rows", math.prod(node.type.shape[:axis])),
            ("kept_bytes", row - fresh),
            ("fresh_bytes", fresh),
        )
    )


def lower_mirror_pad(node: Node) -> Lowered:
    """mirror_pad: tables of what each row and column shows."""
    assert isinstance(node.attrs, MirrorPad)
    return _take(node, mirror_maps(node.attrs, node.src[0].type))


def _nearest_maps(node: Node) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(node.attrs, Resize)
    x = node.src[0].type
    return nearest_map(node.attrs, 0, x), nearest_map(node.attrs, 1, x)


def lower_nearest(node: Node) -> Lowered:
    """resize_nearest: tables of what each row and column shows."""
    n, _, _, c = node.type.shape
    return _take(node, (np.arange(n), *_nearest_maps(node), np.arange(c)))


def repeats(node: Node) -> bool:
    """True where every row and column is shown a whole number of times, as in most U-nets."""
    sizes = zip(_nearest_maps(node), node.src[0].type.shape[1:3], strict=True)
    return all(
        len(table) % size == 0
        and np.array_equal(table, np.repeat(np.arange(size), len(table) // size))
        for table, size in sizes
    )


def lower_repeat(node: Node) -> Lowered:
    """resize_nearest by whole factors: each cell is broadcast, no table is wanted."""
    itemsize = node.type.dtype.itemsize
    batches, height, width, channels = node.src[0].type.shape
    down, across = node.type.shape[1] // height, node.type.shape[2] // width
    shape = (batches, height, down, width, across, channels)
    step, row = channels * itemsize, width * channels * itemsize
    ins = (height * row, row, 0, step, 0, itemsize)
    axes: list[Axis] = list(zip(shape, ins, row_major(shape, itemsize), strict=True))
    return Lowered((*run_fields(node, axes), ("in_offset", 0)))


def _gather(
    node: Node, batches: int, outer: int, count: int, axes: Sequence[tuple[int, int]], run: int
) -> Lowered:
    """The members of mw_gather_params; `axes` is (size, stride in bytes) for each index."""
    x = node.src[0].type
    return Lowered(
        (
            ("batches", batches),
            ("outer", outer),
            ("block_bytes", x.nbytes // (batches * outer)),
            ("count", count),
            ("depth", len(axes)),
            ("run_bytes", run),
            ("index_bytes", node.src[1].type.dtype.itemsize),
            ("axes", np.array(axes, np.int32).reshape(-1)),
        )
    )


def lower_gather(node: Node) -> Lowered:
    """gather: one index a run."""
    attrs, x = node.attrs, node.src[0].type
    assert isinstance(attrs, Gather)
    batches = math.prod(x.shape[: attrs.batch_dims])
    outer = math.prod(x.shape[attrs.batch_dims : attrs.axis])
    run = math.prod(x.shape[attrs.axis + 1 :]) * x.dtype.itemsize
    count = node.src[1].type.size // batches
    return _gather(node, batches, outer, count, [(x.shape[attrs.axis], run)], run)


def lower_gather_nd(node: Node) -> Lowered:
    """gather_nd: an index for each of the leading axes."""
    x, indices = node.src[0].type, node.src[1].type
    depth = indices.shape[-1]
    axes = list(zip(x.shape, row_major(x.shape, x.dtype.itemsize), strict=True))[:depth]
    run = math.prod(x.shape[depth:]) * x.dtype.itemsize
    return _gather(node, 1, 1, indices.size // depth, axes, run)


def lower_dynamic_update_slice(node: Node) -> Lowered:
    """dynamic_update_slice: the update's runs on their places, from an offset known at run time."""
    x, update, start = (s.type for s in node.src)
    itemsize = x.dtype.itemsize
    ins, outs = row_major(update.shape, itemsize), row_major(x.shape, itemsize)
    room = [d - u for d, u in zip(x.shape, update.shape, strict=True)]
    limits = np.array(list(zip(room, outs, strict=True)) or [(0, 0)], np.int32)
    return Lowered(
        (
            *run_fields(node, list(zip(update.shape, ins, outs, strict=True))),
            ("out_bytes", x.nbytes),
            ("start_rank", len(room)),
            ("index_bytes", start.dtype.itemsize),
            ("limits", limits.reshape(-1)),
        )
    )


def _image_fields(node: Node) -> tuple[Field, ...]:
    x, out = node.src[0].type.shape, node.type.shape
    names = ("batches", "in_h", "in_w", "channels", "out_h", "out_w")
    return tuple(zip(names, (*x, *out[1:3]), strict=True))


def lower_bilinear_integer(node: Node) -> Lowered:
    """resize_bilinear: places are counted in C."""
    assert isinstance(node.attrs, Resize)
    names = (("first_y", "step_y"), ("first_x", "step_x"))
    places = [
        pair
        for axis in (0, 1)
        for pair in zip(names[axis], integer_step(node.attrs, axis, node.src[0].type), strict=True)
    ]
    return Lowered((*_image_fields(node), *places))


def lower_bilinear_f32(node: Node) -> Lowered:
    """resize_bilinear: places are tables."""
    assert isinstance(node.attrs, Resize)
    x = node.src[0].type
    rows, columns = (places_f32(node.attrs, axis, x) for axis in (0, 1))
    return Lowered((*_image_fields(node), ("rows", rows), ("columns", columns)))


_SLICE, _TAKE = ("strided_slice", "strided_slice_params"), ("take", "take_params")
_GATHER = ("gather", "gather_params")
_S8, _S16, _F32 = ("s8", "s8"), ("s16", "s16"), ("f32", "f32")
ROWS: tuple[Row, ...] = (
    Row(Op.STRIDED_SLICE, ANY, *_SLICE, lower_strided_slice),
    Row(Op.BROADCAST_TO, ANY, *_SLICE, lower_broadcast_to),
    Row(Op.MIRROR_PAD, ANY, *_TAKE, lower_mirror_pad),
    Row(Op.GATHER, ANY, *_GATHER, lower_gather),
    Row(Op.GATHER_ND, ANY, *_GATHER, lower_gather_nd),
    Row(
        Op.DYNAMIC_UPDATE_SLICE,
        ANY,
        "dynamic_update_slice",
        "dynamic_update_slice_params",
        lower_dynamic_update_slice,
        inplace=(0,),
    ),
    Row(
        Op.RESIZE_NEAREST,
        ANY,
        *_SLICE,
        lower_repeat,
        repeats,
        "every row and column as many times as the others",
    ),
    Row(Op.RESIZE_NEAREST, ANY, *_TAKE, lower_nearest),
    Row(Op.SHIFT_IN, ANY, "shift_in", "shift_in_params", lower_shift_in, inplace=(0,)),
    Row(
        Op.RESIZE_BILINEAR,
        _S8,
        "resize_bilinear_s8",
        "resize_bilinear_s8_params",
        lower_bilinear_integer,
    ),
    Row(
        Op.RESIZE_BILINEAR,
        _S16,
        "resize_bilinear_s16",
        "resize_bilinear_s8_params",
        lower_bilinear_integer,
    ),
    Row(
        Op.RESIZE_BILINEAR,
        _F32,
        "resize_bilinear_f32",
        "resize_bilinear_f32_params",
        lower_bilinear_f32,
    ),
)
