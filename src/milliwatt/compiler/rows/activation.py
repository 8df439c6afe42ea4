"""Rows of clamp, logistic, tanh, softmax and lookup."""

from __future__ import annotations

import numpy as np

from milliwatt.compiler.rows.results import f32_bounds, s8_bounds
from milliwatt.compiler.rows.row import Lowered, Row
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import ClampAttrs, Lookup, Softmax
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.activation import SUM_BITS, softmax_exp_table
from milliwatt.ir.ops.common import F32_MAX


def lower_table_s8(node: Node) -> Lowered:
    """Any s8 -> s8 operator of one operand: the reference run on all 256 values."""
    every = np.arange(-128, 128, dtype=np.int8)
    run = OPS[node.op].reference
    table = run(node.attrs, node.type, [node.src[0].type], [every])
    return Lowered((("size", node.type.size), ("table", table)))


def lower_lookup_s8(node: Node) -> Lowered:
    """lookup with the table it carries."""
    assert isinstance(node.attrs, Lookup)
    return Lowered((("size", node.type.size), ("table", node.attrs.table)))


def lower_clamp_s8(node: Node) -> Lowered:
    """clamp that keeps the quantization: two comparisons."""
    assert isinstance(node.attrs, ClampAttrs)
    return Lowered((("size", node.type.size), *s8_bounds(node.type, node.attrs.bounds)))


def lower_clamp_f32(node: Node) -> Lowered:
    """clamp in float32."""
    assert isinstance(node.attrs, ClampAttrs)
    return Lowered((("size", node.type.size), *f32_bounds(node.attrs.bounds)))


def lower_unary_f32(node: Node) -> Lowered:
    """logistic and tanh in float32."""
    return Lowered((("size", node.type.size),))


def _rows(node: Node, attrs: Softmax) -> tuple[tuple[str, int], tuple[str, int]]:
    if not 0 <= attrs.beta <= F32_MAX:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): beta is {attrs.beta}; a finite number of 0 or more wanted; "
            "negate the input instead"
        )
    row = node.type.shape[-1]
    return (("rows", node.type.size // row), ("row", row))


def lower_softmax_s8(node: Node) -> Lowered:
    """softmax with its exponentials tabulated up to the last one that is not 0.

    Raises: UnsupportedOp for a row whose sum of exponentials, each up to 1, may leave 12 bits.
    """
    assert isinstance(node.attrs, Softmax)
    rows = _rows(node, node.attrs)
    if node.type.shape[-1] >= 2**SUM_BITS:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): rows of {node.type.shape[-1]} values; below {2**SUM_BITS} "
            "wanted; keep this softmax in f32 or drop classes"
        )
    table = softmax_exp_table(node.attrs.beta, node.src[0].type.scale)
    entries = int(np.flatnonzero(table)[-1]) + 1
    return Lowered((*rows, ("entries", entries), ("exp", table[:entries].astype(np.int32))))


def lower_softmax_f32(node: Node) -> Lowered:
    """softmax in float32."""
    assert isinstance(node.attrs, Softmax)
    return Lowered((*_rows(node, node.attrs), ("beta", float(np.float32(node.attrs.beta)))))


def _same_quantization(node: Node) -> bool:
    return node.src[0].type.quant == node.type.quant


_S8, _F32 = ("s8", "s8"), ("f32", "f32")
_TABLE = ("lookup_s8", "lookup_s8_params", lower_table_s8)
ROWS = (
    Row(
        Op.CLAMP,
        _S8,
        "clamp_s8",
        "clamp_s8_params",
        lower_clamp_s8,
        _same_quantization,
        "input and result share one quantization",
        inplace=(0,),
    ),
    Row(Op.CLAMP, _S8, *_TABLE, inplace=(0,)),
    Row(Op.CLAMP, _F32, "clamp_f32", "clamp_f32_params", lower_clamp_f32, inplace=(0,)),
    Row(Op.LOGISTIC, _S8, *_TABLE, inplace=(0,)),
    Row(Op.LOGISTIC, _F32, "logistic_f32", "unary_f32_params", lower_unary_f32, inplace=(0,)),
    Row(Op.TANH, _S8, *_TABLE, inplace=(0,)),
    Row(Op.TANH, _F32, "tanh_f32", "unary_f32_params", lower_unary_f32, inplace=(0,)),
    Row(Op.SOFTMAX, _S8, "softmax_s8", "softmax_s8_params", lower_softmax_s8, inplace=(0,)),
    Row(Op.SOFTMAX, _F32, "softmax_f32", "softmax_f32_params", lower_softmax_f32, inplace=(0,)),
    Row(Op.LOOKUP, _S8, "lookup_s8", "lookup_s8_params", lower_lookup_s8, inplace=(0,)),
)
