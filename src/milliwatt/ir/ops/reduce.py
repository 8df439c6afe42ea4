"""Reductions, searches along an axis, norms; detection is in its own file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import NO_CLAMP, Attrs, Pool2d
from milliwatt.ir.attrs.reduce import Arg, CumSum, Detection, Reduce, Sum
from milliwatt.ir.ops import pool
from milliwatt.ir.ops.activation import DIFF_BITS, SUM_BITS, softmax_exp_table
from milliwatt.ir.ops.common import (
    F32_MAX,
    clip,
    result,
    want,
    want_dtype,
    want_plain,
    want_quant,
    want_symmetric,
)
from milliwatt.ir.ops.detection import infer_detection, run_detection
from milliwatt.ir.ops.table import Infer, Op, OpDef
from milliwatt.ir.types import DType, Quant, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]
F32, S8, S16, S32, BOOL = DType.F32, DType.S8, DType.S16, DType.S32, DType.BOOL

# Result types that the TFLite specification fixes.
UNIT = Quant.per_tensor(1 / 128, 0)
LOGARITHM = Quant.per_tensor(16 / 256, 127)
LOGARITHM_BITS = 4
CUMSUM_LEFT_SHIFT = 20
# What a norm in f32 is at least.
LEAST_NORM = np.float32(1e-6)


def _reduced(shape: tuple[int, ...], axes: tuple[int, ...], keep_dims: bool) -> tuple[int, ...]:
    """The shape without `axes`, or with 1 in their place."""
    rank = len(shape)
    want(
        all(0 <= a < rank for a in axes) and list(axes) == sorted(set(axes)),
        f"axes are {list(axes)}; sorted, distinct, 0 to {rank - 1} wanted",
    )
    if keep_dims:
        return tuple(1 if i in axes else d for i, d in enumerate(shape))
    return tuple(d for i, d in enumerate(shape) if i not in axes)


def _infer_sum(attrs: Sum, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, F32, S8, S16)
    want_quant(x, "input")
    want_symmetric(x, "input")
    out = result(_reduced(x.shape, attrs.axes, attrs.keep_dims), x, attrs.quant)
    want_symmetric(out, "result")
    return out


def sum_multiplier(out: Type, x: Type) -> tuple[int, int]:
    """(multiplier, shift) of s_x / s_out."""
    return fx.quantize_multiplier(x.scale / out.scale)


def _rows(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """[outputs, count]: what each output reduces, in memory order."""
    kept = [a for a in range(x.ndim) if a not in axes]
    outputs = int(np.prod([x.shape[a] for a in kept], dtype=np.int64))
    return x.transpose(*kept, *axes).reshape(outputs, x.size // outputs)


def _run_sum(attrs: Sum, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """In float32 one after the other from 0 on, as in C."""
    rows = _rows(args[0], attrs.axes)
    if out.dtype.is_float:
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.float32(0) + np.add.accumulate(rows, axis=1)[:, -1]
        return sums.reshape(out.shape)
    total = rows.astype(np.int64).sum(axis=1) - ins[0].zero_point * rows.shape[1]
    scaled = fx.multiply_by_quantized_multiplier(fx.wrap32(total), *sum_multiplier(out, ins[0]))
    return clip(scaled + out.zero_point, NO_CLAMP, out).reshape(out.shape)


def _infer_extremum(*dtypes: DType) -> Infer:
    """One of bools is true where any of them is; reduce_all is where all are."""

    def infer(attrs: Reduce, ins: Types) -> Type:
        x = ins[0]
        want_dtype("input", x, *dtypes)
        if x.dtype is S32:
            want_plain(x, "input")
        elif x.dtype is not BOOL:
            want_quant(x, "input")
        return Type(_reduced(x.shape, attrs.axes, attrs.keep_dims), x.dtype, x.quant)

    return infer


def _run_max(attrs: Reduce, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """NaN is passed over, and nothing is below the least finite float32, as in TFLite."""
    rows = _rows(args[0], attrs.axes)
    least = np.float32(-F32_MAX) if out.dtype is F32 else None
    most = np.fmax.reduce(rows, axis=1, initial=least)
    return np.asarray(most, out.dtype.numpy).reshape(out.shape)


def _run_min(attrs: Reduce, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    rows = _rows(args[0], attrs.axes)
    most = np.float32(F32_MAX) if out.dtype is F32 else None
    least = np.fmin.reduce(rows, axis=1, initial=most)
    return np.asarray(least, out.dtype.numpy).reshape(out.shape)


def _want_axis(axis: int, x: Type) -> None:
    rank = len(x.shape)
    want(0 <= axis < rank, f"axis is {axis}; 0 to {rank - 1} wanted for {x.short}")


def _infer_arg(attrs: Arg, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, F32, S8, S32)
    _want_axis(attrs.axis, x)
    return Type(x.shape[: attrs.axis] + x.shape[attrs.axis + 1 :], S32)


def _run_arg_max(attrs: Arg, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """The first place whose value no other exceeds; a NaN is exceeded by none, and exceeds none."""
    x = args[0]
    if out.size and x.dtype == np.float32:
        first = np.isnan(x.take([0], axis=attrs.axis))
        x = np.where(np.isnan(x), -np.inf, np.where(first, -np.inf, x))
    return np.asarray(np.argmax(x, axis=attrs.axis), np.int32)


def _run_arg_min(attrs: Arg, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = args[0].astype(np.int64) if ins[0].dtype is not F32 else args[0]
    return _run_arg_max(attrs, out, ins, [-x])


def _infer_cumsum(attrs: CumSum, ins: Types) -> Type:
    x = ins[0]
    want_dtype("input", x, F32, S8)
    want_quant(x, "input")
    _want_axis(attrs.axis, x)
    out = result(x.shape, x, attrs.quant)
    if out.dtype is S8:
        shift = cumsum_multiplier(out, x)[1]
        want(shift <= 0, f"result scale is {out.scale:g}; more than {x.scale / 2**19:g} wanted")
    return out


def cumsum_multiplier(out: Type, x: Type) -> tuple[int, int]:
    """(multiplier, shift) of 2 s_x / s_out / 2**20."""
    return fx.quantize_multiplier(2.0 * x.scale / ((1 << CUMSUM_LEFT_SHIFT) * out.scale))


def _run_cumsum(attrs: CumSum, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = np.flip(args[0], attrs.axis) if attrs.reverse else args[0]
    wide = x if out.dtype.is_float else x.astype(np.int64) - ins[0].zero_point
    with np.errstate(over="ignore", invalid="ignore"):
        sums = np.add.accumulate(wide, axis=attrs.axis)
    if attrs.exclusive:
        first = np.zeros_like(sums.take([0], axis=attrs.axis))
        rest = sums.take(range(sums.shape[attrs.axis] - 1), axis=attrs.axis)
        sums = np.concatenate([first, rest], axis=attrs.axis)
    sums = np.flip(sums, attrs.axis) if attrs.reverse else sums
    if out.dtype.is_float:
        return np.ascontiguousarray(sums)
    # TFLM's sum starts at the zero point's opposite, not at 0, and wraps around at 32 bits.
    raised = fx.wrap32((sums - ins[0].zero_point) << (CUMSUM_LEFT_SHIFT - 1))
    scaled = fx.multiply_by_quantized_multiplier(raised, *cumsum_multiplier(out, ins[0]))
    return clip(scaled + out.zero_point, NO_CLAMP, out)


_MEAN = pool.OPS[Op.AVERAGE_POOL2D]


def _infer_l2_pool(attrs: Pool2d, ins: Types) -> Type:
    want_dtype("input", ins[0], F32)
    return _MEAN.infer(attrs, ins)


def _run_l2_pool(attrs: Pool2d, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    with np.errstate(over="ignore"):
        squares = np.square(args[0])
    means = _MEAN.reference(replace(attrs, clamp=NO_CLAMP), out, ins, [squares])
    # What overflowed was cut to the largest float32; its root is infinite nevertheless.
    roots = np.where(means < np.float32(F32_MAX), np.sqrt(means), np.float32(np.inf))
    return clip(roots, attrs.clamp, out)


def _infer_along_last(quant: Quant, x: Type) -> Type:
    want_dtype("input", x, F32, S8)
    want_quant(x, "input")
    want(len(x.shape) >= 1, "input is a scalar; one axis or more wanted")
    return result(x.shape, x, None if x.dtype is F32 else quant)


def _infer_l2_normalization(attrs: Attrs, ins: Types) -> Type:
    return _infer_along_last(UNIT, ins[0])


def _run_l2_normalization(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = args[0]
    if out.dtype.is_float:
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.add.accumulate(np.square(x), axis=-1)[..., -1:]
            unit: np.ndarray = x / np.maximum(np.sqrt(squares), LEAST_NORM)
        return unit
    centred = x.astype(np.int64) - ins[0].zero_point
    squares = fx.wrap32(np.square(centred).sum(axis=-1, keepdims=True))
    multiplier, shift = fx.inverse_square_root(squares)
    return clip(fx.multiply_by_quantized_multiplier(centred, multiplier, shift + 7), NO_CLAMP, out)


def _infer_log_softmax(attrs: Attrs, ins: Types) -> Type:
    out = _infer_along_last(LOGARITHM, ins[0])
    if out.dtype is S8:
        scale = ins[0].scale
        want(scale > LEAST_STEP, f"input scale is {scale:g}; more than {LEAST_STEP:g} wanted")
    return out


# Below it a step of the input is less than one of Q5.26.
LEAST_STEP = 2.0**-25


def log_softmax_scaling(scale: float) -> tuple[tuple[int, int], tuple[int, int], int]:
    """((multiplier, shift) to Q5.26, the same back, largest difference that fits)."""
    real = min(scale * (1 << (31 - DIFF_BITS)), (1 << 31) - 1.0)
    multiplier, shift = fx.quantize_multiplier(real)
    back = fx.quantize_multiplier((1 << (31 - shift)) / multiplier)
    return (multiplier, shift), back, fx.input_radius(DIFF_BITS, shift)


def _run_log_softmax(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = args[0]
    if out.dtype.is_float:
        with np.errstate(over="ignore", invalid="ignore"):
            moved = x.astype(np.float64) - x.max(axis=-1, keepdims=True)
            logs = moved - np.log(np.exp(moved).sum(axis=-1, keepdims=True))
            return np.asarray(logs, np.float32)
    scaling, back, radius = log_softmax_scaling(ins[0].scale)
    below = x.max(axis=-1, keepdims=True).astype(np.int64) - x
    exps = softmax_exp_table(1.0, ins[0].scale)[below]
    total = fx.rounding_shift_right(exps, SUM_BITS).sum(axis=-1, keepdims=True)
    log = fx.log_from_one(total, SUM_BITS, DIFF_BITS)
    least = fx.multiply_by_quantized_multiplier(log + fx.INT32_MIN, *back)
    kept = -below > np.maximum(-radius - 1, least)
    scaled = fx.multiply_by_quantized_multiplier(np.where(kept, -below, 0), *scaling)
    bits = 31 - DIFF_BITS - LOGARITHM_BITS
    values = fx.rounding_shift_right(scaled - log, bits) + out.zero_point
    return clip(np.where(kept, values, out.dtype.limits[0]), NO_CLAMP, out)


OPS: dict[Op, OpDef] = {
    Op.SUM: OpDef(Sum, (1, 1), _infer_sum, _run_sum),
    Op.REDUCE_MAX: OpDef(Reduce, (1, 1), _infer_extremum(F32, S8, S16, S32, BOOL), _run_max),
    Op.REDUCE_MIN: OpDef(Reduce, (1, 1), _infer_extremum(F32, S8, S16, S32), _run_min),
    Op.REDUCE_ALL: OpDef(Reduce, (1, 1), _infer_extremum(BOOL), _run_min),
    Op.ARG_MAX: OpDef(Arg, (1, 1), _infer_arg, _run_arg_max),
    Op.ARG_MIN: OpDef(Arg, (1, 1), _infer_arg, _run_arg_min),
    Op.CUMSUM: OpDef(CumSum, (1, 1), _infer_cumsum, _run_cumsum),
    Op.L2_POOL2D: OpDef(Pool2d, (1, 1), _infer_l2_pool, _run_l2_pool),
    Op.L2_NORMALIZATION: OpDef(Attrs, (1, 1), _infer_l2_normalization, _run_l2_normalization),
    Op.LOG_SOFTMAX: OpDef(Attrs, (1, 1), _infer_log_softmax, _run_log_softmax),
    Op.DETECTION_POSTPROCESS: OpDef(Detection, (3, 3), infer_detection, run_detection),
}
