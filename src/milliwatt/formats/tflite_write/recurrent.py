"""SVDF and LSTM: nodes as .tflite operators. Their states become variable tensors."""

from __future__ import annotations

from typing import Any

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_write.core import fused
from milliwatt.formats.tflite_write.written import Field, Writer, Written
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.lstm import GATE_SCALE, lstm_parts
from milliwatt.ir.types import DType, Quant, Type

_SVDF_OPTIONS, _LSTM_OPTIONS = 6, 71
_TANH: Field = ("b", 4)


def _own_states(node: Node, *states: Node) -> tuple[Node, ...]:
    """States that the operator keeps by itself."""
    for state in states:
        if state.op is not Op.STATE:
            raise InvalidGraph(
                f"{node.name} ({node.op}): {state.name} is computed ({state.op}); TFLite's "
                "operator keeps it as a state of its own; save the graph as .mwg"
            )
    return states


def _svdf(node: Node, a: Any) -> Written:
    new, weights, bias = node.src
    if new.op is not Op.SVDF_STATE:
        raise InvalidGraph(
            f"{node.name} (svdf): {new.name} is made by {new.op}; TFLite's SVDF computes its state"
        )
    x, features, state = new.src
    return Written(
        "SVDF",
        _SVDF_OPTIONS,
        {0: ("i", a.rank), 1: fused(a.clamp, node)},
        operands=(x, features, weights, bias, state),
        variables=_own_states(node, state),
        hides=(new,),
    )


def _svdf_state(node: Node, a: Any) -> Written:
    raise InvalidGraph(
        f"{node.name} (svdf_state): no svdf reads it; TFLite computes both in one operator"
    )


def _lstm(node: Node, a: Any) -> Written:
    x, weights, biases, states = node.src[0], node.src[1:9], node.src[9:13], node.src[13:]
    types = [s.type for s in node.src]
    # What LiteRT asks integer models for: scales of the gates' sums and of h; TFLM wants no bytes.
    gate = Type((0,), DType.S16, Quant.per_tensor(GATE_SCALE))
    inside = (
        () if x.type.dtype.is_float else (*(gate,) * 4, Type((0,), x.type.dtype, types[13].quant))
    )
    return Written(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        _LSTM_OPTIONS,
        {0: _TANH, 1: ("f", a.cell_clip), 3: ("B", int(a.time_major))},
        operands=(x, *weights, *(None,) * 3, *biases, *(None,) * 2, *states, *(None,) * 4),
        variables=_own_states(node, *states),
        results=lstm_parts(a, types)[:1],
        intermediates=inside,
    )


WRITERS: dict[Op, Writer] = {Op.SVDF: _svdf, Op.SVDF_STATE: _svdf_state, Op.LSTM: _lstm}
