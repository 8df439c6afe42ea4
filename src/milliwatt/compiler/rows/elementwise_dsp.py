"""Rows of add, sub and mul in s8 for the DSP extension."""

from __future__ import annotations

from collections.abc import Mapping
from weakref import WeakKeyDictionary

import numpy as np

from milliwatt.compiler.rows.elementwise import broadcast_fields
from milliwatt.compiler.rows.linear import Plane, fits, solve_plane
from milliwatt.compiler.rows.onestep import OneStep, TwoStep, solve, two_step
from milliwatt.compiler.rows.results import prefixed, s8_bounds
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.compiler.target import DSP
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.elementwise import add_multipliers, mul_multiplier
from milliwatt.ir.types import DType, Type

_PLANES: dict[tuple[object, ...], Plane | None] = {}
_ROUNDINGS: WeakKeyDictionary[Node, OneStep | TwoStep | None] = WeakKeyDictionary()
_SHORTEST = 4
"""Elements of a row that is worth a call."""


def plane_of(op: Op, out: Type, a: Type, b: Type) -> Plane | None:
    """The plane of a quantized s8 add or sub of values of types `a` and `b`, without its clamp."""
    key = (op, *((t.scale, t.zero_point) for t in (out, a, b)))
    if key not in _PLANES:
        _PLANES[key] = _plane_of(op, out, a, b)
    return _PLANES[key]


def _plane_of(op: Op, out: Type, a: Type, b: Type) -> Plane | None:
    sign = 1 if op is Op.ADD else -1
    slopes = (a.scale / out.scale, sign * b.scale / out.scale)
    if not fits(slopes):
        return None
    values = np.arange(-128, 128).astype(np.int8)
    ins = (Type((256, 1), DType.S8, a.quant), Type((1, 256), DType.S8, b.quant))
    kind = Type((256, 256), DType.S8, out.quant)
    pairs = (values[:, None], values[None, :])
    table = OPS[op].reference(Elementwise(quant=out.quant), kind, ins, pairs)
    return solve_plane(table, slopes, (a.zero_point, b.zero_point))


def plane_fields(plane: Plane) -> tuple[Field, ...]:
    """The members of mw_linear_s8."""
    return (
        ("steps", plane.steps),
        ("a_factor", plane.a_factor),
        ("b_factor", plane.b_factor),
        ("start", plane.start),
        ("half", plane.half),
    )


