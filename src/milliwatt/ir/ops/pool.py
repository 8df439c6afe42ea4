"""Pooling and reduction: max_pool2d, average_pool2d, mean."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import NO_CLAMP, Mean, Pool2d
from milliwatt.ir.ops.common import F32_MAX, clip, result, want, want_dtype, want_quant
from milliwatt.ir.ops.conv import out_size, want_padded_size
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def _infer_pool(attrs: Pool2d, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, DType.F32, DType.S8, DType.S16)
    want_quant(x, "input")
    want(len(x.shape) == 4, f"input is {x.short}; 4 axes [N,H,W,C] wanted")
    want(min(attrs.kernel) >= 1, f"kernel is {list(attrs.kernel)}; 1 or more wanted")
    want(min(attrs.stride) >= 1, f"stride is {list(attrs.stride)}; 1 or more wanted")
    want(min(attrs.padding) >= 0, f"padding is {list(attrs.padding)}; 0 or more wanted")
    top, bottom, left, right = attrs.padding
    want_padded_size(x, attrs.padding)
    # A window of padding alone has no maximum and no mean.
    want(
        max(top, bottom) < attrs.kernel[0], f"padding {top},{bottom} is not below the kernel height"
    )
    want(
        max(left, right) < attrs.kernel[1], f"padding {left},{right} is not below the kernel width"
    )
    height = out_size(x.shape[1], attrs.kernel[0], attrs.stride[0], 1, top, bottom)
    width = out_size(x.shape[2], attrs.kernel[1], attrs.stride[1], 1, left, right)
    want(
        height >= 1 and width >= 1,
        f"kernel {list(attrs.kernel)} is larger than the input {x.short}",
    )
    return Type((x.shape[0], height, width, x.shape[3]), x.dtype, x.quant)


def _windows(x: np.ndarray, attrs: Pool2d, fill: float) -> np.ndarray:
    """View [N, H_out, W_out, C, KH, KW] of the padded input."""
    top, bottom, left, right = attrs.padding
    padded = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    view = sliding_window_view(padded, attrs.kernel, axis=(1, 2))
    strided: np.ndarray = view[:, :: attrs.stride[0], :: attrs.stride[1]]
    return strided


def _run_max(attrs: Pool2d, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    lowest = -F32_MAX if out.dtype.is_float else out.dtype.limits[0]
    # fmax passes over NaN: as in TFLite, it is no maximum; a window of nothing else gives `lowest`.
    most = np.fmax.reduce(_windows(args[0], attrs, lowest), axis=(4, 5), initial=lowest)
    return clip(most, attrs.clamp, out)


def _run_average(attrs: Pool2d, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    ones = np.ones((1, *args[0].shape[1:3], 1), np.int64)
    count = _windows(ones, attrs, 0).sum(axis=(4, 5))
    if out.dtype.is_float:
        cells = _windows(args[0], attrs, 0)
        sums = np.zeros(cells.shape[:4], np.float32)
        # One after the other in float32, as in C: where the sum overflows the mean is infinite.
        with np.errstate(over="ignore", invalid="ignore"):
            for y, x in np.ndindex(*attrs.kernel):
                sums += cells[..., y, x]
        return clip(sums / count.astype(np.float32), attrs.clamp, out)
    total = _windows(args[0].astype(np.int64), attrs, 0).sum(axis=(4, 5))
    # Rounded to nearest, halves away from zero, on the stored integers: zero point included.
    size = (np.abs(total) + count // 2) // count
    return clip(np.where(total > 0, size, -size), attrs.clamp, out)


def _infer_mean(attrs: Mean, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, DType.F32, DType.S8, DType.S16)
    want_quant(x, "input")
    rank = len(x.shape)
    want(
        all(0 <= a < rank for a in attrs.axes) and list(attrs.axes) == sorted(set(attrs.axes)),
        f"axes are {list(attrs.axes)}; sorted, distinct, 0 to {rank - 1} wanted",
    )
    if attrs.keep_dims:
        shape = tuple(1 if i in attrs.axes else d for i, d in enumerate(x.shape))
    else:
        shape = tuple(d for i, d in enumerate(x.shape) if i not in attrs.axes)
    return result(shape, x, attrs.quant)


def mean_multiplier(out: Type, x: Type, count: int) -> tuple[int, int]:
    """(multiplier, shift) of s_x / s_out / count, rounded as the TFLite reference does it."""
    multiplier, shift = fx.quantize_multiplier(x.scale / out.scale)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def _mean_f32(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Means over `axes`, flat; float32 sums in memory order, as in C."""
    kept = [a for a in range(x.ndim) if a not in axes]
    count = math.prod(x.shape[a] for a in axes)
    rows = x.transpose(*kept, *axes).reshape(-1, count)
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.zeros(len(rows), np.float32) + np.add.accumulate(rows, axis=1)[:, -1]
        means: np.ndarray = sums / np.float32(count)
    return means


def _run_mean(attrs: Mean, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = args[0]
    if out.dtype.is_float:
        return _mean_f32(x, attrs.axes).reshape(out.shape)
    count = math.prod(x.shape[a] for a in attrs.axes)
    total = x.astype(np.int64).sum(axis=attrs.axes, keepdims=attrs.keep_dims)
    scaled = fx.multiply_by_quantized_multiplier(
        fx.wrap32(total - ins[0].zero_point * count), *mean_multiplier(out, ins[0], count)
    )
    return clip(scaled + out.zero_point, NO_CLAMP, out)


OPS = {
    Op.MAX_POOL2D: OpDef(Pool2d, (1, 1), _infer_pool, _run_max),
    Op.AVERAGE_POOL2D: OpDef(Pool2d, (1, 1), _infer_pool, _run_average),
    Op.MEAN: OpDef(Mean, (1, 1), _infer_mean, _run_mean),
}
