"""Rows of quantize, dequantize and requantize."""

from __future__ import annotations

from milliwatt.compiler.rows.activation import lower_table_s8
from milliwatt.compiler.rows.results import s8_result
from milliwatt.compiler.rows.row import Lowered, Row, always
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import requantize_multiplier
from milliwatt.ir.types import Type


def _affine(size: int, kind: Type) -> Lowered:
    return Lowered((("size", size), ("scale", kind.scale), ("zero_point", kind.zero_point)))


def lower_quantize(node: Node) -> Lowered:
    """f32 to an integer type, by the result's scale and zero point."""
    return _affine(node.type.size, node.type)


def lower_dequantize(node: Node) -> Lowered:
    """An integer type to f32, by the operand's scale and zero point."""
    return _affine(node.type.size, node.src[0].type)


def lower_widen(node: Node) -> Lowered:
    """f16 to f32."""
    return Lowered((("size", node.type.size),))


def lower_requantize(node: Node) -> Lowered:
    """One integer type, scale and zero point to another."""
    x = node.src[0].type
    multiplier, shift = requantize_multiplier(node.type, x)
    return Lowered(
        (
            ("size", node.type.size),
            ("in_zero_point", x.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(node.type, NO_CLAMP),
        )
    )


def _per_tensor(node: Node) -> bool:
    quant = node.src[0].type.quant
    return quant is not None and quant.axis is None


_INTEGERS = ("s8", "s16", "s32")
_BYTES = ("s8", "u8")
ROWS = (
    *(
        Row(
            Op.QUANTIZE,
            ("f32", to),
            f"quantize_f32_{to}",
            "quantize_params",
            lower_quantize,
            inplace=(0,) if to in _BYTES else (),
            shrinks=always,
        )
        for to in ("s8", "u8", "s16")
    ),
    *(
        Row(
            Op.DEQUANTIZE,
            (kind, "f32"),
            f"dequantize_{kind}_f32",
            "quantize_params",
            lower_dequantize,
            _per_tensor,
            "one scale for all; constants with more are folded",
        )
        for kind in ("s8", "u8", "s16", "s32")
    ),
    Row(Op.DEQUANTIZE, ("f16", "f32"), "dequantize_f16_f32", "widen_params", lower_widen),
    *(
        Row(Op.REQUANTIZE, (a, b), "lookup_s8", "lookup_s8_params", lower_table_s8, inplace=(0,))
        for a in _BYTES
        for b in _BYTES
    ),
    *(
        Row(
            Op.REQUANTIZE,
            (kind, to),
            f"requantize_{kind}_{to}",
            "requantize_params",
            lower_requantize,
            inplace=(0,) if kind == to else (),
        )
        for kind in _INTEGERS
        for to in _INTEGERS
        if (kind, to) != ("s8", "s8")
    ),
)
