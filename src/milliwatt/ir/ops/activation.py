"""Operators of one operand: clamp (ReLU family), logistic, tanh, softmax, lookup.

What int16 activations compute of tables is in `tables16.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import UnsupportedOp
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import RELU, ClampAttrs, Lookup, Softmax, Unary
from milliwatt.ir.ops import tables16
from milliwatt.ir.ops.common import clip, result, want, want_dtype, want_quant, want_symmetric
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Quant, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

# Result types that the TFLite specification fixes.
PROBABILITY = Quant.per_tensor(1 / 256, -128)
SIGNED_UNIT = Quant.per_tensor(1 / 128, 0)
SIGNED_UNIT_S16 = Quant.per_tensor(1 / 32768, 0)
# softmax of s8 with an s16 result
WIDE_PROBABILITY = Quant.per_tensor(1 / 65536, -32768)
# Integer bits of the scaled difference and of the sum of exponentials in softmax.
DIFF_BITS, SUM_BITS = 5, 12
# Integer bits of the argument of logistic and tanh.
UNARY_BITS = 4


def _infer_clamp(attrs: ClampAttrs, ins: Types) -> Type:
    want_dtype("input", ins[0], DType.F32, DType.S8, DType.S16)
    want_quant(ins[0], "input")
    low, high = attrs.bounds
    want(low <= high, f"bounds are ({low}, {high}); low <= high wanted")
    out = result(ins[0].shape, ins[0], attrs.quant)
    want_symmetric(ins[0], "input")
    want_symmetric(out, "result")
    return out


def clamp_multiplier(attrs: ClampAttrs, out: Type, x: Type) -> tuple[int, int]:
    """(multiplier, shift) of s_x / s_out.

    TFLite Micro divides the two scales in float64; it has no rescaling but RELU. TensorFlow Lite,
    whose numbers the others are, divides in float32: that shows in one of some 10,000 s16 results.
    """
    if attrs.bounds == RELU:
        return fx.quantize_multiplier(x.scale / out.scale)
    return fx.quantize_multiplier(float(np.float32(x.scale) / np.float32(out.scale)))


def _run_clamp(attrs: ClampAttrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = args[0]
    if out.dtype.is_float:
        return clip(x, attrs.bounds, out)
    moved = x.astype(np.int64) - ins[0].zero_point
    scaled = fx.multiply_by_quantized_multiplier(moved, *clamp_multiplier(attrs, out, ins[0]))
    return clip(scaled + out.zero_point, attrs.bounds, out)


def _infer_fixed(quant: Quant, x: Type) -> Type:
    want_dtype("input", x, DType.F32, DType.S8, DType.S16)
    want_quant(x, "input")
    want_symmetric(x, "input")
    fixed = {DType.F32: None, DType.S8: quant, DType.S16: SIGNED_UNIT_S16}
    return result(x.shape, x, fixed[x.dtype])


def _want_small_steps(x: Type) -> None:
    """The table of s16 is read at 16 bits of multiplier: 2.66 a step is the most that they hold."""
    want(
        x.dtype is not DType.S16 or x.scale <= tables16.LARGEST_SCALE,
        f"input scale is {x.scale:g}; at most {tables16.LARGEST_SCALE:g} wanted for s16",
    )


def _infer_logistic(attrs: Unary, ins: Types) -> Type:
    _want_small_steps(ins[0])
    return _infer_fixed(PROBABILITY, ins[0])


def _infer_tanh(attrs: Unary, ins: Types) -> Type:
    _want_small_steps(ins[0])
    return _infer_fixed(SIGNED_UNIT, ins[0])


def _fixed_argument(x: np.ndarray, kind: Type) -> tuple[np.ndarray, np.ndarray]:
    """Input in Q4.27 and a mask of saturation: -1, 0, 1 where it is below, in, above the range."""
    real = kind.scale * (1 << (31 - UNARY_BITS))
    multiplier, shift = fx.quantize_multiplier(real)
    # Steps of 8 and more leave no value inside, as in the reference even real 0 is saturated then.
    radius = fx.input_radius(UNARY_BITS, shift) if real < 2**30 else 0
    centred = x.astype(np.int64) - kind.zero_point
    outside = np.where(centred <= -radius, -1, np.where(centred >= radius, 1, 0))
    inside = np.where(outside == 0, centred, 0)
    return fx.multiply_by_quantized_multiplier(inside, multiplier, shift), outside


def _saturate(values: np.ndarray, outside: np.ndarray, out: Type) -> np.ndarray:
    low, high = out.dtype.limits
    clipped = np.clip(values, low, high)
    return np.where(outside < 0, low, np.where(outside > 0, high, clipped)).astype(out.dtype.numpy)


def _run_logistic(attrs: Unary, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        x = args[0].astype(np.float64)
        size = np.exp(-np.abs(x))
        return np.where(x >= 0, 1 / (1 + size), size / (1 + size)).astype(np.float32)
    if out.dtype is DType.S16:
        return tables16.logistic(args[0], *tables16.logistic_argument(ins[0].scale))
    argument, outside = _fixed_argument(args[0], ins[0])
    values = fx.rounding_shift_right(fx.logistic(argument, UNARY_BITS), 31 - 8)
    return _saturate(values + out.zero_point, outside, out)


def _run_tanh(attrs: Unary, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        return np.tanh(args[0].astype(np.float64)).astype(np.float32)
    if out.dtype is DType.S16:
        return tables16.tanh(args[0], *tables16.tanh_argument(ins[0].scale))
    argument, outside = _fixed_argument(args[0], ins[0])
    return _saturate(fx.rounding_shift_right(fx.tanh(argument, UNARY_BITS), 31 - 7), outside, out)


def _infer_softmax(attrs: Softmax, ins: Types) -> Type:
    want(len(ins[0].shape) >= 1, "input is a scalar; one axis or more wanted")
    out = _infer_fixed(PROBABILITY, ins[0])
    if attrs.dtype in (None, out.dtype):
        return _nearly(out, attrs.nearly)
    if (out.dtype, attrs.dtype) != (DType.S8, DType.S16):
        raise UnsupportedOp(
            f"input is {out.short}, the result {attrs.dtype}; {out.dtype}"
            f"{' or s16' if out.dtype is DType.S8 else ''} wanted for the result"
        )
    return _nearly(Type(out.shape, DType.S16, WIDE_PROBABILITY), attrs.nearly)


def _nearly(out: Type, quant: Quant | None) -> Type:
    """`out` with the scale that a file gives it, which TFLM wants within a thousandth."""
    if quant is None:
        return out
    near = (
        out.dtype is DType.S16
        and quant.axis is None
        and quant.zero_point == (out.zero_point,)
        and abs(quant.scale[0] - out.scale) <= out.scale / 1000
    )
    want(near, f"result is quantized {quant}; {out.quant} or close to it wanted")
    return Type(out.shape, out.dtype, quant)


def softmax_exp_table(beta: float, scale: float) -> np.ndarray:
    """exp(-d * scale * beta) in Q0.31 for d = 0..255, s64 [256]; 0 marks skipped differences."""
    real = min(beta * scale * (1 << (31 - DIFF_BITS)), (1 << 31) - 1.0)
    multiplier, shift = fx.quantize_multiplier(real)
    limit = fx.input_radius(DIFF_BITS, shift)
    diff = -np.arange(256, dtype=np.int64)
    kept = -diff <= limit
    left = np.where(kept, diff, 0) << max(shift, 0)
    scaled = fx.rounding_shift_right(fx.doubling_high_mul(left, multiplier), max(-shift, 0))
    table: np.ndarray = np.where(kept, fx.exp_on_negative_values(scaled, DIFF_BITS), 0)
    return table


def softmax_multiplier_s16(beta: float, scale: float) -> tuple[int, int]:
    """(multiplier, shift) that brings s16 differences to steps of 10 / 65535."""
    return fx.quantize_multiplier(scale * beta / (10.0 / 65535.0))


def _run_softmax(attrs: Softmax, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = args[0]
    if out.dtype.is_float:
        # Infinities of both signs make NaN, as in TFLite.
        with np.errstate(invalid="ignore"):
            size = np.exp((x.astype(np.float64) - x.max(axis=-1, keepdims=True)) * attrs.beta)
            shares: np.ndarray = size / size.sum(axis=-1, keepdims=True)
        return shares.astype(np.float32)
    if x.dtype == np.int16:
        return tables16.softmax(x, *softmax_multiplier_s16(attrs.beta, ins[0].scale))
    table = softmax_exp_table(attrs.beta, ins[0].scale)
    wide = x.astype(np.int64)
    exps = table[wide.max(axis=-1, keepdims=True) - wide]
    total = fx.rounding_shift_right(exps, SUM_BITS).sum(axis=-1, keepdims=True)
    scale, bits_over_unit = fx.reciprocal(total, SUM_BITS)
    shift = bits_over_unit + 31 - out.dtype.bits
    values = fx.rounding_shift_right(fx.doubling_high_mul(exps, scale), shift)
    low, high = out.dtype.limits
    # A skipped difference has exp 0, which lands on `low` by itself.
    clipped: np.ndarray = np.clip(values + low, low, high)
    return clipped.astype(out.dtype.numpy)


def _infer_lookup(attrs: Lookup, ins: Types) -> Type:
    want_dtype("input", ins[0], DType.S8)
    want(
        attrs.table.shape == (256,) and attrs.table.dtype == np.int8,
        f"table is {attrs.table.dtype}{list(attrs.table.shape)}; int8[256] wanted",
    )
    return Type(ins[0].shape, DType.S8, attrs.quant)


def _run_lookup(attrs: Lookup, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    table: np.ndarray = attrs.table[args[0].astype(np.int64) + 128]
    return table


OPS = {
    Op.CLAMP: OpDef(ClampAttrs, (1, 1), _infer_clamp, _run_clamp),
    Op.LOGISTIC: OpDef(Unary, (1, 1), _infer_logistic, _run_logistic),
    Op.TANH: OpDef(Unary, (1, 1), _infer_tanh, _run_tanh),
    Op.SOFTMAX: OpDef(Softmax, (1, 1), _infer_softmax, _run_softmax),
    Op.LOOKUP: OpDef(Lookup, (1, 1), _infer_lookup, _run_lookup),
}
