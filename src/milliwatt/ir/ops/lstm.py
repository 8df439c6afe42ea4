"""LSTM over a sequence, as TensorFlow Lite Micro computes it: f32, 8 bits and 16x8 bits.

Source: TensorFlow Lite Micro reference kernels, UNIDIRECTIONAL_SEQUENCE_LSTM; Hochreiter and
Schmidhuber, "Long short-term memory", Neural Computation 1997.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from milliwatt.ir import fixedpoint as fx
from milliwatt.ir.attrs.control import bundle_type, pack_parts
from milliwatt.ir.attrs.recurrent import Lstm
from milliwatt.ir.ops import tables16
from milliwatt.ir.ops.common import result, want, want_dtype, want_quant, want_symmetric
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]

GATES = ("input", "forget", "cell", "output")
OPERANDS = 15
GATE_SCALE = 2.0**-12
"""Scale of a gate's s16 sum, before its logistic or tanh."""
UNIT_SCALE = 2.0**-15
"""Scale of the s16 results of logistic and tanh."""
LARGEST_FACTOR = 2.0**64
"""Any factor above 2^31 saturates; infinity has no multiplier."""
# Element types of weights, biases and cell state, by that of the activations.
_TYPES = {
    DType.F32: (DType.F32, DType.F32, DType.F32),
    DType.S8: (DType.S8, DType.S32, DType.S16),
    DType.S16: (DType.S8, DType.S64, DType.S16),
}
# Powers of two that the cell state's scale may be: beyond, its tanh leaves 32 bits.
_CELL_POWERS = (-43, 0)


@dataclass(frozen=True)
class Sizes:
    """batch B, steps T, inputs I, units S."""

    batch: int
    steps: int
    inputs: int
    units: int


def sizes(attrs: Lstm, ins: Types) -> Sizes:
    """The sizes that an lstm's operands say."""
    batch, steps, inputs = ins[0].shape
    if attrs.time_major:
        batch, steps = steps, batch
    return Sizes(batch, steps, inputs, ins[13].shape[1])


def lstm_parts(attrs: Lstm, ins: Types) -> tuple[Type, Type, Type]:
    """Results of lstm: the sequence of hidden states, the last hidden and the last cell state."""
    shape = (*ins[0].shape[:2], ins[13].shape[1])
    return result(shape, ins[13], attrs.quant), ins[13], ins[14]


def _want_symmetric(kind: str, value: Type) -> None:
    want_quant(value, kind)
    want(value.zero_point == 0, f"{kind} {value.short} has zero point {value.zero_point}; 0 wanted")


def _infer_lstm(attrs: Lstm, ins: Types) -> Type:
    x, hidden, cell = ins[0], ins[13], ins[14]
    want_dtype("input", x, *_TYPES)
    want_quant(x, "input")
    want_symmetric(x, "input")
    want(len(x.shape) == 3, f"input is {x.short}; 3 axes wanted")
    weight_type, bias_type, cell_type = _TYPES[x.dtype]
    want_dtype("hidden state", hidden, x.dtype)
    want_dtype("cell state", cell, cell_type)
    want(len(hidden.shape) == 2, f"hidden state is {hidden.short}; 2 axes [B,S] wanted")
    n = sizes(attrs, ins)
    for kind, value in (("hidden", hidden), ("cell", cell)):
        want(
            value.shape == (n.batch, n.units),
            f"{kind} state is {value.short}; [{n.batch},{n.units}] wanted",
        )
    want_quant(hidden, "hidden state")
    want_symmetric(hidden, "hidden state")
    _want_symmetric("cell state", cell)
    for at, (kind, shape) in enumerate(
        (("weight", (n.units, n.inputs)), ("recurrent weight", (n.units, n.units)))
    ):
        for gate, value in zip(GATES, ins[1 + 4 * at : 5 + 4 * at], strict=True):
            want_dtype(f"{gate} gate's {kind}", value, weight_type)
            want(value.shape == shape, f"{gate} gate's {kind} is {value.short}; {shape} wanted")
            _want_symmetric(f"{gate} gate's {kind}", value)
    for gate, value in zip(GATES, ins[9:13], strict=True):
        want_dtype(f"{gate} gate's bias", value, bias_type)
        want(value.shape == (n.units,), f"{gate} gate's bias is {value.short}; [{n.units}] wanted")
    want(attrs.cell_clip >= 0, f"cell_clip is {attrs.cell_clip}; 0 (none) or more wanted")
    if not x.dtype.is_float:
        low, high = _CELL_POWERS
        want(
            low <= cell_power(cell) <= high,
            f"cell state's scale is {cell.scale:g}; 2^{low} to 2^{high} wanted",
        )
    return bundle_type(lstm_parts(attrs, ins))[0]


def cell_power(cell: Type) -> int:
    """The power of two that the cell state's scale is nearest to."""
    return fx.round_half_away(math.log2(cell.scale))


def cell_argument(cell: Type) -> tuple[int, int]:
    """(multiplier, right shift) of the tanh of the cell state."""
    left = 12 + cell_power(cell)
    return (3 << left, 0) if left >= 0 else (3, -left)


