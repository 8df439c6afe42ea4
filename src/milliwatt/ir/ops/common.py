"""Checks and integer helpers that several operator families share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import Clamp
from milliwatt.ir.types import DType, Quant, Type

F32_MAX = float(np.finfo(np.float32).max)


def want(condition: bool, message: str) -> None:
    """Raise InvalidGraph(message) unless `condition`."""
    if not condition:
        raise InvalidGraph(message)


def want_dtype(kind: str, value: Type, *allowed: DType) -> None:
    """Raise UnsupportedOp unless the element type of operand `kind` is among `allowed`."""
    if value.dtype not in allowed:
        names = " or ".join(str(d) for d in allowed)
        raise UnsupportedOp(f"{kind} is {value.short}; {names} wanted")


def want_quant(value: Type, kind: str = "operand") -> None:
    """Raise InvalidGraph unless an integer value carries per-tensor quantization in range."""
    if value.dtype.is_float:
        return
    want(
        value.quant is not None, f"{kind} {value.short} has no quantization; run mw.quantize first"
    )
    assert value.quant is not None
    want(value.quant.axis is None, f"{kind} {value.short} is quantized per axis; per tensor wanted")
    low, high = value.dtype.limits
    want(
        low <= value.zero_point <= high,
        f"{kind} {value.short} has zero point {value.zero_point}; {low} to {high} wanted",
    )


def want_plain(value: Type, kind: str = "operand") -> None:
    """Raise UnsupportedOp where indices (s32, s64) carry quantization."""
    if value.quant is not None:
        raise UnsupportedOp(
            f"{kind} {value.short} is quantized; {value.dtype} without quantization wanted; "
            "requantize it to s16 or s8"
        )


def want_symmetric(value: Type, kind: str) -> None:
    """Raise InvalidGraph where an s16 has a zero point, as the 16-bit specification forbids."""
    want(
        value.dtype is not DType.S16 or value.zero_point == 0,
        f"{kind} {value.short} has zero point {value.zero_point}; 0 wanted for s16",
    )


def result(shape: tuple[int, ...], like: Type, quant: Quant | None) -> Type:
    """The result type: element type of `like`, quantization `quant` (wanted for integers only)."""
    if like.dtype.is_float:
        want(quant is None, "a float result has quantization; None wanted")
        return Type(shape, like.dtype)
    out = Type(shape, like.dtype, quant)
    want_quant(out, "result")
    return out


def clamp_range(clamp: Clamp, out: Type) -> tuple[int, int]:
    """Quantized bounds of a fused activation on result type `out`, limits of its dtype included.

    Source: TFLite `CalculateActivationRangeQuantized`: zero_point + round(bound / scale) in
    float32.
    """
    low, high = out.dtype.limits

    def quantized(bound: float) -> int:
        with np.errstate(over="ignore"):
            steps = float(np.float32(bound) / np.float32(out.scale))
        whole = out.zero_point + fx.round_half_away(min(max(steps, -(2.0**31)), 2.0**31))
        return min(max(whole, low), high)

    return quantized(clamp[0]), quantized(clamp[1])


def clip(values: np.ndarray, clamp: Clamp, out: Type) -> np.ndarray:
    """Apply a fused activation and cast to the result's element type.

    No bound of a float is the largest float32, as in TFLite: a result that overflows is finite.
    """
    if out.dtype.is_float:
        least, most = (np.float32(min(max(bound, -F32_MAX), F32_MAX)) for bound in clamp)
        # Two comparisons, as in C: NaN stays, and so does a zero's sign at a bound of 0.
        raised = np.where(values < least, least, values)
        reals: np.ndarray = np.where(raised > most, most, raised)
        return reals.astype(np.float32)
    low, high = clamp_range(clamp, out)
    # The reference applies max first, then min: with crossed bounds `high` wins, as np.clip does.
    integers: np.ndarray = np.minimum(np.maximum(values, low), high)
    return integers.astype(out.dtype.numpy)


def broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """NumPy broadcasting of shapes; InvalidGraph where they do not fit."""
    try:
        return tuple(int(d) for d in np.broadcast_shapes(*shapes))
    except ValueError:
        listed = " and ".join(str(list(s)) for s in shapes)
        raise InvalidGraph(f"shapes {listed} do not broadcast") from None
