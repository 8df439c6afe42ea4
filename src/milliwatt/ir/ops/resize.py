"""resize_bilinear and resize_nearest: images of another size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs.move import Resize
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

# Places in the image, and weights, are integers with 10 bits behind the point.
ONE = 1 << 10
# Every place, one step further included, stays in 32 bits.
MOST = 1 << 20


def moved(x: Type, shape: tuple[int, ...]) -> Type:
    """The type of values of `x` under another shape; UnsupportedOp where they cannot be moved."""
    if x.dtype is DType.S4:
        raise UnsupportedOp(f"operand is {x.short}, two values a byte; s8 wanted, widen it first")
    if x.quant is not None and x.quant.axis is not None:
        raise UnsupportedOp(
            f"operand {x.short} is quantized per axis, its scales would have to move too; "
            "per tensor wanted"
        )
    return Type(shape, x.dtype, x.quant)


def _infer_resize(attrs: Resize, ins: Types) -> Type:
    x = ins[0]
    want(len(x.shape) == 4, f"input is {x.short}; 4 axes [N,H,W,C] wanted")
    want(
        all(1 <= size <= MOST for size in (*attrs.size, *x.shape[1:3])),
        f"{x.short} to {list(attrs.size)}; heights and widths of 1 to {MOST} wanted",
    )
    return moved(x, (x.shape[0], *attrs.size, x.shape[3]))


def nearest_map(attrs: Resize, axis: int, x: Type) -> np.ndarray:
    """The row (axis 0) or column (axis 1) of x that each of the result's shows.

    In float32, as TFLite computes it; halves are rounded up where corners are aligned.
    """
    size, to = x.shape[1 + axis], attrs.size[axis]
    last = attrs.align_corners and to > 1
    scale = np.float32(size - last) / np.float32(to - last)
    offset = np.float32(0.5 if attrs.half_pixel_centers else 0.0)
    place = (np.arange(to).astype(np.float32) + offset) * scale
    whole = np.floor(place.astype(np.float64) + (0.5 if attrs.align_corners else 0.0))
    return np.minimum(whole.astype(np.int64), size - 1)


def _run_nearest(attrs: Resize, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    rows, columns = (nearest_map(attrs, axis, ins[0]) for axis in (0, 1))
    return np.array(args[0][:, rows][:, :, columns], order="C")


def _infer_bilinear(attrs: Resize, ins: Types) -> Type:
    want_dtype("input", ins[0], DType.S8, DType.S16, DType.F32)
    want(
        not (attrs.align_corners and attrs.half_pixel_centers),
        "align_corners and half_pixel_centers; one of them wanted",
    )
    return _infer_resize(attrs, ins)


def integer_step(attrs: Resize, axis: int, x: Type) -> tuple[int, int]:
    """(place of the first row or column, distance of the next), with 10 bits behind the point."""
    size, to = x.shape[1 + axis], attrs.size[axis]
    last = attrs.align_corners and to > 1
    step = (ONE * (size - last) + (to - last) // 2) // (to - last)
    return (step // 2 - ONE // 2 if attrs.half_pixel_centers else 0), step


def places_f32(attrs: Resize, axis: int, x: Type) -> np.ndarray:
    """Where each row or column of the result lies in x: f32, rounded as TFLite rounds it."""
    size, to = x.shape[1 + axis], attrs.size[axis]
    last = attrs.align_corners and to > 1
    step = np.float32(size - last) / np.float32(to - last)
    half = np.float32(0.5 if attrs.half_pixel_centers else 0.0)
    place: np.ndarray = (np.arange(to).astype(np.float32) + half) * step - half
    return place


def _neighbours(
    place: np.ndarray, size: int, one: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(lower index, upper index, weight of the upper) at places with `one` as the unit.

    Where both are the same the weight is 0; TFLite gives that cell two weights that sum to one.
    Rounding of the step may lead past the last cell, where TFLM reads outside: the last one.
    """
    low = np.clip(np.floor(place / one).astype(np.int64), 0, size - 1)
    high = np.clip(np.ceil(place / one).astype(np.int64), 0, size - 1)
    return low, high, np.where(low == high, 0, place - one * low).astype(place.dtype)


def _run_bilinear(attrs: Resize, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    whole = not out.dtype.is_float
    one = ONE if whole else 1
    sides = []
    for axis in (0, 1):
        if whole:
            start, step = integer_step(attrs, axis, ins[0])
            place = start + step * np.arange(attrs.size[axis])
        else:
            place = places_f32(attrs, axis, ins[0])
        sides.append(_neighbours(place, ins[0].shape[1 + axis], one))
    (y0, y1, fy), (x0, x1, fx) = sides
    fy, fx = fy[:, None, None], fx[:, None]
    image = args[0].astype(np.int64) if whole else args[0]
    upper, lower = image[:, y0], image[:, y1]
    total = (
        upper[:, :, x0] * (one - fy) * (one - fx)
        + lower[:, :, x0] * fy * (one - fx)
        + upper[:, :, x1] * (one - fy) * fx
        + lower[:, :, x1] * fy * fx
    )
    if not whole:
        return np.asarray(total, np.float32)
    # Half away from zero: 20 bits go.
    half = ONE * ONE // 2
    rounded = np.sign(total) * ((np.abs(total) + half) // (ONE * ONE))
    return np.asarray(rounded, out.dtype.numpy)


def _macs(attrs: Resize, out: Type, ins: Types) -> int:
    return 4 * out.size


OPS = {
    Op.RESIZE_BILINEAR: OpDef(Resize, (1, 1), _infer_bilinear, _run_bilinear, _macs),
    Op.RESIZE_NEAREST: OpDef(Resize, (1, 1), _infer_resize, _run_nearest),
}
