"""Elementwise operators of one operand: abs to leaky_relu, logical_not.

In s8 all of them but abs, rsqrt, hard_swish and leaky_relu, which have integer schemes of their
own in TensorFlow Lite, are the real function between dequantizing and quantizing, in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.attrs.pointwise import Gelu, LeakyRelu, Pointwise
from milliwatt.ir.ops.common import result, want, want_dtype, want_quant, want_symmetric
from milliwatt.ir.ops.table import Infer, Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]
Function = Callable[[np.ndarray], np.ndarray]


def _infer(*dtypes: DType) -> Infer:
    def infer(attrs: Any, ins: Types) -> Type:
        (x,) = ins
        want_dtype("input", x, *dtypes)
        want_quant(x, "input")
        out = result(x.shape, x, attrs.quant)
        want_symmetric(x, "input")
        want_symmetric(out, "result")
        return out

    return infer


_infer_real = _infer(DType.F32, DType.S8)
_infer_wide = _infer(DType.F32, DType.S8, DType.S16)


def _infer_abs(attrs: Pointwise, ins: Types) -> Type:
    """abs, which also takes s16 that stand for themselves."""
    if ins[0].dtype is DType.S16 and ins[0].quant is None:
        want(attrs.quant is None, "result has a scale and the input none; both or none wanted")
        return ins[0]
    return _infer_wide(attrs, ins)


def _infer_hard_swish(attrs: Pointwise, ins: Types) -> Type:
    out = _infer_real(attrs, ins)
    if out.quant is not None:
        _, shift = _hard_swish_factors(out, ins[0])[0]
        want(
            shift <= 0,
            f"result scale {out.scale} is below 1/128 of the input's {ins[0].scale}; "
            "more wanted; quantize the model again",
        )
    return out


def saturated(values: np.ndarray, out: Type) -> np.ndarray:
    """Integers clipped to the result's element type."""
    clipped: np.ndarray = np.clip(values, *out.dtype.limits)
    return clipped.astype(out.dtype.numpy)


def rounded_to(real: np.ndarray, out: Type) -> np.ndarray:
    """A float32 result in `out`'s quantization, halves away from zero; NaN gives the lowest.

    Source: TensorFlow Lite, LUTPopulate: the product with the scale's float32 reciprocal.
    """
    steps = (real * (np.float32(1) / np.float32(out.scale))).astype(np.float64)
    bounded = np.clip(np.nan_to_num(steps, nan=-1e6), -1e6, 1e6)
    whole = np.sign(bounded) * np.floor(np.abs(bounded) + 0.5)
    return saturated(whole + out.zero_point, out)


def _real(function: Function, function_s8: Function | None = None) -> Callable[..., np.ndarray]:
    """The reference of a real function given on float64; `function_s8` where s8 has another."""

    def run(attrs: Any, out: Type, ins: Types, args: Arrays) -> np.ndarray:
        x = args[0]
        if out.dtype is DType.S8:
            x = np.float32(ins[0].scale) * (x.astype(np.int32) - ins[0].zero_point)
        chosen = function_s8 if function_s8 and out.dtype is DType.S8 else function
        with np.errstate(all="ignore"):
            real = chosen(x.astype(np.float64)).astype(np.float32)
            return real if out.dtype.is_float else rounded_to(real, out)

    return run


def _f32_quotient(a: float, b: float) -> float:
    """a / b as float32 computes it."""
    with np.errstate(over="ignore"):
        return float(np.float32(a) / np.float32(b))


def abs_factor(out: Type, x: Type) -> tuple[int, int] | None:
    """(multiplier, shift) of a quantized abs; None where the scales are equal."""
    if x.scale == out.scale:
        return None
    return fx.quantize_multiplier(x.scale / out.scale)


