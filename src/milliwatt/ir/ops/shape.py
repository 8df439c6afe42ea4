"""Operators that move values without computing: pad, reshape, transpose, concat."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from milliwatt.ir.attrs import Concat, Pad, Reshape, Transpose
from milliwatt.ir.ops.common import want, want_quant
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def pad_value(attrs: Pad, kind: Type) -> float:
    """The stored value that fills the border: `attrs.value`, or real 0."""
    return kind.zero_point if attrs.value is None else attrs.value


def _infer_pad(attrs: Pad, ins: Types) -> Type:
    x = ins[0]
    want(
        len(attrs.paddings) == len(x.shape),
        f"{len(attrs.paddings)} pairs of paddings for input {x.short}; {len(x.shape)} wanted",
    )
    want(
        all(min(p) >= 0 for p in attrs.paddings),
        f"paddings are {list(attrs.paddings)}; 0 or more wanted",
    )
    if not x.dtype.is_float:
        low, high = (0, 1) if x.dtype is DType.BOOL else x.dtype.limits
        value = pad_value(attrs, x)
        want(
            low <= value <= high and value == int(value),
            f"pad value is {value}; {low} to {high} wanted",
        )
    shape = tuple(d + b + a for d, (b, a) in zip(x.shape, attrs.paddings, strict=True))
    return Type(shape, x.dtype, x.quant)


def _run_pad(attrs: Pad, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.pad(args[0], attrs.paddings, constant_values=pad_value(attrs, ins[0]))


def _infer_reshape(attrs: Reshape, ins: Types) -> Type:
    want(
        math.prod(attrs.shape) == ins[0].size and all(d >= 1 for d in attrs.shape),
        f"{ins[0].short} does not reshape to {list(attrs.shape)}",
    )
    if attrs.stored is None:
        return Type(attrs.shape, ins[0].dtype, ins[0].quant)
    out = Type(attrs.shape, ins[0].dtype, attrs.stored)
    want(not out.dtype.is_float, f"{ins[0].short} has no quantization to change; None wanted")
    want_quant(out, "result")
    return out


def _run_reshape(attrs: Reshape, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return args[0].reshape(attrs.shape)


def _infer_transpose(attrs: Transpose, ins: Types) -> Type:
    rank = len(ins[0].shape)
    want(
        sorted(attrs.perm) == list(range(rank)),
        f"perm is {list(attrs.perm)}; an order of 0 to {rank - 1} wanted",
    )
    return Type(tuple(ins[0].shape[p] for p in attrs.perm), ins[0].dtype, ins[0].quant)


def _run_transpose(attrs: Transpose, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.ascontiguousarray(args[0].transpose(attrs.perm))


def _infer_concat(attrs: Concat, ins: Types) -> Type:
    first = ins[0]
    want(
        0 <= attrs.axis < len(first.shape),
        f"axis is {attrs.axis}; 0 to {len(first.shape) - 1} wanted",
    )
    axis = attrs.axis
    for other in ins[1:]:
        want(
            (other.dtype, other.quant) == (first.dtype, first.quant),
            f"operands are {first} and {other}; one type and quantization wanted",
        )
        want(
            other.shape[:axis] + other.shape[axis + 1 :]
            == first.shape[:axis] + first.shape[axis + 1 :]
            and len(other.shape) == len(first.shape),
            f"operands are {first.short} and {other.short}; equal sizes but on axis {axis} wanted",
        )
    total = sum(t.shape[axis] for t in ins)
    shape = (*first.shape[:axis], total, *first.shape[axis + 1 :])
    return Type(shape, first.dtype, first.quant)


def _run_concat(attrs: Concat, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    return np.concatenate(list(args), axis=attrs.axis)


OPS = {
    Op.PAD: OpDef(Pad, (1, 1), _infer_pad, _run_pad),
    Op.RESHAPE: OpDef(Reshape, (1, 1), _infer_reshape, _run_reshape),
    Op.TRANSPOSE: OpDef(Transpose, (1, 1), _infer_transpose, _run_transpose),
    Op.CONCAT: OpDef(Concat, (1, 1 << 16), _infer_concat, _run_concat),
}
