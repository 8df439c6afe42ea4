"""SVDF and LSTM: .tflite operators as nodes; their variable tensors become states.

What TFLM computes counts: integer SVDFs have no activation but their type's bounds, and tensors
that an LSTM lists as intermediates are not read.
"""

from __future__ import annotations

import math

import numpy as np

from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import NO_CLAMP, Attrs, Unary
from milliwatt.ir.attrs.recurrent import Lstm, Svdf
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.lstm import lstm_parts
from milliwatt.ir.types import DType

_TANH = 4
# Operands of an LSTM that TFLM does not have, by number.
_VARIANTS = {
    **dict.fromkeys((9, 10, 11), "peephole weights"),
    **dict.fromkeys((16, 17), "a projection"),
    **dict.fromkeys((20, 21, 22, 23), "layer normalization"),
}
_LSTM_OPERANDS = 24
# The operands that the IR has, in its order.
_LSTM_ORDER = (0, *range(1, 9), *range(12, 16), 18, 19)


def _svdf(site: Site) -> Node:
    x, state = site.operand(0), site.operand(4)
    if state.type.dtype is DType.F32 and site.operand(1).type.dtype is not DType.F32:
        site.unsupported("f32 with integer weights; f32 or s8 of everything wanted")
    if site.operand(2).type.dtype is not state.type.dtype:
        site.unsupported(
            f"time weights are {site.operand(2).type.dtype}, the state {state.type.dtype}; one "
            "element type wanted, convert the model again"
        )
    new = site.node(Op.SVDF_STATE, (x, site.operand(1), state), Attrs(), ".state")
    rank = site.option(0, "i")
    if rank < 1:
        site.fail(f"rank is {rank}; 1 or more wanted")
    real = x.type.dtype.is_float
    bias = site.optional(3)
    if bias is None:
        weights = site.operand(2).type
        if len(weights.shape) != 2:
            site.fail(f"time weights are {weights.short}; 2 axes wanted")
        units = weights.shape[0] // rank
        bias = constant(np.zeros(units, np.float32 if real else np.int32), f"{site.name}.bias")
    bent = real and site.option(1, "b") == _TANH
    clamp = site.clamp(1) if real and not bent else NO_CLAMP
    attrs = Svdf(rank, clamp, site.out.quant)
    src = (new, site.operand(2), bias)
    site.memory.update(state, new)
    if bent:
        return site.node(Op.TANH, (site.node(Op.SVDF, src, attrs, ".sum"),), Unary())
    return site.node(Op.SVDF, src, attrs)


def _lstm(site: Site) -> Node:
    if len(site.operands) != _LSTM_OPERANDS:
        site.fail(f"{len(site.operands)} operands; {_LSTM_OPERANDS} wanted")
    for index, what in _VARIANTS.items():
        held = site.operands[index]
        if held is not None:
            site.unsupported(
                f"operand {index} ({held.name}): {what}; an LSTM of four gates without it wanted"
            )
    if site.operands[1] is None:
        site.unsupported("the input gate is coupled to the forget gate; four gates wanted")
    if site.option(0, "b") != _TANH:
        site.unsupported(f"fused activation number {site.option(0, 'b')}; 4 (TANH) wanted")
    x, first = site.operand(0), site.operand(2).type.dtype
    if x.type.dtype is DType.F32 and first is not DType.F32:
        raise UnsupportedOp(
            f"{site}: f32 with {first} weights is computed by no kernel; f32 weights, or a model "
            "quantized to int8 or int16 activations wanted"
        )
    if site.option(5, "b"):
        site.unsupported("recurrent weights are diagonal; full ones wanted")
    hidden, cell = site.operand(18), site.operand(19)
    clip = 0.0 if site.options is None else site.options.real(1)
    if not math.isfinite(clip):
        site.fail(f"cell_clip is {clip}; a finite number wanted")
    attrs = Lstm(bool(site.option(3, "b")), max(clip, 0.0), site.out.quant)
    src = tuple(site.operand(index) for index in _LSTM_ORDER)
    if len(x.type.shape) != 3 or len(hidden.type.shape) != 2:
        site.fail(f"input is {x.type.short}, hidden state {hidden.type.short}; 3 and 2 axes wanted")
    try:
        types = lstm_parts(attrs, [node.type for node in src])
    except InvalidGraph as error:
        site.fail(str(error))
    names = (site.name, f"{site.name}.hidden", f"{site.name}.cell")
    made = site.parts(Op.LSTM, src, attrs, types, names)
    site.memory.update(hidden, made[1])
    site.memory.update(cell, made[2])
    return made[0]


READERS: dict[str, tuple[int, Reader]] = {
    "SVDF": (6, _svdf),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (71, _lstm),
}
