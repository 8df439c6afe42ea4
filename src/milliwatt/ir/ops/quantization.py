"""Operators that change the element type: quantize, dequantize, requantize."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import NO_CLAMP, Attrs, Quantize
from milliwatt.ir.ops.common import clip, want_dtype, want_quant
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]
# What TFLite Micro requantizes to, by operand; s32 to s32 is a change of scale that passes need.
REQUANTIZED = {
    DType.S8: (DType.S8, DType.U8, DType.S16, DType.S32),
    DType.U8: (DType.S8, DType.U8),
    DType.S16: (DType.S8, DType.S16, DType.S32),
    DType.S32: (DType.S8, DType.S16, DType.S32),
}


def _infer_quantize(attrs: Quantize, ins: Types) -> Type:
    want_dtype("input", ins[0], DType.F32)
    out = Type(ins[0].shape, attrs.dtype, attrs.quant)
    want_dtype("result", out, DType.S8, DType.U8, DType.S16)
    want_quant(out, "result")
    return out


def quantize_array(values: np.ndarray, out: Type) -> np.ndarray:
    """round(value / scale) + zero_point, halves away from zero, saturated; NaN gives zero_point."""
    with np.errstate(over="ignore"):
        scaled = values.astype(np.float32) / np.float32(out.scale)
    low, high = out.dtype.limits
    # Clip before rounding: float32 infinities and NaN have no integer.
    bounded = np.nan_to_num(scaled.astype(np.float64), nan=0.0, posinf=1e9, neginf=-1e9)
    rounded = np.sign(bounded) * np.floor(np.abs(bounded) + 0.5)
    clipped: np.ndarray = np.clip(rounded + out.zero_point, low, high)
    return clipped.astype(out.dtype.numpy)


def dequantize_array(values: np.ndarray, kind: Type) -> np.ndarray:
    """scale * (q - zero_point) as f32, per tensor or per axis."""
    assert kind.quant is not None
    scale = kind.quant.scales.astype(np.float64)
    zero = np.array(kind.quant.zero_point, np.int64)
    if kind.quant.axis is not None:
        shape = [1] * values.ndim
        shape[kind.quant.axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    real = scale * (values.astype(np.int64) - zero)
    return np.asarray(real, np.float32).reshape(values.shape)


def _run_quantize(attrs: Quantize, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return quantize_array(args[0], out)


def _infer_dequantize(attrs: Attrs, ins: Types) -> Type:
    """f16 is only stored; per-axis quantization is what weights of float models have."""
    x = ins[0]
    want_dtype("input", x, DType.S8, DType.U8, DType.S16, DType.S32, DType.F16)
    if x.quant is None or x.quant.axis is None:
        want_quant(x, "input")
    return Type(x.shape, DType.F32)


def _run_dequantize(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    if ins[0].dtype is DType.F16:
        return args[0].astype(np.float32)
    return dequantize_array(args[0], ins[0])


def _infer_requantize(attrs: Quantize, ins: Types) -> Type:
    want_dtype("input", ins[0], *REQUANTIZED)
    want_quant(ins[0], "input")
    out = Type(ins[0].shape, attrs.dtype, attrs.quant)
    want_dtype("result", out, *REQUANTIZED[ins[0].dtype])
    want_quant(out, "result")
    return out


def requantize_multiplier(out: Type, x: Type) -> tuple[int, int]:
    """(multiplier, shift) of s_x / s_out."""
    return fx.quantize_multiplier(x.scale / out.scale)


def _run_requantize(attrs: Quantize, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    moved = args[0].astype(np.int64) - ins[0].zero_point
    scaled = fx.multiply_by_quantized_multiplier(moved, *requantize_multiplier(out, ins[0]))
    return clip(scaled + out.zero_point, NO_CLAMP, out)


OPS = {
    Op.QUANTIZE: OpDef(Quantize, (1, 1), _infer_quantize, _run_quantize),
    Op.DEQUANTIZE: OpDef(Attrs, (1, 1), _infer_dequantize, _run_dequantize),
    Op.REQUANTIZE: OpDef(Quantize, (1, 1), _infer_requantize, _run_requantize),
}
