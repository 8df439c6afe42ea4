"""Rows of: recurrent layers: SVDF and LSTM."""

from __future__ import annotations

import numpy as np

from milliwatt.compiler.rows.results import f32_bounds
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.errors import UnsupportedOp
from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs.control import bundle_type
from milliwatt.ir.attrs.recurrent import Lstm, Svdf
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.lstm import (
    cell_argument,
    clip_of,
    gate_factors,
    lstm_parts,
    sizes,
    unit_factors,
)
from milliwatt.ir.ops.recurrent import state_factor, svdf_factor
from milliwatt.ir.types import DType, Type

# What mw_scale_wide takes: sums below 2^47, left shifts below 8.
_WIDE_BITS, _WIDE_SHIFT = 47, 8


def lower_svdf_state(node: Node) -> Lowered:
    """svdf_state: sizes, and for integers the scale of the newest column."""
    x, weights, state = (s.type for s in node.src)
    filters, inputs = weights.shape
    fields: tuple[Field, ...] = (
        ("batches", x.shape[0]),
        ("inputs", inputs),
        ("filters", filters),
        ("steps", state.shape[1] // filters),
    )
    if not x.dtype.is_float:
        multiplier, shift = state_factor([x, weights, state])
        fields += (
            ("in_zero_point", x.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            ("state_zero_point", state.zero_point),
        )
    return Lowered(fields)


def lower_svdf(node: Node) -> Lowered:
    """svdf: a unit's taps are those of all its filters."""
    assert isinstance(node.attrs, Svdf)
    state, weights = node.src[0].type, node.src[1].type
    units = node.type.shape[1]
    fields: tuple[Field, ...] = (
        ("batches", node.type.shape[0]),
        ("units", units),
        ("taps", weights.size // units),
    )
    if state.dtype.is_float:
        return Lowered((*fields, *f32_bounds(node.attrs.clamp)))
    multiplier, shift = svdf_factor(node.type, [state, weights])
    return Lowered(
        (
            *fields,
            ("state_zero_point", state.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            ("out_zero_point", node.type.zero_point),
        )
    )


def lower_lstm(node: Node) -> Lowered:
    """lstm: sizes, strides of either order of axes, the bundle, the scales of integers."""
    attrs = node.attrs
    assert isinstance(attrs, Lstm)
    types = [s.type for s in node.src]
    n = sizes(attrs, types)
    _, offsets = bundle_type(lstm_parts(attrs, types))
    strides = (n.batch, 1) if attrs.time_major else (1, n.steps)
    fields: tuple[Field, ...] = (
        *(("batches", n.batch), ("steps", n.steps), ("inputs", n.inputs), ("units", n.units)),
        *(("in_step", strides[0] * n.inputs), ("in_batch", strides[1] * n.inputs)),
        *(("out_step", strides[0] * n.units), ("out_batch", strides[1] * n.units)),
        *(("hidden_bytes", offsets[1]), ("cell_bytes", offsets[2])),
        ("out_bytes", node.type.nbytes),
    )
    if types[0].dtype.is_float:
        return Lowered((*fields, ("cell_clip", float(np.float32(attrs.cell_clip)))))
    gates = [pair for side in gate_factors(types) for pair in side]
    if types[0].dtype is DType.S16:
        _check_wide(node, types, gates)
        gates = [(int(fx.reduced_multiplier(m)), 15 - shift) for m, shift in gates]
    multiplier, shift = cell_argument(types[14])
    return Lowered(
        (
            *fields,
            ("in_zero_point", types[0].zero_point),
            ("hidden_zero_point", types[13].zero_point),
            ("clips", int(attrs.cell_clip > 0)),
            ("cell_clip", clip_of(attrs, types[14])),
            ("tanh_multiplier", multiplier),
            ("tanh_shift", shift),
            ("gates", np.array(gates, np.int32).reshape(-1)),
            ("scales", np.array(unit_factors(types), np.int32).reshape(-1)),
        )
    )


def _check_wide(node: Node, types: list[Type], gates: list[tuple[int, int]]) -> None:
    """UnsupportedOp where a sum of 16-bit products or its scale is beyond the specification's."""
    for bias in node.src[9:13]:
        if not bias.is_constant:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): bias is computed by {bias.name}; a constant wanted"
            )
        reach = max(types[0].shape[2], types[13].shape[1]) << 22
        largest = max(abs(int(bias.value.min())), abs(int(bias.value.max()))) + reach
        if largest >> _WIDE_BITS:
            raise UnsupportedOp(
                f"{node.name} ({node.op}): a sum with {bias.name} may reach {largest}; below "
                f"2^{_WIDE_BITS} wanted; quantize the model again"
            )
    worst = max(shift for _, shift in gates)
    if worst >= _WIDE_SHIFT:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): a gate's scale is 2^{worst} steps of 2^-12; below "
            f"2^{_WIDE_SHIFT} wanted; its weights' or activations' scales are too large; quantize "
            "the model again"
        )


ROWS: tuple[Row, ...] = (
    *(
        Row(Op.SVDF_STATE, pair, name, f"{params}_params", lower_svdf_state, inplace=(2,))
        for pair, name, params in (
            (("f32", "f32"), "svdf_state_f32", "svdf_state_f32"),
            (("s8", "s8"), "svdf_state_s8", "svdf_state"),
            (("s8", "s16"), "svdf_state_s8_s16", "svdf_state"),
        )
    ),
    Row(Op.SVDF, ("f32", "f32"), "svdf_f32", "svdf_f32_params", lower_svdf),
    Row(Op.SVDF, ("s8", "s8"), "svdf_s8", "svdf_params", lower_svdf),
    Row(Op.SVDF, ("s16", "s8"), "svdf_s16", "svdf_params", lower_svdf),
    *(
        Row(
            Op.LSTM,
            (kind, "u8"),
            f"lstm_{kind}",
            "lstm_f32_params" if kind == "f32" else "lstm_params",
            lower_lstm,
            variadic=True,
        )
        for kind in ("f32", "s8", "s16")
    ),
)
