"""Elementwise operators beyond add, sub and mul: math, comparison, logic, choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Attrs, Elementwise
from milliwatt.ir.attrs.pointwise import Cast, Pointwise
from milliwatt.ir.ops import pointwise_unary as unary
from milliwatt.ir.ops.common import (
    broadcast,
    clip,
    result,
    want,
    want_dtype,
    want_plain,
    want_quant,
    want_symmetric,
)
from milliwatt.ir.ops.elementwise import ADD_LEFT_SHIFT
from milliwatt.ir.ops.pointwise_unary import saturated
from milliwatt.ir.ops.table import Infer, Op, OpDef, Reference
from milliwatt.ir.types import DType, Quant, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

F32, S8, S16, S32, S64 = DType.F32, DType.S8, DType.S16, DType.S32, DType.S64
_PLAIN = (DType.S32, DType.S64)
MANY = 1 << 16
# Left shifts before operands are brought to one scale (TensorFlow Lite, int8).
COMPARE_LEFT_SHIFT, DIFFERENCE_LEFT_SHIFT = 8, 7
# Which of (a < b, a == b, a > b, unordered) make a comparison true, lowest bit first.
COMPARISONS: dict[Op, int] = {
    Op.EQUAL: 0b0010,
    Op.NOT_EQUAL: 0b1101,
    Op.LESS: 0b0001,
    Op.LESS_EQUAL: 0b0011,
    Op.GREATER: 0b0100,
    Op.GREATER_EQUAL: 0b0110,
}
_COMPARE = {
    Op.EQUAL: np.equal,
    Op.NOT_EQUAL: np.not_equal,
    Op.LESS: np.less,
    Op.LESS_EQUAL: np.less_equal,
    Op.GREATER: np.greater,
    Op.GREATER_EQUAL: np.greater_equal,
}


def _want_numbers(kind: str, value: Type) -> None:
    """Quantization where the element type asks for it: s8 and s16 have it, s32 and s64 have not."""
    if value.dtype in _PLAIN:
        want_plain(value, kind)
    else:
        want_quant(value, kind)
        want_symmetric(value, kind)


def _infer_pair(*dtypes: DType) -> Infer:
    """Two operands of one element type and a result of the same."""

    def infer(attrs: Any, ins: Types) -> Type:
        want_dtype("first operand", ins[0], *dtypes)
        want_dtype("second operand", ins[1], ins[0].dtype)
        out = Type(broadcast([t.shape for t in ins]), ins[0].dtype, attrs.quant)
        for kind, value in (("first operand", ins[0]), ("second operand", ins[1])):
            _want_numbers(kind, value)
        if out.dtype.is_float:
            return result(out.shape, out, attrs.quant)
        _want_numbers("result", out)
        return out

    return infer


def _one_quantization(values: Types, quant: Quant | None) -> None:
    """Raise InvalidGraph unless all values and the result share scale and zero point."""
    for value in values:
        want(
            value.quant == quant,
            f"operand {value.short} has {_quant_name(value.quant)}, the result "
            f"{_quant_name(quant)}; one quantization of all wanted; requantize the operand",
        )


def _quant_name(quant: Quant | None) -> str:
    return "no quantization" if quant is None else str(quant)


_infer_numbers = _infer_pair(F32, S8, S16, S32, S64)


def _infer_extremum(attrs: Pointwise, ins: Types) -> Type:
    out = _infer_numbers(attrs, ins)
    _one_quantization(ins, attrs.quant)
    return out


def _run_maximum(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """a where a > b, else b, as the reference: of a NaN and a number the second is taken."""
    return np.where(args[0] > args[1], *args)


def _run_minimum(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.where(args[0] < args[1], *args)


def div_factor(out: Type, ins: Types) -> tuple[int, int]:
    """(multiplier, shift) of a quantized div: s_1 / (s_2 * s_out), in float32."""
    with np.errstate(over="ignore", divide="ignore"):
        scale = np.float32(ins[1].scale) * np.float32(out.scale)
        return fx.quantize_multiplier(float(np.float32(ins[0].scale) / scale))


def _run_div(attrs: Elementwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """a / b. By 0: IEEE in f32, 0 in s32, in s8 the end of the range that a's sign says."""
    if out.dtype.is_float:
        with np.errstate(all="ignore"):
            return clip(args[0] / args[1], attrs.clamp, out)
    a, b = np.broadcast_arrays(*(x.astype(np.int64) for x in args))
    if out.dtype is S32:
        size = np.abs(a) // np.maximum(np.abs(b), 1)
        whole = np.where((a < 0) != (b < 0), -size, size)
        return clip(fx.wrap32(np.where(b == 0, 0, whole)), attrs.clamp, out)
    a, b = a - ins[0].zero_point, b - ins[1].zero_point
    size, low = np.abs(b), fx.INT32_MIN
    a = np.where(b < 0, -a, a)
    inverse, bits = fx.reciprocal(np.maximum(size, 1), 31)
    spread = np.where(a < 0, -a - 1, a)
    headroom = 31 - np.ceil(np.log2(spread + 1)).astype(np.int64)
    quotient = fx.doubling_high_mul(a << headroom, inverse)
    multiplier, shift = div_factor(out, ins)
    # More than 31 bits to the right leave nothing; to the left the reference has no definition.
    right = bits + headroom - shift
    scaled = fx.rounding_shift_right(
        fx.doubling_high_mul(quotient, multiplier), np.clip(right, 0, 31)
    )
    scaled = np.where(right > 31, 0, scaled)
    scaled = np.where(right < 0, np.sign(quotient) * fx.INT32_MAX, scaled)
    by_zero = np.where(a > 0, fx.INT32_MAX, np.where(a < 0, low, 0))
    return clip(np.where(size == 0, by_zero, scaled) + out.zero_point, attrs.clamp, out)


