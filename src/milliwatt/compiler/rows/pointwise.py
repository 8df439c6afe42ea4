"""Rows of: elementwise operators beyond add, sub and mul: math, comparison, logic, choice."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from milliwatt.compiler.rows.activation import lower_table_s8, lower_unary_f32
from milliwatt.compiler.rows.elementwise import broadcast_fields, lower_f32, strides
from milliwatt.compiler.rows.results import check_scaled, reach, s8_bounds, s8_result
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.rows.strides import axes_array
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.attrs.pointwise import Gelu, LeakyRelu
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op, pointwise
from milliwatt.ir.ops.elementwise import ADD_LEFT_SHIFT
from milliwatt.ir.ops.pointwise_unary import abs_factor, leaky_factors
from milliwatt.ir.types import DType, Type

# Which ways of standing to b (below, equal, above, unordered: bit 0 to 3) make a the result.
_EXTREMUM = {Op.MAXIMUM: 0b0100, Op.MINIMUM: 0b0001}
# Bit 2 a + b is the result of two bools.
_LOGIC = {
    Op.LOGICAL_AND: 0b1000,
    Op.LOGICAL_OR: 0b1110,
    Op.EQUAL: 0b1001,
    Op.NOT_EQUAL: 0b0110,
}
# The numbers of mw_cast.h.
_KINDS = {
    DType.S8: 0,
    DType.S16: 1,
    DType.S32: 2,
    DType.S64: 3,
    DType.U8: 4,
    DType.U32: 5,
    DType.BOOL: 6,
}


def lower_abs_s16(node: Node) -> Lowered:
    """abs; numbers without a scale keep -2**15 as it is."""
    plain = node.type.quant is None
    factor = None if plain else abs_factor(node.type, node.src[0].type)
    multiplier, shift = factor or (0, 0)
    if factor is not None:
        check_scaled(node, reach(node.src[0].type), shift)
    return Lowered(
        (
            ("size", node.type.size),
            ("multiplier", multiplier),
            ("shift", shift),
            ("clamp_max", 2**15 if plain else 2**15 - 1),
        )
    )


def lower_leaky_relu_f32(node: Node) -> Lowered:
    """leaky_relu in float32."""
    assert isinstance(node.attrs, LeakyRelu)
    return Lowered((("size", node.type.size), ("alpha", float(np.float32(node.attrs.alpha)))))


def lower_gelu_f32(node: Node) -> Lowered:
    """gelu in float32, exact or by tanh."""
    assert isinstance(node.attrs, Gelu)
    return Lowered((("size", node.type.size), ("approximate", int(node.attrs.approximate))))


def lower_leaky_relu_s16(node: Node) -> Lowered:
    """leaky_relu; UnsupportedOp where a value at the result's scale may leave 32 bits."""
    assert isinstance(node.attrs, LeakyRelu)
    above, below, sign = leaky_factors(node.attrs.alpha, node.type, node.src[0].type)
    for _, shift in (above, below):
        check_scaled(node, reach(node.src[0].type), shift)
    return Lowered(
        (
            ("size", node.type.size),
            ("multiplier", above[0]),
            ("shift", above[1]),
            ("alpha_multiplier", below[0]),
            ("alpha_shift", below[1]),
            ("alpha_sign", sign),
        )
    )


def lower_pairs(node: Node) -> Lowered:
    """Two operands and nothing else."""
    return Lowered(broadcast_fields(node))


def _accepting(bits: dict[Op, int]) -> Callable[[Node], Lowered]:
    def lower(node: Node) -> Lowered:
        return Lowered((*broadcast_fields(node), ("accept", bits[node.op])))

    return lower


def _scaled(name: str, kind: Type, factor: tuple[int, int]) -> tuple[Field, ...]:
    return (
        (f"{name}_zero_point", kind.zero_point),
        (f"{name}_multiplier", factor[0]),
        (f"{name}_shift", factor[1]),
    )


def lower_compare_s8(node: Node) -> Lowered:
    """A comparison of reals; UnsupportedOp for scales that no 32 bits hold."""
    ins = [s.type for s in node.src]
    a, b = pointwise.compare_factors(ins)
    for kind, (_, shift) in zip(ins, (a, b), strict=True):
        check_scaled(node, reach(kind) << pointwise.COMPARE_LEFT_SHIFT, shift)
    return Lowered(
        (
            *broadcast_fields(node),
            ("accept", pointwise.COMPARISONS[node.op]),
            *_scaled("a", ins[0], a),
            *_scaled("b", ins[1], b),
        )
    )


def lower_div_s32(node: Node) -> Lowered:
    """div of plain integers."""
    assert isinstance(node.attrs, Elementwise)
    return Lowered((*broadcast_fields(node), *s8_bounds(node.type, node.attrs.clamp)))


