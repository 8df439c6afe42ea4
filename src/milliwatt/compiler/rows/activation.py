"""Rows of clamp, logistic, tanh, softmax and lookup."""

from __future__ import annotations

import numpy as np

from milliwatt.compiler.rows.results import check_scaled, f32_bounds, s8_bounds, s8_result
from milliwatt.compiler.rows.row import Lowered, Row
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import ClampAttrs, Lookup, Softmax
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.activation import (
    SUM_BITS,
    clamp_multiplier,
    softmax_exp_table,
    softmax_multiplier_s16,
)
from milliwatt.ir.ops.common import F32_MAX
from milliwatt.ir.ops.tables16 import logistic_argument, tanh_argument


def lower_table_s8(node: Node) -> Lowered:
    """Any 8-bit -> 8-bit operator of one operand: the reference run on all 256 values.

    The table is in the order of the values read as signed bytes: a u8 of 128 comes first.
    """
    x = node.src[0].type
    every = np.arange(-128, 128, dtype=np.int8).view(x.dtype.numpy)
    table = OPS[node.op].reference(node.attrs, node.type, [x], [every])
    return Lowered((("size", node.type.size), ("table", table.view(np.int8))))


def lower_lookup_s8(node: Node) -> Lowered:
    """lookup with the table it carries."""
    assert isinstance(node.attrs, Lookup)
    return Lowered((("size", node.type.size), ("table", node.attrs.table)))


def lower_clamp(node: Node) -> Lowered:
    """clamp that keeps the quantization: two comparisons."""
    assert isinstance(node.attrs, ClampAttrs)
    return Lowered((("size", node.type.size), *s8_bounds(node.type, node.attrs.bounds)))


def lower_clamp_rescaled(node: Node) -> Lowered:
    """clamp of s16 that changes the scale: a requantize with other bounds."""
    assert isinstance(node.attrs, ClampAttrs)
    multiplier, shift = clamp_multiplier(node.attrs, node.type, node.src[0].type)
    return Lowered(
        (
            ("size", node.type.size),
            ("in_zero_point", node.src[0].type.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(node.type, node.attrs.bounds),
        )
    )


def lower_clamp_f32(node: Node) -> Lowered:
    """clamp in float32."""
    assert isinstance(node.attrs, ClampAttrs)
    return Lowered((("size", node.type.size), *f32_bounds(node.attrs.bounds)))


def lower_unary_s16(node: Node) -> Lowered:
    """logistic and tanh in s16."""
    argument = logistic_argument if node.op is Op.LOGISTIC else tanh_argument
    multiplier, shift = argument(node.src[0].type.scale)
    return Lowered((("size", node.type.size), ("multiplier", multiplier), ("shift", shift)))


def lower_unary_f32(node: Node) -> Lowered:
    """logistic and tanh in float32."""
    return Lowered((("size", node.type.size),))


def _rows(
    node: Node, attrs: Softmax, longest: int | None = None
) -> tuple[tuple[str, int], tuple[str, int]]:
    """rows and row; UnsupportedOp for a beta or a row that the kernels do not take."""
    if not 0 <= attrs.beta <= F32_MAX:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): beta is {attrs.beta}; a finite number of 0 or more wanted; "
            "negate the input instead"
        )
    row = node.type.shape[-1]
    if longest is not None and row > longest:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): rows of {row} values; below {longest + 1} wanted; keep this "
            "softmax in f32 or drop classes"
        )
    return (("rows", node.type.size // row), ("row", row))


def lower_softmax_s8(node: Node) -> Lowered:
    """softmax with its exponentials tabulated up to the last one that is not 0.

    Raises: UnsupportedOp for a row whose sum of exponentials, each up to 1, may leave 12 bits.
    """
    assert isinstance(node.attrs, Softmax)
    rows = _rows(node, node.attrs, 2**SUM_BITS - 1)
    table = softmax_exp_table(node.attrs.beta, node.src[0].type.scale)
    entries = int(np.flatnonzero(table)[-1]) + 1
    return Lowered((*rows, ("entries", entries), ("exp", table[:entries].astype(np.int32))))


def lower_softmax_s16(node: Node) -> Lowered:
    """softmax in s16; the sum of a row's exponentials, each below 2^15, stays in 31 bits."""
    assert isinstance(node.attrs, Softmax)
    rows = _rows(node, node.attrs, 2**16 - 1)
    multiplier, shift = softmax_multiplier_s16(node.attrs.beta, node.src[0].type.scale)
    check_scaled(node, 2**16 - 1, shift)
    return Lowered((*rows, ("multiplier", multiplier), ("shift", shift)))


def lower_softmax_f32(node: Node) -> Lowered:
    """softmax in float32."""
    assert isinstance(node.attrs, Softmax)
    return Lowered((*_rows(node, node.attrs), ("beta", float(np.float32(node.attrs.beta)))))


def _same_quantization(node: Node) -> bool:
    return node.src[0].type.quant == node.type.quant


_S8, _S16, _F32 = ("s8", "s8"), ("s16", "s16"), ("f32", "f32")
_SAME_NOTE = "input and result share one quantization"
_TABLE = ("lookup_s8", "lookup_s8_params", lower_table_s8)
_RESCALE = ("requantize_s16_s16", "requantize_params", lower_clamp_rescaled)
ROWS = (
    Row(
        Op.CLAMP,
        _S8,
        "clamp_s8",
        "clamp_s8_params",
        lower_clamp,
        _same_quantization,
        _SAME_NOTE,
        inplace=(0,),
    ),
    Row(Op.CLAMP, _S8, *_TABLE, inplace=(0,)),
    Row(
        Op.CLAMP,
        _S16,
        "clamp_s16",
        "clamp_s8_params",
        lower_clamp,
        _same_quantization,
        _SAME_NOTE,
        inplace=(0,),
    ),
    Row(Op.CLAMP, _S16, *_RESCALE, inplace=(0,)),
    Row(Op.CLAMP, _F32, "clamp_f32", "clamp_f32_params", lower_clamp_f32, inplace=(0,)),
    Row(Op.LOGISTIC, _S8, *_TABLE, inplace=(0,)),
    Row(Op.LOGISTIC, _S16, "logistic_s16", "unary_s16_params", lower_unary_s16, inplace=(0,)),
    Row(Op.LOGISTIC, _F32, "logistic_f32", "unary_f32_params", lower_unary_f32, inplace=(0,)),
    Row(Op.TANH, _S8, *_TABLE, inplace=(0,)),
    Row(Op.TANH, _S16, "tanh_s16", "unary_s16_params", lower_unary_s16, inplace=(0,)),
    Row(Op.TANH, _F32, "tanh_f32", "unary_f32_params", lower_unary_f32, inplace=(0,)),
    Row(Op.SOFTMAX, _S8, "softmax_s8", "softmax_s8_params", lower_softmax_s8, inplace=(0,)),
    Row(Op.SOFTMAX, ("s8", "s16"), "softmax_s8_s16", "softmax_s8_params", lower_softmax_s8),
    Row(Op.SOFTMAX, _S16, "softmax_s16", "softmax_s16_params", lower_softmax_s16, inplace=(0,)),
    Row(Op.SOFTMAX, _F32, "softmax_f32", "softmax_f32_params", lower_softmax_f32, inplace=(0,)),
    Row(Op.LOOKUP, _S8, "lookup_s8", "lookup_s8_params", lower_lookup_s8, inplace=(0,)),
)