def rows_work(node: Node) -> Mapping[str, float]:
    """Counts of a call: rows, groups of eight results, results left over, bytes read from flash."""
    rows = dict(broadcast_fields(node))
    return {
        "calls": 1,
        "rows": float(rows["rows"]),
        "blocks": float(rows["rows"] * (rows["row"] // 8)),
        "outputs": float(rows["rows"] * (rows["row"] % 8)),
        "flash_bytes": float(sum(s.type.nbytes for s in node.src if s.is_constant)),
    }


def _rows(node: Node) -> tuple[Field, ...]:
    """The members of MW_ROWS_DSP."""
    fields = dict(broadcast_fields(node))
    return tuple((name, fields[name]) for name in ("rows", "row", "rank", "axes"))


def _both_advance(node: Node) -> bool:
    """Whether innermost rows are runs of both operands, long enough for a loop."""
    try:
        fields = dict(broadcast_fields(node))
    except UnsupportedOp:
        return False  # the general row says what is wrong
    return (fields["a_step"], fields["b_step"]) == (1, 1) and int(fields["row"]) >= _SHORTEST


def _has_plane(node: Node) -> bool:
    return _both_advance(node) and _plane(node) is not None


def _plane(node: Node) -> Plane | None:
    return plane_of(node.op, node.type, *(s.type for s in node.src))


def lower_plane(node: Node) -> Lowered:
    """add and sub whose 65,536 results lie on a plane."""
    assert isinstance(node.attrs, Elementwise)
    plane = _plane(node)
    assert plane is not None
    return Lowered(
        (
            *_rows(node),
            *prefixed("linear", plane_fields(plane)),
            *s8_bounds(node.type, node.attrs.clamp),
        )
    )


def _sum_steps(node: Node) -> tuple[Field, ...] | None:
    """How a sum without a plane is rounded; None for scales below one half times 2^-22."""
    ins = [s.type for s in node.src]
    pairs = add_multipliers(node.type, ins)
    signs = (1, 1 if node.op is Op.ADD else -1)
    swapped = int(ins[1].scale > ins[0].scale)
    exact, rounded = ins[swapped], ins[1 - swapped]
    last = two_step(*pairs[2], node.type.zero_point)
    # One half is no scale below it: twice the value, halved.
    same = rounded.scale == exact.scale
    form = TwoStep(2**30, 1, 1) if same else two_step(*pairs[1 - swapped], 0)
    if form is None or last is None:
        return None
    raise_by, factor = 1 << (22 if same else 21), signs[swapped] << 20
    return (
        ("swapped", swapped),
        ("exact_factor", factor),
        ("start", -exact.zero_point * factor),
        ("raise", raise_by),
        ("rounded_start", -rounded.zero_point * raise_by),
        ("multiplier", form.multiplier),
        ("half", form.half),
        ("right", form.right),
        ("sign", 2 * signs[1 - swapped]),
        ("out_multiplier", last.multiplier),
        ("out_half", last.half),
        ("out_right", last.right),
    )


def _has_steps(node: Node) -> bool:
    return _both_advance(node) and _plane(node) is None and _sum_steps(node) is not None


def lower_steps(node: Node) -> Lowered:
    """add and sub whose results lie on no plane."""
    assert isinstance(node.attrs, Elementwise)
    steps = _sum_steps(node)
    assert steps is not None
    return Lowered((*_rows(node), *steps, *s8_bounds(node.type, node.attrs.clamp)))


def _rounding(node: Node) -> OneStep | TwoStep | None:
    """How a product becomes a result: one step, two, or neither."""
    if node not in _ROUNDINGS:
        multiplier, shift = mul_multiplier(node.type, [s.type for s in node.src])
        zero, (a, b) = node.type.zero_point, (s.type.zero_point for s in node.src)
        ends = [(x - a) * (y - b) for x in (-128, 127) for y in (-128, 127)]
        reach = (min(ends), max(ends))
        one = solve(multiplier, shift, zero, reach)
        _ROUNDINGS[node] = one or two_step(multiplier, shift, zero)
    return _ROUNDINGS[node]


def _is_rounded(node: Node) -> bool:
    return _both_advance(node) and _rounding(node) is not None


def _lanes(value: int) -> int:
    """A value in both halfwords of a word."""
    return int(np.array([value, value], "<i2").view("<i4")[0])


def lower_mul(node: Node) -> Lowered:
    """mul whose scale has a form of one or two steps."""
    assert isinstance(node.attrs, Elementwise)
    form = _rounding(node)
    if isinstance(form, OneStep):
        steps, numbers = 1, (form.factor, form.offset, form.bias)
    else:
        assert form is not None
        steps, numbers = 2, (form.multiplier, form.half, form.right)
    a, b = (s.type.zero_point for s in node.src)
    return Lowered(
        (
            *_rows(node),
            ("steps", steps),
            ("a_lanes", _lanes(-steps * a)),
            ("b_lanes", _lanes(-b)),
            *zip(("factor", "half", "last"), numbers, strict=True),
            *s8_bounds(node.type, node.attrs.clamp),
        )
    )


_S8 = ("s8", "s8")
_INPLACE = (0, 1)
ROWS = (
    *(
        Row(
            op,
            _S8,
            "add_s8_dsp",
            "add_s8_dsp_params",
            lower_plane,
            _has_plane,
            "innermost axes alike, scales with a plane",
            inplace=_INPLACE,
            isa=DSP,
            work=rows_work,
        )
        for op in (Op.ADD, Op.SUB)
    ),
    *(
        Row(
            op,
            _S8,
            "add_steps_s8_dsp",
            "add_steps_s8_dsp_params",
            lower_steps,
            _has_steps,
            "innermost axes alike, scales without a plane",
            inplace=_INPLACE,
            isa=DSP,
            work=rows_work,
        )
        for op in (Op.ADD, Op.SUB)
    ),
    Row(
        Op.MUL,
        _S8,
        "mul_s8_dsp",
        "mul_s8_dsp_params",
        lower_mul,
        _is_rounded,
        "innermost axes alike, scale below one half",
        inplace=_INPLACE,
        isa=DSP,
        work=rows_work,
    ),
)
