"""Elementwise operators beyond add, sub and mul: nodes as .tflite operators."""

from __future__ import annotations

from typing import Any

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_names import TENSOR_TYPES
from milliwatt.formats.tflite_write.written import Writer, Written
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_FUSED = {NO_CLAMP: 0, RELU: 1, (-1.0, 1.0): 2, RELU6: 3}
_TYPE_NAMES = {
    DType.F32: "FLOAT32",
    DType.S64: "INT64",
    DType.S32: "INT32",
    DType.S16: "INT16",
    DType.S8: "INT8",
    DType.U32: "UINT32",
    DType.U8: "UINT8",
    DType.BOOL: "BOOL",
}


def _plain(kind: str, options_type: int = 0) -> Writer:
    return lambda node, a: Written(kind, options_type)


def _div(node: Node, a: Any) -> Written:
    if a.clamp not in _FUSED:
        raise InvalidGraph(f"{node.name} (div): clamp {a.clamp} is no activation of TFLite")
    return Written("DIV", 29, {0: ("b", _FUSED[a.clamp])})


def _leaky_relu(node: Node, a: Any) -> Written:
    return Written("LEAKY_RELU", 75, {0: ("f", a.alpha)})


def _gelu(node: Node, a: Any) -> Written:
    return Written("GELU", 116, {0: ("B", int(a.approximate))})


def _cast(node: Node, a: Any) -> Written:
    kinds = (node.src[0].type.dtype, a.dtype)
    numbers = [TENSOR_TYPES.index(_TYPE_NAMES[kind]) for kind in kinds]
    return Written("CAST", 37, {0: ("b", numbers[0]), 1: ("b", numbers[1])})


# Numbers of the options tables, all empty but those above; 0 for operators without one.
WRITERS: dict[Op, Writer] = {
    Op.ABS: _plain("ABS", 78),
    Op.ADD_N: _plain("ADD_N", 82),
    Op.CAST: _cast,
    Op.CEIL: _plain("CEIL"),
    Op.COS: _plain("COS", 84),
    Op.DIV: _div,
    Op.ELU: _plain("ELU"),
    Op.EQUAL: _plain("EQUAL", 53),
    Op.EXP: _plain("EXP", 33),
    Op.FLOOR: _plain("FLOOR"),
    Op.FLOOR_DIV: _plain("FLOOR_DIV", 65),
    Op.FLOOR_MOD: _plain("FLOOR_MOD", 72),
    Op.GELU: _gelu,
    Op.GREATER: _plain("GREATER", 44),
    Op.GREATER_EQUAL: _plain("GREATER_EQUAL", 45),
    Op.HARD_SWISH: _plain("HARD_SWISH", 91),
    Op.LEAKY_RELU: _leaky_relu,
    Op.LESS: _plain("LESS", 41),
    Op.LESS_EQUAL: _plain("LESS_EQUAL", 46),
    Op.LOG: _plain("LOG"),
    Op.LOGICAL_AND: _plain("LOGICAL_AND", 62),
    Op.LOGICAL_NOT: _plain("LOGICAL_NOT", 63),
    Op.LOGICAL_OR: _plain("LOGICAL_OR", 60),
    Op.MAXIMUM: _plain("MAXIMUM", 39),
    Op.MINIMUM: _plain("MINIMUM", 39),
    Op.NEG: _plain("NEG", 42),
    Op.NOT_EQUAL: _plain("NOT_EQUAL", 54),
    Op.PRELU: _plain("PRELU"),
    Op.ROUND: _plain("ROUND"),
    Op.RSQRT: _plain("RSQRT"),
    Op.SELECT: _plain("SELECT_V2", 98),
    Op.SIGN: _plain("SIGN", 123),
    Op.SIN: _plain("SIN"),
    Op.SQRT: _plain("SQRT"),
    Op.SQUARE: _plain("SQUARE", 66),
    Op.SQUARED_DIFFERENCE: _plain("SQUARED_DIFFERENCE", 76),
}