def _run_floor_div(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """floor(a / b); by 0 IEEE in f32, 0 in s32."""
    if out.dtype.is_float:
        with np.errstate(all="ignore"):
            return np.floor(args[0].astype(np.float64) / args[1]).astype(np.float32)
    a, b = (x.astype(np.int64) for x in args)
    whole = a // np.where(b == 0, 1, b)
    return fx.wrap32(np.where(b == 0, 0, whole)).astype(np.int32)


def _run_floor_mod(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """a - floor(a / b) * b, the sign of b; by 0 NaN in f32, 0 in s32."""
    if out.dtype.is_float:
        with np.errstate(all="ignore"):
            rest = np.fmod(*args)
            other = (rest != 0) & ((args[1] < 0) != (rest < 0))
            return np.where(other, rest + args[1], rest)
    a, b = (x.astype(np.int64) for x in args)
    return np.where(b == 0, 0, a - a // np.where(b == 0, 1, b) * b).astype(np.int32)


def difference_factors(out: Type, ins: Types) -> tuple[tuple[int, int], ...]:
    """(multiplier, shift) of both operands and of the square of their difference."""
    twice_max = 2.0 * max(ins[0].scale, ins[1].scale)
    left = DIFFERENCE_LEFT_SHIFT if out.dtype is S8 else 0
    with np.errstate(over="ignore"):
        scale = float(np.float32(1 << 2 * left) * np.float32(out.scale))
    last = twice_max * twice_max / scale
    reals = (ins[0].scale / twice_max, ins[1].scale / twice_max, last)
    return tuple(fx.quantize_multiplier(r) for r in reals)


def _run_squared_difference(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        with np.errstate(all="ignore"):
            real: np.ndarray = np.square(args[0] - args[1])
            return real
    if out.dtype is S32:
        difference = fx.wrap32(args[0].astype(np.int64) - args[1])
        return fx.wrap32(difference * difference).astype(np.int32)
    first, second, last = difference_factors(out, ins)
    left = DIFFERENCE_LEFT_SHIFT if out.dtype is S8 else 0
    a, b = (
        fx.multiply_by_quantized_multiplier((x.astype(np.int64) - t.zero_point) << left, *factor)
        for x, t, factor in zip(args, ins, (first, second), strict=True)
    )
    scaled = fx.multiply_by_quantized_multiplier((a - b) * (a - b), *last)
    return saturated(scaled + out.zero_point, out)


def _infer_prelu(attrs: Pointwise, ins: Types) -> Type:
    """prelu: alpha has the input's element type, s8 beside an s16 input."""
    x, alpha = ins
    want_dtype("input", x, F32, S8, S16)
    want_dtype("alpha", alpha, S8 if x.dtype is S16 else x.dtype)
    _want_numbers("input", x)
    _want_numbers("alpha", alpha)
    out = result(broadcast([x.shape, alpha.shape]), x, attrs.quant)
    want(out.shape == x.shape, f"alpha is {alpha.short}; no more axes than {x.short} wanted")
    want_symmetric(out, "result")
    return out


def prelu_factors(out: Type, ins: Types) -> tuple[tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) above and below 0."""
    above = ins[0].scale / out.scale
    below = ins[0].scale * ins[1].scale / out.scale
    return fx.quantize_multiplier(above), fx.quantize_multiplier(below)


def _run_prelu(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        with np.errstate(over="ignore"):
            return np.where(args[0] >= 0, args[0], args[0] * args[1])
    above, below = prelu_factors(out, ins)
    x, alpha = (a.astype(np.int64) - t.zero_point for a, t in zip(args, ins, strict=True))
    positive = fx.multiply_by_quantized_multiplier(x, *above)
    negative = fx.multiply_by_quantized_multiplier(x * alpha, *below)
    return saturated(np.where(x >= 0, positive, negative) + out.zero_point, out)


def _infer_compare(*dtypes: DType) -> Infer:
    def infer(attrs: Attrs, ins: Types) -> Type:
        want_dtype("first operand", ins[0], *dtypes)
        want_dtype("second operand", ins[1], ins[0].dtype)
        if ins[0].dtype is not DType.BOOL:
            for value in ins:
                _want_numbers("operand", value)
        if ins[0].dtype is S16:
            _one_quantization(ins[1:], ins[0].quant)
        return Type(broadcast([t.shape for t in ins]), DType.BOOL)

    return infer


def compare_factors(ins: Types) -> tuple[tuple[int, int], ...]:
    """(multiplier, shift) of both operands of an s8 comparison: their scales."""
    return tuple(fx.quantize_multiplier(t.scale) for t in ins)


def _run_compare(op: Op) -> Reference:
    def run(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
        if ins[0].dtype is not S8:
            return np.asarray(_COMPARE[op](*args))
        scaled = (
            fx.multiply_by_quantized_multiplier(
                (x.astype(np.int64) - t.zero_point) << COMPARE_LEFT_SHIFT, *factor
            )
            for x, t, factor in zip(args, ins, compare_factors(ins), strict=True)
        )
        return np.asarray(_COMPARE[op](*scaled))

    return run


def _run_and(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.logical_and(*args)


def _run_or(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.logical_or(*args)


def _infer_add_n(attrs: Pointwise, ins: Types) -> Type:
    want_dtype("operand", ins[0], F32, S8)
    for other in ins:
        want_dtype("operand", other, ins[0].dtype)
        want(other.shape == ins[0].shape, f"operand is {other.short}; {ins[0].short} wanted")
        want_quant(other)
    _one_quantization(ins[1:], ins[0].quant)
    return result(ins[0].shape, ins[0], attrs.quant)


def add_n_factors(out: Type, x: Type) -> tuple[tuple[int, int], tuple[int, int]]:
    """(multiplier, shift) of every operand, 1/2, and of their sum."""
    twice = 2.0 * x.scale
    last = twice / ((1 << ADD_LEFT_SHIFT[S8]) * out.scale)
    return fx.quantize_multiplier(0.5), fx.quantize_multiplier(last)


def _run_add_n(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        total = np.zeros(out.shape, np.float32)
        with np.errstate(over="ignore", invalid="ignore"):
            for x in args:
                total = total + x
        return total
    each, last = add_n_factors(out, ins[0])
    sums = np.zeros(out.shape, np.int64)
    for x in args:
        raised = (x.astype(np.int64) - ins[0].zero_point) << ADD_LEFT_SHIFT[S8]
        sums += fx.multiply_by_quantized_multiplier(raised, *each)
    return saturated(fx.multiply_by_quantized_multiplier(sums, *last) + out.zero_point, out)


def _infer_select(attrs: Pointwise, ins: Types) -> Type:
    want_dtype("condition", ins[0], DType.BOOL)
    want_dtype("second choice", ins[2], ins[1].dtype)
    _one_quantization(ins[1:], attrs.quant)
    return Type(broadcast([t.shape for t in ins]), ins[1].dtype, attrs.quant)


def _run_select(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.where(*args)


_CASTABLE = (F32, S8, S16, S32, S64, DType.U8, DType.U32, DType.BOOL)


def _infer_cast(attrs: Cast, ins: Types) -> Type:
    out = Type(ins[0].shape, attrs.dtype, attrs.quant)
    want_dtype("input", ins[0], *_CASTABLE)
    want_dtype("result", out, *_CASTABLE)
    return out


def _run_cast(attrs: Cast, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """Integers keep their low bits; reals lose their fraction and saturate, NaN gives 0."""
    x = args[0]
    if out.dtype is DType.BOOL:
        return np.not_equal(x, 0)
    if ins[0].dtype is not F32:
        return x.astype(out.dtype.numpy)
    if out.dtype is F32:
        return x
    low, high = out.dtype.limits
    real = np.nan_to_num(x.astype(np.float64), nan=0.0)
    # In float64 the most of s64 rounds up and would not convert: it is put in afterwards.
    inside = np.where((real < high) & (real > low), np.trunc(real), 0).astype(np.int64)
    whole = np.where(real >= high, high, np.where(real <= low, low, inside))
    return whole.astype(out.dtype.numpy)


OPS = {
    **unary.OPS,
    Op.DIV: OpDef(Elementwise, (2, 2), _infer_pair(F32, S8, S32), _run_div),
    Op.FLOOR_DIV: OpDef(Pointwise, (2, 2), _infer_pair(F32, S32), _run_floor_div),
    Op.FLOOR_MOD: OpDef(Pointwise, (2, 2), _infer_pair(F32, S32), _run_floor_mod),
    Op.MAXIMUM: OpDef(Pointwise, (2, 2), _infer_extremum, _run_maximum),
    Op.MINIMUM: OpDef(Pointwise, (2, 2), _infer_extremum, _run_minimum),
    Op.SQUARED_DIFFERENCE: OpDef(
        Pointwise, (2, 2), _infer_pair(F32, S8, S16, S32), _run_squared_difference
    ),
    Op.PRELU: OpDef(Pointwise, (2, 2), _infer_prelu, _run_prelu),
    **{
        op: OpDef(
            Attrs,
            (2, 2),
            _infer_compare(
                F32, S8, S16, S32, S64, *([DType.BOOL] * (op in (Op.EQUAL, Op.NOT_EQUAL)))
            ),
            _run_compare(op),
        )
        for op in COMPARISONS
    },
    Op.LOGICAL_AND: OpDef(Attrs, (2, 2), _infer_compare(DType.BOOL), _run_and),
    Op.LOGICAL_OR: OpDef(Attrs, (2, 2), _infer_compare(DType.BOOL), _run_or),
    Op.ADD_N: OpDef(Pointwise, (2, MANY), _infer_add_n, _run_add_n),
    Op.SELECT: OpDef(Pointwise, (3, 3), _infer_select, _run_select),
    Op.CAST: OpDef(Cast, (1, 1), _infer_cast, _run_cast),
}
