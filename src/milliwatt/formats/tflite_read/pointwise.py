"""Elementwise operators beyond add, sub and mul: .tflite operators as nodes."""

from __future__ import annotations

from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import Attrs, Elementwise, Reshape
from milliwatt.ir.attrs.pointwise import Cast, Gelu, LeakyRelu, Pointwise
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

_QUANTIZED = (DType.S8, DType.S16)


def _quant(site: Site) -> Quant | None:
    """The result's quantization; none for s32 and s64, whatever the file says of them."""
    return site.out.quant if site.out.dtype in _QUANTIZED else None


def _operator(op: Op, count: int) -> Reader:
    """An operator of `count` operands without options."""

    def read(site: Site) -> Node:
        src = tuple(site.operand(index) for index in range(count))
        return site.node(op, src, Pointwise(_quant(site)))

    return read


def _truth(op: Op, count: int = 2) -> Reader:
    """An operator with a bool result."""

    def read(site: Site) -> Node:
        src = tuple(site.operand(index) for index in range(count))
        return site.node(op, src, Attrs())

    return read


def _div(site: Site) -> Node:
    src = (site.operand(0), site.operand(1))
    return site.node(Op.DIV, src, Elementwise(site.clamp(0), _quant(site)))


def _leaky_relu(site: Site) -> Node:
    alpha = 0.0 if site.options is None else site.options.real(0)
    return site.node(Op.LEAKY_RELU, (site.operand(0),), LeakyRelu(alpha, _quant(site)))


def _gelu(site: Site) -> Node:
    attrs = Gelu(site.option(0, "B") != 0, _quant(site))
    return site.node(Op.GELU, (site.operand(0),), attrs)


def _add_n(site: Site) -> Node:
    src = tuple(site.operand(index) for index in range(len(site.operands)))
    return site.node(Op.ADD_N, src, Pointwise(_quant(site)))


def _select(site: Site) -> Node:
    """SELECT's condition may be one value for each first index; SELECT_V2 broadcasts."""
    condition, x, y = (site.operand(index) for index in range(3))
    rank, lengths = len(x.type.shape), condition.type.shape
    if site.kind == "SELECT" and len(lengths) == 1 and rank > 1:
        if lengths[0] not in (1, x.type.shape[0]):
            site.fail(f"condition is {condition.type.short}; {x.type.shape[0]} values wanted")
        shape = Reshape((lengths[0], *(1,) * (rank - 1)))
        condition = site.node(Op.RESHAPE, (condition,), shape, ".condition")
    return site.node(Op.SELECT, (condition, x, y), Pointwise(_quant(site)))


def _cast(site: Site) -> Node:
    return site.node(Op.CAST, (site.operand(0),), Cast(site.out.dtype, _quant(site)))


# Operator -> (type number of its options table, reader). 0: the operator has no options to read.
READERS: dict[str, tuple[int, Reader]] = {
    "ABS": (0, _operator(Op.ABS, 1)),
    "ADD_N": (0, _add_n),
    "CAST": (0, _cast),
    "CEIL": (0, _operator(Op.CEIL, 1)),
    "COS": (0, _operator(Op.COS, 1)),
    "DIV": (29, _div),
    "ELU": (0, _operator(Op.ELU, 1)),
    "EQUAL": (0, _truth(Op.EQUAL)),
    "EXP": (0, _operator(Op.EXP, 1)),
    "FLOOR": (0, _operator(Op.FLOOR, 1)),
    "FLOOR_DIV": (0, _operator(Op.FLOOR_DIV, 2)),
    "FLOOR_MOD": (0, _operator(Op.FLOOR_MOD, 2)),
    "GELU": (116, _gelu),
    "GREATER": (0, _truth(Op.GREATER)),
    "GREATER_EQUAL": (0, _truth(Op.GREATER_EQUAL)),
    "HARD_SWISH": (0, _operator(Op.HARD_SWISH, 1)),
    "LEAKY_RELU": (75, _leaky_relu),
    "LESS": (0, _truth(Op.LESS)),
    "LESS_EQUAL": (0, _truth(Op.LESS_EQUAL)),
    "LOG": (0, _operator(Op.LOG, 1)),
    "LOGICAL_AND": (0, _truth(Op.LOGICAL_AND)),
    "LOGICAL_NOT": (0, _truth(Op.LOGICAL_NOT, 1)),
    "LOGICAL_OR": (0, _truth(Op.LOGICAL_OR)),
    "MAXIMUM": (0, _operator(Op.MAXIMUM, 2)),
    "MINIMUM": (0, _operator(Op.MINIMUM, 2)),
    "NEG": (0, _operator(Op.NEG, 1)),
    "NOT_EQUAL": (0, _truth(Op.NOT_EQUAL)),
    "PRELU": (0, _operator(Op.PRELU, 2)),
    "ROUND": (0, _operator(Op.ROUND, 1)),
    "RSQRT": (0, _operator(Op.RSQRT, 1)),
    "SELECT": (0, _select),
    "SELECT_V2": (0, _select),
    "SIGN": (0, _operator(Op.SIGN, 1)),
    "SIN": (0, _operator(Op.SIN, 1)),
    "SQRT": (0, _operator(Op.SQRT, 1)),
    "SQUARE": (0, _operator(Op.SQUARE, 1)),
    "SQUARED_DIFFERENCE": (0, _operator(Op.SQUARED_DIFFERENCE, 2)),
}
