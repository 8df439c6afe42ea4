"""Matrix products beyond conv2d and fully_connected: transpose_conv2d, batch_matmul."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.ops.common import broadcast, clip, result, want, want_dtype, want_quant
from milliwatt.ir.ops.conv import (
    MAX_ELEMENTS,
    check_weights,
    finish,
    real_weight,
    want_symmetric_s16,
)
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def _reach(attrs: TransposeConv2d, x: Type, weight: Type) -> tuple[int, int, int, int]:
    """[N,H',W',O] of everything that the input falls on, before `offset` and `size` cut it."""
    sides = [
        (length - 1) * step + span
        for length, step, span in zip(x.shape[1:3], attrs.stride, weight.shape[1:3], strict=True)
    ]
    return (x.shape[0], sides[0], sides[1], weight.shape[0])


def _infer_transpose_conv2d(attrs: TransposeConv2d, ins: Types) -> Type:
    x, weight = ins[0], ins[1]
    want(len(x.shape) == 4, f"input is {x.short}; 4 axes [N,H,W,C] wanted")
    want(
        len(weight.shape) == 4 and weight.shape[3] == x.shape[3] and min(weight.shape) >= 1,
        f"weight is {weight.short}; [O,KH,KW,{x.shape[3]}] wanted",
    )
    want(min(attrs.stride) >= 1, f"stride is {list(attrs.stride)}; 1 or more wanted")
    want(min(attrs.size) >= 1, f"size is {list(attrs.size)}; 1 or more wanted")
    want(min(attrs.offset) >= 0, f"offset is {list(attrs.offset)}; 0 or more wanted")
    cells = math.prod(_reach(attrs, x, weight))
    want(cells <= MAX_ELEMENTS, f"result of {cells} cells before cutting; {MAX_ELEMENTS} wanted")
    check_weights(x, weight, ins[2] if len(ins) > 2 else None, weight.shape[0], axis=0)
    out = result((x.shape[0], *attrs.size, weight.shape[0]), x, attrs.quant)
    want_symmetric_s16(out, "result")
    return out


def _run_transpose_conv2d(
    attrs: TransposeConv2d, out: Type, ins: Types, args: Arrays
) -> np.ndarray:
    x = args[0].astype(np.float64) - ins[0].zero_point
    weight = real_weight(args[1], ins[1])
    _, height, width, _ = x.shape
    (down, right), (top, left) = attrs.stride, attrs.offset
    reached = np.zeros(_reach(attrs, ins[0], ins[1]))
    for ky in range(weight.shape[1]):
        for kx in range(weight.shape[2]):
            rows = slice(ky, ky + (height - 1) * down + 1, down)
            columns = slice(kx, kx + (width - 1) * right + 1, right)
            reached[:, rows, columns] += x @ weight[:, ky, kx].T
    acc = np.zeros(out.shape)
    cut = reached[:, top : top + attrs.size[0], left : left + attrs.size[1]]
    acc[:, : cut.shape[1], : cut.shape[2]] = cut
    return finish(acc, attrs.clamp, out, ins, args)


def _macs_transpose_conv2d(attrs: TransposeConv2d, out: Type, ins: Types) -> int:
    """Each input value meets every weight of its channel, also where `size` cuts the result."""
    return ins[0].size * (ins[1].size // ins[1].shape[3])


def _matrices(attrs: BatchMatmul, ins: Types) -> tuple[tuple[int, int], tuple[int, int]]:
    """((M, K), (K, N)) after the transpositions."""
    a, b = ins[0].shape[-2:], ins[1].shape[-2:]
    return (
        (a[1], a[0]) if attrs.transpose_a else (a[0], a[1]),
        (b[1], b[0]) if attrs.transpose_b else (b[0], b[1]),
    )


def _infer_batch_matmul(attrs: BatchMatmul, ins: Types) -> Type:
    a, b = ins
    want_dtype("first operand", a, DType.F32, DType.S8, DType.S16)
    want_dtype("second operand", b, a.dtype)
    for kind, value in (("first operand", a), ("second operand", b)):
        want_quant(value, kind)
        want_symmetric_s16(value, kind)
        want(len(value.shape) >= 2, f"{kind} is {value.short}; 2 axes or more wanted")
    (rows, depth), (other, columns) = _matrices(attrs, ins)
    want(depth == other, f"{a.short} by {b.short}: {depth} and {other} to sum over; equal wanted")
    shape = (*broadcast([a.shape[:-2], b.shape[:-2]]), rows, columns)
    out = result(shape, a, attrs.quant)
    want_symmetric_s16(out, "result")
    return out


def product_multiplier(out: Type, ins: Types) -> tuple[int, int]:
    """(multiplier, shift) of s_a * s_b / s_out."""
    return fx.quantize_multiplier(ins[0].scale * ins[1].scale / out.scale)


def _run_batch_matmul(attrs: BatchMatmul, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    a, b = (v.astype(np.float64) - t.zero_point for v, t in zip(args, ins, strict=True))
    if attrs.transpose_a:
        a = np.swapaxes(a, -1, -2)
    if attrs.transpose_b:
        b = np.swapaxes(b, -1, -2)
    acc = a @ b
    if out.dtype.is_float:
        with np.errstate(over="ignore"):  # beyond float32 is infinite, as in TFLite
            return np.asarray(acc.astype(np.float32))
    sums, factor = acc.astype(np.int64), product_multiplier(out, ins)
    if out.dtype is DType.S16:
        return clip(fx.multiply_wide(sums, *factor), NO_CLAMP, out)
    scaled = fx.multiply_by_quantized_multiplier(fx.wrap32(sums), *factor)
    return clip(scaled + out.zero_point, NO_CLAMP, out)


def _macs_batch_matmul(attrs: BatchMatmul, out: Type, ins: Types) -> int:
    return out.size * _matrices(attrs, ins)[0][1]


OPS: dict[Op, OpDef] = {
    Op.TRANSPOSE_CONV2D: OpDef(
        TransposeConv2d,
        (2, 3),
        _infer_transpose_conv2d,
        _run_transpose_conv2d,
        _macs_transpose_conv2d,
    ),
    Op.BATCH_MATMUL: OpDef(
        BatchMatmul, (2, 2), _infer_batch_matmul, _run_batch_matmul, _macs_batch_matmul
    ),
}