def lower_div_s8(node: Node) -> Lowered:
    """div; every scale goes."""
    assert isinstance(node.attrs, Elementwise)
    ins = [s.type for s in node.src]
    multiplier, shift = pointwise.div_factor(node.type, ins)
    return Lowered(
        (
            *broadcast_fields(node),
            ("a_zero_point", ins[0].zero_point),
            ("b_zero_point", ins[1].zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(node.type, node.attrs.clamp),
        )
    )


def lower_squared_difference(node: Node) -> Lowered:
    """squared_difference; UnsupportedOp where the square may leave 32 bits."""
    ins = [s.type for s in node.src]
    a, b, last = pointwise.difference_factors(node.type, ins)
    left = pointwise.DIFFERENCE_LEFT_SHIFT if node.type.dtype is DType.S8 else 0
    # An operand's factor is at most 1/2; rounding adds half a step to each.
    largest = ((reach(ins[0]) + reach(ins[1])) << left) // 2 + 1
    check_scaled(node, largest * largest, last[1])
    return Lowered(
        (
            *broadcast_fields(node),
            *_scaled("a", ins[0], a),
            *_scaled("b", ins[1], b),
            ("left", left),
            ("multiplier", last[0]),
            ("shift", last[1]),
            ("out_zero_point", node.type.zero_point),
        )
    )


def lower_prelu(node: Node) -> Lowered:
    """prelu; UnsupportedOp where a value at the result's scale may leave 32 bits."""
    x, alpha = (s.type for s in node.src)
    above, below = pointwise.prelu_factors(node.type, (x, alpha))
    check_scaled(node, reach(x), above[1])
    check_scaled(node, reach(x) * reach(alpha), below[1])
    return Lowered(
        (
            *broadcast_fields(node),
            ("a_zero_point", x.zero_point),
            ("multiplier", above[0]),
            ("shift", above[1]),
            *_scaled("alpha", alpha, below),
            ("out_zero_point", node.type.zero_point),
        )
    )


def lower_add_n_f32(node: Node) -> Lowered:
    """add_n in float32."""
    return Lowered((("size", node.type.size), ("count", len(node.src))))


def lower_add_n_s8(node: Node) -> Lowered:
    """add_n; UnsupportedOp where the sum may leave 32 bits: from 16 operands on at the worst."""
    x = node.src[0].type
    _, (multiplier, shift) = pointwise.add_n_factors(node.type, x)
    check_scaled(node, len(node.src) * reach(x) << (ADD_LEFT_SHIFT[DType.S8] - 1), shift)
    return Lowered(
        (
            ("size", node.type.size),
            ("count", len(node.src)),
            ("in_zero_point", x.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            ("out_zero_point", node.type.zero_point),
        )
    )


def lower_select(node: Node) -> Lowered:
    """select: loops over three operands, as two walks side by side."""
    shape = node.type.shape
    steps = (strides(s.type.shape, len(shape)) for s in node.src)
    loops: list[tuple[int, ...]] = []
    for size, *each in reversed(list(zip(shape, *steps, strict=True))):
        inner = loops[-1] if loops else (0,)
        if size == 1:
            continue
        if loops and all(a == inner[0] * b for a, b in zip(each, inner[1:], strict=True)):
            loops[-1] = (inner[0] * size, *inner[1:])
        else:
            loops.append((size, *each))
    (row, *step), outer = loops[0] if loops else (1, 0, 0, 0), loops[1:]
    return Lowered(
        (
            ("rows", math.prod(loop[0] for loop in outer)),
            ("row", row),
            ("condition_step", step[0]),
            ("a_step", step[1]),
            ("b_step", step[2]),
            ("rank", len(outer)),
            ("bytes", node.type.dtype.itemsize),
            ("axes", axes_array([(n, c, a) for n, c, a, _ in outer], node)),
            ("b_axes", axes_array([(n, b, 0) for n, _, _, b in outer], node)),
        )
    )


def lower_cast(node: Node) -> Lowered:
    """cast; a change of name only is a copy."""
    kinds = (node.src[0].type.dtype, node.type.dtype)
    same = kinds[0] is kinds[1]
    return Lowered(
        (
            ("size", node.type.size),
            ("from", _KINDS.get(kinds[0], 0)),
            ("to", _KINDS.get(kinds[1], 0)),
            ("bytes", kinds[0].itemsize if same else 0),
        )
    )


def _between_integers(node: Node) -> bool:
    kinds = (node.src[0].type.dtype, node.type.dtype)
    return kinds[0] is kinds[1] or DType.F32 not in kinds


def _to_f32(node: Node) -> bool:
    return node.type.dtype is DType.F32


_REAL = (
    *(Op.ABS, Op.NEG, Op.EXP, Op.LOG, Op.SIN, Op.COS, Op.SQRT, Op.RSQRT, Op.SQUARE),
    *(Op.SIGN, Op.FLOOR, Op.CEIL, Op.ROUND, Op.ELU, Op.HARD_SWISH),
)
_STEM = {Op.EXP: "exponential"}
_F32, _S8, _S16 = ("f32", "f32"), ("s8", "s8"), ("s16", "s16")
_S32, _BOOL = ("s32", "s32"), ("bool", "bool")
_NUMBERS = ("f32", "s8", "s16", "s32", "s64")
_DIFFERENCE = Op.SQUARED_DIFFERENCE


def _table(op: Op) -> Row:
    return Row(op, _S8, "lookup_s8", "lookup_s8_params", lower_table_s8, inplace=(0,))


def _pairs(op: Op, dtype: str) -> Row:
    """A row of two operands of `dtype` and a result of the same, without parameters."""
    return Row(op, (dtype, dtype), f"{op}_{dtype}", "pairs_params", lower_pairs, inplace=(0, 1))


def _unary_f32(op: Op) -> Row:
    kernel = f"{_STEM.get(op, op)}_f32"
    return Row(op, _F32, kernel, "unary_f32_params", lower_unary_f32, inplace=(0,))


def _order(op: Op, kernel: str, dtypes: tuple[str, str], bits: dict[Op, int]) -> Row:
    # A result of one byte may only take over an operand of elements of one byte.
    over = (0, 1) if dtypes[0] in (dtypes[1], "bool") else ()
    return Row(op, dtypes, kernel, "order_params", _accepting(bits), inplace=over)


ROWS: tuple[Row, ...] = (
    *(_unary_f32(op) for op in _REAL),
    *(_table(op) for op in (*_REAL, Op.LEAKY_RELU, Op.GELU)),
    Row(
        Op.LEAKY_RELU,
        _F32,
        "leaky_relu_f32",
        "leaky_relu_f32_params",
        lower_leaky_relu_f32,
        inplace=(0,),
    ),
    Row(
        Op.LEAKY_RELU,
        _S16,
        "leaky_relu_s16",
        "leaky_relu_s16_params",
        lower_leaky_relu_s16,
        inplace=(0,),
    ),
    Row(Op.GELU, _F32, "gelu_f32", "gelu_f32_params", lower_gelu_f32, inplace=(0,)),
    Row(Op.ABS, _S16, "abs_s16", "abs_s16_params", lower_abs_s16, inplace=(0,)),
    Row(
        Op.LOGICAL_NOT,
        _BOOL,
        "logical_not",
        "logical_not_params",
        lower_unary_f32,
        inplace=(0,),
    ),
    *(
        _order(op, f"extremum_{kind}", (kind, kind), _EXTREMUM)
        for op in _EXTREMUM
        for kind in _NUMBERS
    ),
    *(_order(op, "logical", _BOOL, _LOGIC) for op in _LOGIC),
    *(
        _order(op, f"compare_{kind}", (kind, "bool"), pointwise.COMPARISONS)
        for op in pointwise.COMPARISONS
        for kind in _NUMBERS
        if kind != "s8"
    ),
    *(
        Row(
            op,
            ("s8", "bool"),
            "compare_s8",
            "compare_s8_params",
            lower_compare_s8,
            inplace=(0, 1),
        )
        for op in pointwise.COMPARISONS
    ),
    Row(Op.DIV, _F32, "div_f32", "elementwise_f32_params", lower_f32, inplace=(0, 1)),
    Row(Op.DIV, _S32, "div_s32", "elementwise_s32_params", lower_div_s32, inplace=(0, 1)),
    Row(Op.DIV, _S8, "div_s8", "mul_s8_params", lower_div_s8, inplace=(0, 1)),
    *(
        _pairs(op, kind)
        for op in (Op.FLOOR_DIV, Op.FLOOR_MOD, _DIFFERENCE)
        for kind in ("f32", "s32")
    ),
    *(
        Row(
            _DIFFERENCE,
            (kind, kind),
            f"squared_difference_{kind}",
            "squared_difference_params",
            lower_squared_difference,
            inplace=(0, 1),
        )
        for kind in ("s8", "s16")
    ),
    _pairs(Op.PRELU, "f32"),
    *(
        Row(Op.PRELU, (kind, kind), f"prelu_{kind}", "prelu_params", lower_prelu, inplace=(0,))
        for kind in ("s8", "s16")
    ),
    Row(
        Op.ADD_N,
        _F32,
        "add_n_f32",
        "add_n_f32_params",
        lower_add_n_f32,
        inplace=(0,),
        variadic=True,
    ),
    Row(
        Op.ADD_N,
        _S8,
        "add_n_s8",
        "add_n_s8_params",
        lower_add_n_s8,
        inplace=(0,),
        variadic=True,
    ),
    Row(Op.SELECT, None, "select", "select_params", lower_select, inplace=(0, 1, 2)),
    Row(
        Op.CAST,
        None,
        "cast",
        "cast_params",
        lower_cast,
        _between_integers,
        "integers and bool, or one type",
    ),
    Row(Op.CAST, None, "cast_to_f32", "cast_params", lower_cast, _to_f32, "to f32"),
    Row(Op.CAST, None, "cast_from_f32", "cast_params", lower_cast, note="from f32"),
)
