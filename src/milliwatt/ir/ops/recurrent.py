"""Recurrent layers: SVDF. LSTM and scan are in their own files.

Source: TensorFlow Lite Micro reference kernels, SVDF; Nakkiran et al., "Compressing deep neural
networks using a rank-constrained topology", Interspeech 2015.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs.core import NO_CLAMP, Attrs
from milliwatt.ir.attrs.recurrent import Svdf
from milliwatt.ir.ops import lstm, scan
from milliwatt.ir.ops.common import clip, result, want, want_dtype, want_quant, want_symmetric
from milliwatt.ir.ops.lstm import LARGEST_FACTOR
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

_STATES = {DType.F32: (DType.F32,), DType.S8: (DType.S16, DType.S8)}


def _want_weights(kind: str, weights: Type, dtype: DType) -> None:
    want_dtype(kind, weights, dtype)
    want(len(weights.shape) == 2, f"{kind} are {weights.short}; 2 axes wanted")
    want_quant(weights, kind)
    want(
        weights.zero_point == 0,
        f"{kind} {weights.short} have zero point {weights.zero_point}; 0 wanted",
    )


def _infer_state(attrs: Attrs, ins: Types) -> Type:
    x, weights, state = ins
    want_dtype("input", x, *_STATES)
    want_quant(x, "input")
    want(len(x.shape) == 2, f"input is {x.short}; 2 axes [B,I] wanted")
    _want_weights("feature weights", weights, x.dtype)
    want(
        weights.shape[1] == x.shape[1],
        f"feature weights are {weights.short}; [F,{x.shape[1]}] wanted",
    )
    want_dtype("state", state, *_STATES[x.dtype])
    want_quant(state, "state")
    want_symmetric(state, "state")
    filters = weights.shape[0]
    want(
        len(state.shape) == 2 and state.shape[0] == x.shape[0] and state.shape[1] % filters == 0,
        f"state is {state.short}; [{x.shape[0]}, {filters} * steps] wanted",
    )
    return state


def state_factor(ins: Types) -> tuple[int, int]:
    """(multiplier, shift) of s_x * s_weights / s_state, in float32 as TFLM has it."""
    x, weights, state = (np.float32(kind.scale) for kind in ins)
    return _factor(x, weights, state)


def _factor(a: np.float32, b: np.float32, c: np.float32) -> tuple[int, int]:
    """a * b / c in float32; what overflows is as the largest factor, it saturates anyway."""
    with np.errstate(over="ignore", under="ignore"):
        return fx.quantize_multiplier(min(float(a * b / c), LARGEST_FACTOR))


def _run_state(attrs: Attrs, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """A step older, the newest column computed; its zero point is added after saturation."""
    x = args[0].astype(np.float64) - ins[0].zero_point
    newest: np.ndarray = x @ args[1].astype(np.float64).T
    if not out.dtype.is_float:
        sums = fx.wrap32(newest.astype(np.int64))
        scaled = fx.multiply_by_quantized_multiplier(sums, *state_factor(ins))
        newest = np.clip(scaled, *out.dtype.limits) + out.zero_point
    made = np.empty((*newest.shape, out.shape[1] // newest.shape[1]), out.dtype.numpy)
    made[..., :-1] = args[2].reshape(made.shape)[..., 1:]
    with np.errstate(over="ignore"):
        made[..., -1] = newest.astype(out.dtype.numpy)
    return made.reshape(out.shape)


def _infer_svdf(attrs: Svdf, ins: Types) -> Type:
    state, weights, bias = ins
    want_dtype("state", state, DType.F32, DType.S16, DType.S8)
    want_quant(state, "state")
    want_symmetric(state, "state")
    _want_weights("time weights", weights, state.dtype)
    filters = weights.shape[0]
    want(
        len(state.shape) == 2 and state.shape[1] == weights.size,
        f"state is {state.short}, time weights {weights.short}; [B,{weights.size}] wanted",
    )
    want(
        attrs.rank >= 1 and filters % attrs.rank == 0,
        f"rank is {attrs.rank} of {filters} filters; a divisor wanted",
    )
    real = state.dtype.is_float
    want(real or attrs.clamp == NO_CLAMP, "an integer svdf has an activation; none wanted")
    want_dtype("bias", bias, DType.F32 if real else DType.S32)
    want(
        bias.shape == (filters // attrs.rank,),
        f"bias is {bias.short}; [{filters // attrs.rank}] wanted",
    )
    like = state if real else Type((), DType.S8)
    return result((state.shape[0], filters // attrs.rank), like, attrs.quant)


def svdf_factor(out: Type, ins: Types) -> tuple[int, int]:
    """(multiplier, shift) of s_state * s_weights / s_out, in float32 as TFLM has it."""
    state, weights = (np.float32(kind.scale) for kind in ins[:2])
    return _factor(state, weights, np.float32(out.scale))


def _run_svdf(attrs: Svdf, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """Integer sums wrap to 32 bits, as TFLM's: 16-bit states and weights can reach beyond."""
    held = np.float64 if out.dtype.is_float else np.int64
    state = args[0].astype(held) - ins[0].zero_point
    products = state * args[1].astype(held).reshape(-1)
    sums = products.reshape(*out.shape, -1).sum(axis=-1) + args[2]
    if out.dtype.is_float:
        with np.errstate(over="ignore"):
            return clip(sums.astype(np.float32), attrs.clamp, out)
    scaled = fx.multiply_by_quantized_multiplier(fx.wrap32(sums), *svdf_factor(out, ins))
    return clip(scaled + out.zero_point, NO_CLAMP, out)


def _macs_state(attrs: Attrs, out: Type, ins: Types) -> int:
    return ins[0].shape[0] * ins[1].size


def _macs_svdf(attrs: Svdf, out: Type, ins: Types) -> int:
    return ins[0].size


OPS: dict[Op, OpDef] = {
    Op.SVDF_STATE: OpDef(Attrs, (3, 3), _infer_state, _run_state, _macs_state),
    Op.SVDF: OpDef(Svdf, (3, 3), _infer_svdf, _run_svdf, _macs_svdf),
    **lstm.OPS,
    **scan.OPS,
}