def gate_factors(ins: Types) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(multiplier, shift) of the products with x and with h, of each gate."""

    def factor(value: Type, weight: Type) -> tuple[int, int]:
        # In double: the float32 product that other operators take has ties at 15 bits.
        product = float(np.float32(value.scale)) * float(np.float32(weight.scale))
        return fx.quantize_multiplier(min(product / GATE_SCALE, LARGEST_FACTOR))

    return (
        [factor(ins[0], weight) for weight in ins[1:5]],
        [factor(ins[13], weight) for weight in ins[5:9]],
    )


def unit_factors(ins: Types) -> tuple[tuple[int, int], ...]:
    """(multiplier, shift) of f * c, of i * g and of o * tanh(c)."""
    hidden, cell = (float(np.float32(kind.scale)) for kind in ins[13:15])
    return (
        fx.quantize_multiplier(UNIT_SCALE * cell / cell),
        fx.quantize_multiplier(UNIT_SCALE * UNIT_SCALE / cell),
        fx.quantize_multiplier(UNIT_SCALE * UNIT_SCALE / hidden),
    )


def clip_of(attrs: Lstm, cell: Type) -> int:
    """cell_clip in steps of the s16 cell state, cut towards 0; 0 is no bound."""
    if attrs.cell_clip <= 0:
        return 0
    return int(min(float(np.float32(attrs.cell_clip)) / float(np.float32(cell.scale)), 32767.0))


def _clip16(values: np.ndarray) -> np.ndarray:
    clipped: np.ndarray = np.clip(values, -(1 << 15), (1 << 15) - 1)
    return clipped


def _run_lstm(attrs: Lstm, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    x = np.asarray(args[0])
    steps = x if attrs.time_major else np.swapaxes(x, 0, 1)
    step = _float_step if ins[0].dtype.is_float else _integer_step
    hidden, cell, made = args[13], args[14], []
    for now in steps:
        hidden, cell = step(attrs, ins, now, args, hidden, cell)
        made.append(hidden)
    y = np.stack(made)
    return pack_parts((y if attrs.time_major else np.swapaxes(y, 0, 1), hidden, cell))


Step = tuple[np.ndarray, np.ndarray]


def _float_step(
    attrs: Lstm, ins: Types, x: np.ndarray, args: Arrays, hidden: np.ndarray, cell: np.ndarray
) -> Step:
    def gate(at: int) -> np.ndarray:
        weight, recurrent, bias = (args[1 + at + 4 * k].astype(np.float64) for k in range(3))
        total: np.ndarray = x @ weight.T + hidden @ recurrent.T + bias
        return total

    sums = [gate(at) for at in range(4)]
    opened = [np.exp(-np.logaddexp(0, -sums[at])) for at in (0, 1, 3)]
    cell = (opened[1] * cell + opened[0] * np.tanh(sums[2])).astype(np.float32)
    if attrs.cell_clip > 0:
        cell = np.clip(cell, -np.float32(attrs.cell_clip), np.float32(attrs.cell_clip))
    return (opened[2] * np.tanh(cell.astype(np.float64))).astype(np.float32), cell


def _integer_step(
    attrs: Lstm, ins: Types, x: np.ndarray, args: Arrays, hidden: np.ndarray, cell: np.ndarray
) -> Step:
    wide = ins[0].dtype is DType.S16
    factors = gate_factors(ins)

    def product(value: np.ndarray, kind: Type, at: int, bias: int | np.ndarray) -> np.ndarray:
        # float64 holds these sums exactly: below 2^53, but for the bias.
        weight = args[at].astype(np.float64)
        sums = ((value.astype(np.float64) - kind.zero_point) @ weight.T).astype(np.int64) + bias
        factor = factors[0][at - 1] if at < 5 else factors[1][at - 5]
        if wide:
            return _clip16(fx.multiply_wide(sums, *factor))
        return _clip16(fx.multiply_by_quantized_multiplier(fx.wrap32(sums), *factor))

    def gate(at: int) -> np.ndarray:
        given = product(x, ins[0], 1 + at, args[9 + at].astype(np.int64))
        total = _clip16(given + product(hidden, ins[13], 5 + at, 0))
        return (tables16.tanh if at == 2 else tables16.logistic)(total, 3, 0).astype(np.int64)

    opened, forgotten, fresh, shown = (gate(at) for at in range(4))
    keep, add, show = unit_factors(ins)
    kept = _clip16(fx.multiply_by_quantized_multiplier(forgotten * cell, *keep))
    added = _clip16(fx.multiply_by_quantized_multiplier(opened * fresh, *add))
    cell = _clip16(kept + added)
    bound = clip_of(attrs, ins[14])
    if attrs.cell_clip > 0:
        cell = np.clip(cell, -bound, bound)
    bent = tables16.tanh(cell, *cell_argument(ins[14])).astype(np.int64)
    scaled = fx.multiply_by_quantized_multiplier(bent * shown, *show) + ins[13].zero_point
    hidden = np.clip(scaled, *ins[13].dtype.limits).astype(ins[13].dtype.numpy)
    return hidden, cell.astype(np.int16)


def _macs_lstm(attrs: Lstm, out: Type, ins: Types) -> int:
    n = sizes(attrs, ins)
    return n.batch * n.steps * n.units * (4 * (n.inputs + n.units) + 3)


OPS: dict[Op, OpDef] = {
    Op.LSTM: OpDef(Lstm, (OPERANDS, OPERANDS), _infer_lstm, _run_lstm, _macs_lstm),
}
