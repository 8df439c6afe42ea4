"""Elementwise operators of two operands with NumPy broadcasting: add, sub, mul."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Elementwise
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
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

# Left shift before the two operands are brought to one scale: the sum stays in 32 bits.
ADD_LEFT_SHIFT = {DType.S8: 20, DType.S16: 15}


def infer_elementwise(attrs: Elementwise, ins: Types) -> Type:
    """Result type of add, sub and mul; s32 is index arithmetic and has no quantization."""
    want_dtype("first operand", ins[0], DType.F32, DType.S8, DType.S16, DType.S32)
    want_dtype("second operand", ins[1], ins[0].dtype)
    shape = broadcast([t.shape for t in ins])
    if ins[0].dtype is DType.S32:
        for value in ins:
            want_plain(value)
        want(attrs.quant is None, "an s32 result has quantization; None wanted")
        return Type(shape, DType.S32)
    for value in ins:
        want_quant(value)
    return result(shape, ins[0], attrs.quant)


def _infer_mul(attrs: Elementwise, ins: Types) -> Type:
    out = infer_elementwise(attrs, ins)
    for value, kind in ((ins[0], "first operand"), (ins[1], "second operand"), (out, "result")):
        want_symmetric(value, kind)
    return out


def add_multipliers(out: Type, ins: Types) -> tuple[tuple[int, int], ...]:
    """(multiplier, shift) of first operand, second operand and result of a quantized add or sub."""
    twice_max = 2.0 * max(ins[0].scale, ins[1].scale)
    scale_out = (1 << ADD_LEFT_SHIFT[out.dtype]) * out.scale
    reals = (ins[0].scale / twice_max, ins[1].scale / twice_max, twice_max / scale_out)
    return tuple(fx.quantize_multiplier(r) for r in reals)


def mul_multiplier(out: Type, ins: Types) -> tuple[int, int]:
    """(multiplier, shift) of a quantized mul: s_1 * s_2 / s_out."""
    return fx.quantize_multiplier(ins[0].scale * ins[1].scale / out.scale)


def _rescaled(x: np.ndarray, kind: Type, factor: tuple[int, int]) -> np.ndarray:
    raised = (x.astype(np.int64) - kind.zero_point) << ADD_LEFT_SHIFT[kind.dtype]
    return fx.multiply_by_quantized_multiplier(raised, *factor)


def _add_sub(attrs: Elementwise, out: Type, ins: Types, args: Arrays, sign: int) -> np.ndarray:
    if out.dtype.is_float:
        with np.errstate(over="ignore", invalid="ignore"):
            return clip(args[0] + np.float32(sign) * args[1], attrs.clamp, out)
    if out.dtype is DType.S32:
        plain = args[0].astype(np.int64) + sign * args[1].astype(np.int64)
        return clip(fx.wrap32(plain), attrs.clamp, out)
    first, second, last = add_multipliers(out, ins)
    total = _rescaled(args[0], ins[0], first) + sign * _rescaled(args[1], ins[1], second)
    return clip(
        fx.multiply_by_quantized_multiplier(total, *last) + out.zero_point, attrs.clamp, out
    )


def run_add(attrs: Elementwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """a + b."""
    return _add_sub(attrs, out, ins, args, 1)


def _run_sub(attrs: Elementwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return _add_sub(attrs, out, ins, args, -1)


def _run_mul(attrs: Elementwise, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if out.dtype.is_float:
        with np.errstate(over="ignore", invalid="ignore"):
            return clip(args[0] * args[1], attrs.clamp, out)
    product = (args[0].astype(np.int64) - ins[0].zero_point) * (
        args[1].astype(np.int64) - ins[1].zero_point
    )
    if out.dtype is DType.S32:
        return clip(fx.wrap32(product), attrs.clamp, out)
    scaled = fx.multiply_by_quantized_multiplier(product, *mul_multiplier(out, ins))
    return clip(scaled + out.zero_point, attrs.clamp, out)


OPS = {
    Op.ADD: OpDef(Elementwise, (2, 2), infer_elementwise, run_add),
    Op.SUB: OpDef(Elementwise, (2, 2), infer_elementwise, _run_sub),
    Op.MUL: OpDef(Elementwise, (2, 2), _infer_mul, _run_mul),
}