def _run_abs(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        return np.abs(args[0])
    size = np.abs(args[0].astype(np.int64) - ins[0].zero_point)
    if out.quant is None:  # the most negative value stays as it is
        return size.astype(out.dtype.numpy)
    factor = abs_factor(out, ins[0])
    if factor is not None:
        size = fx.multiply_by_quantized_multiplier(size, *factor)
    return saturated(size + out.zero_point, out)


_RSQRT_SHIFT = 20
_HALF_SQRT_2 = 1518500250
_LEAST_F32 = 2.0**-149


def _inverse_square_root(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(multiplier, shift) of 1 / sqrt(x) for whole x from 1 to 255, five Newton steps from 1.

    x is brought to [1/4, 1) in Q3.28 by whole powers of 4.
    """
    bits = np.floor(np.log2(x)).astype(np.int64)
    pairs = (30 - bits) // 2 - 1
    half = fx.rounding_shift_right((x << 2 * pairs) >> 1, 1)
    root = np.full(x.shape, 1 << 28, np.int64)
    for _ in range(5):
        square = fx.doubling_high_mul(root, root)
        cube = fx.saturating_shift_left(fx.doubling_high_mul(square, root), 6)
        step = fx.doubling_high_mul((1 << 28) + (1 << 27), root)
        root = fx.saturating_shift_left(step - fx.doubling_high_mul(half, cube), 3)
    shift = 11 - pairs
    root = fx.doubling_high_mul(root, _HALF_SQRT_2) << np.maximum(-shift, 0)
    one = x == 1
    return np.where(one, fx.INT32_MAX, root), np.where(one, 0, -np.maximum(shift, 0))


def _run_rsqrt(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """rsqrt; in s8 what is 0 or below gives the largest result."""
    if out.dtype.is_float:
        with np.errstate(all="ignore"):
            inverse: np.ndarray = 1 / np.sqrt(args[0].astype(np.float64))
            return inverse.astype(np.float32)
    x = args[0].astype(np.int64) - ins[0].zero_point
    root, shift = _inverse_square_root(np.maximum(x, 1))
    raised = fx.multiply_by_quantized_multiplier(np.ones_like(x), root, shift + _RSQRT_SHIFT)
    with np.errstate(over="ignore"):
        scale = float(np.sqrt(np.float32(ins[0].scale)) * np.float32(out.scale))
    # A product that vanishes in float32 gives the largest multiplier, as its neighbours do.
    multiplier, out_shift = fx.quantize_multiplier(1.0 / max(scale, _LEAST_F32))
    values = fx.multiply_by_quantized_multiplier(raised, multiplier, out_shift - _RSQRT_SHIFT)
    most = out.dtype.limits[1]
    return saturated(np.where(x > 0, values + out.zero_point, most), out)


def _to_16_bits(multiplier: int) -> int:
    """A 32-bit multiplier rounded to its upper 16 bits, saturated."""
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1)


def _hard_swish_factors(out: Type, x: Type) -> tuple[tuple[int, int], tuple[int, int]]:
    """(16-bit multiplier, shift) to the result's scale and to that of the gate, 3 / 32768."""
    fine = float(np.float32(1 / 128) * np.float32(x.scale))
    gate = float(np.float32(3) / np.float32(32768))
    pairs = (fx.quantize_multiplier(_f32_quotient(fine, s)) for s in (out.scale, gate))
    (a, a_shift), (b, b_shift) = pairs
    return (_to_16_bits(a), a_shift), (_to_16_bits(b), b_shift)


def _high_mul_16(a: np.ndarray, b: int) -> np.ndarray:
    """round(a * b / 2**15) of 16-bit numbers, halves away from zero."""
    product = a * b
    size = (np.abs(product) + (1 << 14)) >> 15
    # Below zero the reference's nudge is one less than half.
    size = np.where(product < 0, (np.abs(product) + (1 << 14) - 1) >> 15, size)
    signed: np.ndarray = np.where(product < 0, -size, size)
    bounded: np.ndarray = np.minimum(signed, 2**15 - 1)
    return bounded


def _shift_right_16(x: np.ndarray, exponent: int) -> np.ndarray:
    """x / 2**exponent rounded, halves away from zero, with the reference's 16-bit masks.

    Beyond 15 its mask is -1, so that what is not negative becomes 1.
    """
    mask = (1 << exponent) - 1 if exponent < 16 else -1
    threshold = (mask >> 1) + (x < 0)
    return (x >> exponent) + ((x & mask) > threshold)


def _clip_16(x: np.ndarray) -> np.ndarray:
    clipped: np.ndarray = np.clip(x, -(2**15), 2**15 - 1)
    return clipped


def _run_hard_swish(attrs: Pointwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """x * clamp(x + 3, 0, 6) / 6; in s8 the gate is (clamp(x / 3, -1, 1) + 1) / 2 in 16 bits."""
    if out.dtype.is_float:
        three, six = np.float32(3), np.float32(6)
        with np.errstate(all="ignore"):
            real: np.ndarray = args[0] * np.clip(args[0] + three, 0, six) / six
            return real
    (to_out, out_shift), (to_gate, shift) = _hard_swish_factors(out, ins[0])
    fine = (args[0].astype(np.int64) - ins[0].zero_point) << 7
    value = _high_mul_16(fine, to_out)
    gate = _clip_16(fine << (shift - 1)) if shift > 0 else fine
    gate = _high_mul_16(gate, to_gate)
    if shift > 0:
        gate = _clip_16(gate << 1)
    elif shift < 0:
        gate = _shift_right_16(gate, -shift)
    product = ((gate + 2**15) >> 1) * value
    product = np.sign(product) * (np.abs(product) >> 15)
    return saturated(_shift_right_16(product, -out_shift) + out.zero_point, out)


def leaky_factors(alpha: float, out: Type, x: Type) -> tuple[tuple[int, int], tuple[int, int], int]:
    """(multiplier, shift) above and below 0, and the sign of what is below, from alpha's."""
    below = x.scale * float(np.float32(alpha)) / out.scale
    above = fx.quantize_multiplier(x.scale / out.scale)
    return above, fx.quantize_multiplier(abs(below)), -1 if alpha < 0 else 1


def _infer_leaky(attrs: LeakyRelu, ins: Types) -> Type:
    want(bool(np.isfinite(np.float32(attrs.alpha))), f"alpha is {attrs.alpha}; finite wanted")
    return _infer_wide(attrs, ins)


def _run_leaky_relu(attrs: LeakyRelu, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        with np.errstate(over="ignore"):
            return np.where(args[0] > 0, args[0], args[0] * np.float32(attrs.alpha))
    above, below, sign = leaky_factors(attrs.alpha, out, ins[0])
    x = args[0].astype(np.int64) - ins[0].zero_point
    positive = fx.multiply_by_quantized_multiplier(x, *above)
    negative = sign * fx.multiply_by_quantized_multiplier(x, *below)
    return saturated(np.where(x >= 0, positive, negative) + out.zero_point, out)


_ERF = np.frompyfunc(math.erf, 1, 1)


def _gelu(x: np.ndarray) -> np.ndarray:
    """x / 2 * (1 + erf(x / sqrt 2)), float64."""
    integral = np.asarray(_ERF(x * math.sqrt(0.5)), np.float64)
    return 0.5 * x * (1 + integral)


def _gelu_tanh(x: np.ndarray) -> np.ndarray:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), float64. Hendrycks and Gimpel 2016."""
    bent: np.ndarray = np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))
    product: np.ndarray = 0.5 * x * (1 + bent)
    return product


def _run_gelu(attrs: Gelu, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return _real(_gelu_tanh if attrs.approximate else _gelu)(attrs, out, ins, args)


def _infer_not(attrs: Attrs, ins: Types) -> Type:
    want_dtype("input", ins[0], DType.BOOL)
    return Type(ins[0].shape, DType.BOOL)


def _run_not(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.logical_not(args[0])


def _elu(x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, np.expm1(np.minimum(x, 0)), x)


def _elu_s8(x: np.ndarray) -> np.ndarray:
    """elu as TFLM's table computes it: the exponential is a float32 before 1 is taken off."""
    return np.where(x < 0, np.exp(x).astype(np.float32) - np.float32(1), x)


FUNCTIONS: dict[Op, Callable[..., np.ndarray]] = {
    Op.NEG: _real(np.negative),
    Op.EXP: _real(np.exp),
    Op.LOG: _real(np.log),
    Op.SIN: _real(np.sin),
    Op.COS: _real(np.cos),
    Op.SQRT: _real(np.sqrt),
    Op.SQUARE: _real(np.square),
    Op.SIGN: _real(np.sign),
    Op.FLOOR: _real(np.floor),
    Op.CEIL: _real(np.ceil),
    Op.ROUND: _real(np.rint),
    Op.ELU: _real(_elu, _elu_s8),
}

OPS = {
    **{op: OpDef(Pointwise, (1, 1), _infer_real, run) for op, run in FUNCTIONS.items()},
    Op.ABS: OpDef(Pointwise, (1, 1), _infer_abs, _run_abs),
    Op.RSQRT: OpDef(Pointwise, (1, 1), _infer_real, _run_rsqrt),
    Op.HARD_SWISH: OpDef(Pointwise, (1, 1), _infer_hard_swish, _run_hard_swish),
    Op.LEAKY_RELU: OpDef(LeakyRelu, (1, 1), _infer_leaky, _run_leaky_relu),
    Op.GELU: OpDef(Gelu, (1, 1), _infer_real, _run_gelu),
    Op.LOGICAL_NOT: OpDef(Attrs, (1, 1), _infer_not, _run_not),
}
