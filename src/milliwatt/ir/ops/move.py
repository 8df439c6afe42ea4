"""Operators that move values: slices, gathers, broadcasts, mirrors, resizing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.move import BroadcastTo, Gather, MirrorPad, ShiftIn, StridedSlice
from milliwatt.ir.ops import resize
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.ops.resize import moved
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def _infer_strided_slice(attrs: StridedSlice, ins: Types) -> Type:
    x, rank = ins[0], len(ins[0].shape)
    lengths = [len(attrs.begin), len(attrs.size), len(attrs.strides)]
    want(
        lengths == [rank] * 3,
        f"{lengths} entries of begin, size and strides for {x.short}; {rank} each wanted",
    )
    for axis, (dim, begin, size, stride) in enumerate(
        zip(x.shape, attrs.begin, attrs.size, attrs.strides, strict=True)
    ):
        last = begin + (size - 1) * stride
        want(
            size >= 1 and stride != 0 and 0 <= begin < dim and 0 <= last < dim,
            f"axis {axis} takes {size} elements from {begin} in steps of {stride}; "
            f"1 or more elements inside 0 to {dim - 1} wanted",
        )
    return moved(x, attrs.size)


def _run_strided_slice(attrs: StridedSlice, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    cells = zip(attrs.begin, attrs.size, attrs.strides, strict=True)
    index = tuple(
        # An end before element 0 cannot be written as a number: -1 would count from the back.
        slice(b, None if (end := b + n * s) < 0 else end, s)
        for b, n, s in cells
    )
    return np.ascontiguousarray(args[0][index]).reshape(out.shape)


def _infer_broadcast_to(attrs: BroadcastTo, ins: Types) -> Type:
    x, lead = ins[0], len(attrs.shape) - len(ins[0].shape)
    want(
        lead >= 0
        and all(to >= 1 for to in attrs.shape)
        and all(dim in (1, to) for dim, to in zip(x.shape, attrs.shape[lead:], strict=True)),
        f"{x.short} does not broadcast to {list(attrs.shape)}; axes of 1 or of equal size, the "
        "last ones in line, wanted",
    )
    return moved(x, attrs.shape)


def _run_broadcast_to(attrs: BroadcastTo, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.array(np.broadcast_to(args[0], attrs.shape), order="C")


def _infer_mirror_pad(attrs: MirrorPad, ins: Types) -> Type:
    x = ins[0]
    want(
        len(attrs.paddings) == len(x.shape),
        f"{len(attrs.paddings)} pairs of paddings for input {x.short}; {len(x.shape)} wanted",
    )
    for axis, (dim, pair) in enumerate(zip(x.shape, attrs.paddings, strict=True)):
        most = dim if attrs.symmetric else dim - 1
        want(
            min(pair) >= 0 and max(pair) <= most,
            f"axis {axis} is padded by {list(pair)}, it has {dim} elements; 0 to {most} wanted",
        )
    return moved(
        x,
        tuple(
            d + before + after for d, (before, after) in zip(x.shape, attrs.paddings, strict=True)
        ),
    )


def mirror_maps(attrs: MirrorPad, x: Type) -> list[np.ndarray]:
    """For every axis of the result, the index in x of each of its elements."""
    mode = "symmetric" if attrs.symmetric else "reflect"
    return [
        np.pad(np.arange(dim), pair, mode=mode)  # type: ignore[call-overload]
        for dim, pair in zip(x.shape, attrs.paddings, strict=True)
    ]


def take(x: np.ndarray, maps: Sequence[np.ndarray]) -> np.ndarray:
    """out[i, j, ...] = x[maps[0][i], maps[1][j], ...]."""
    return np.array(x[np.ix_(*maps)] if maps else x, order="C")


def _run_mirror_pad(attrs: MirrorPad, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return take(args[0], mirror_maps(attrs, ins[0]))


def _infer_gather(attrs: Gather, ins: Types) -> Type:
    x, indices = ins
    want_dtype("indices", indices, DType.S32, DType.S64)
    axis, batch = attrs.axis, attrs.batch_dims
    want(0 <= axis < len(x.shape), f"axis is {axis}; an axis of {x.short} wanted")
    want(
        0 <= batch <= min(axis, len(indices.shape)) and x.shape[:batch] == indices.shape[:batch],
        f"{batch} batch axes of {x.short} and indices {indices.short}; as many as both begin "
        f"with, before axis {axis}, wanted",
    )
    return moved(x, x.shape[:axis] + indices.shape[batch:] + x.shape[axis + 1 :])


def _run_gather(attrs: Gather, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x, axis, batch = ins[0].shape, attrs.axis, attrs.batch_dims
    batches, outer = math.prod(x[:batch]), math.prod(x[batch:axis])
    rows = args[0].reshape(batches, outer, x[axis], -1)
    indices = np.clip(args[1].reshape(batches, -1), 0, x[axis] - 1)
    picked = rows[np.arange(batches)[:, None], :, indices]  # [batches, count, outer, inner]
    return np.array(picked.swapaxes(1, 2), order="C").reshape(out.shape)


def _infer_gather_nd(attrs: Attrs, ins: Types) -> Type:
    x, indices = ins
    want_dtype("indices", indices, DType.S32, DType.S64)
    depth = indices.shape[-1] if indices.shape else 0
    want(
        1 <= depth <= len(x.shape),
        f"indices {indices.short} into {x.short}; a last axis of 1 to {len(x.shape)} wanted",
    )
    return moved(x, indices.shape[:-1] + x.shape[depth:])


def _run_gather_nd(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    depth = ins[1].shape[-1]
    indices = np.clip(args[1], 0, np.array(ins[0].shape[:depth]) - 1)
    return np.array(args[0][tuple(np.moveaxis(indices, -1, 0))], order="C").reshape(out.shape)


def _infer_dynamic_update_slice(attrs: Attrs, ins: Types) -> Type:
    x, update, start = ins
    want_dtype("start", start, DType.S32, DType.S64)
    want(
        (update.dtype, update.quant) == (x.dtype, x.quant),
        f"operand is {x}, update is {update}; one type and quantization wanted",
    )
    want(
        len(update.shape) == len(x.shape)
        and all(u <= d for u, d in zip(update.shape, x.shape, strict=True)),
        f"update is {update.short}; one that fits into {x.short} wanted",
    )
    want(
        start.shape == (len(x.shape),),
        f"start is {start.short} for {x.short}; {len(x.shape)} numbers wanted",
    )
    return moved(x, x.shape)


def _run_dynamic_update_slice(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x, update, start = args
    result = np.array(x, order="C")
    room = np.array(x.shape, np.int64) - update.shape
    first = np.clip(start, 0, room)
    result[tuple(slice(int(f), int(f) + d) for f, d in zip(first, update.shape, strict=True))] = (
        update
    )
    return result


def _infer_shift_in(attrs: ShiftIn, ins: Types) -> Type:
    buffer, fresh = ins
    axis, rank = attrs.axis, len(buffer.shape)
    want(0 <= axis < rank, f"axis is {axis}; 0 to {rank - 1} wanted")
    rest = buffer.shape[:axis] + buffer.shape[axis + 1 :]
    want(
        (fresh.dtype, fresh.quant) == (buffer.dtype, buffer.quant)
        and len(fresh.shape) == rank
        and fresh.shape[:axis] + fresh.shape[axis + 1 :] == rest
        and fresh.shape[axis] <= buffer.shape[axis],
        f"{fresh} does not go into {buffer} along axis {axis}; the same type with fewer positions "
        "there wanted",
    )
    return buffer


def _run_shift_in(attrs: ShiftIn, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    fresh = ins[1].shape[attrs.axis]
    kept = np.take(args[0], range(fresh, out.shape[attrs.axis]), attrs.axis)
    return np.concatenate([kept, args[1]], attrs.axis)


OPS: dict[Op, OpDef] = {
    Op.STRIDED_SLICE: OpDef(StridedSlice, (1, 1), _infer_strided_slice, _run_strided_slice),
    Op.BROADCAST_TO: OpDef(BroadcastTo, (1, 1), _infer_broadcast_to, _run_broadcast_to),
    Op.MIRROR_PAD: OpDef(MirrorPad, (1, 1), _infer_mirror_pad, _run_mirror_pad),
    Op.GATHER: OpDef(Gather, (2, 2), _infer_gather, _run_gather),
    Op.GATHER_ND: OpDef(Attrs, (2, 2), _infer_gather_nd, _run_gather_nd),
    Op.DYNAMIC_UPDATE_SLICE: OpDef(
        Attrs, (3, 3), _infer_dynamic_update_slice, _run_dynamic_update_slice
    ),
    Op.SHIFT_IN: OpDef(ShiftIn, (2, 2), _infer_shift_in, _run_shift_in),
    **resize.OPS,
}
