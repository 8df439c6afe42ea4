"""torch.nn.GRU, LSTM and RNN -> scans; the cuts that models make of sequences.

torch.export keeps a recurrent layer as one call of all its stacked layers. States are [layers,B,H]
in torch, [B,1,H] in a scan.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from milliwatt.formats.torch_call import Call, Const
from milliwatt.ir import cells
from milliwatt.ir.attrs import Concat, Transpose
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op

LAYERS = ("gru", "lstm", "rnn_tanh", "rnn_relu")
"""ATen operators of recurrent layers, which torch.export must not take apart."""

_SWAP = (1, 0, 2)
# One layer: (x, first states, weight, recurrent weight, biases or Nones, name) -> y, last states.
_Layer = Callable[..., tuple[Node, ...]]


def _gru(x: Node, starts: Sequence[Node], arrays: Sequence[Any], name: str) -> tuple[Node, ...]:
    weight, recurrent, bias, back_bias = arrays
    return cells.gru(x, starts[0], weight, recurrent, bias, back_bias, name)


def _lstm(x: Node, starts: Sequence[Node], arrays: Sequence[Any], name: str) -> tuple[Node, ...]:
    weight, recurrent, *biases = arrays
    return cells.lstm(x, (starts[0], starts[1]), weight, recurrent, _sum(biases), name)


def _rnn(relu: bool) -> _Layer:
    def layer(
        x: Node, starts: Sequence[Node], arrays: Sequence[Any], name: str
    ) -> tuple[Node, ...]:
        weight, recurrent, *biases = arrays
        return cells.rnn(x, starts[0], weight, recurrent, _sum(biases), name, relu=relu)

    return layer


def _sum(biases: Sequence[np.ndarray | None]) -> np.ndarray | None:
    first, second = biases
    return None if first is None or second is None else first + second


def _stacked(layer: _Layer, states: int) -> Callable[[Call], tuple[Node, ...]]:
    """A handler of `layer` with as many `states`: (y, last states), layer upon layer."""

    def handler(call: Call) -> tuple[Node, ...]:
        x, arrays = call.x("input"), _arrays(call, states)
        first = not call.args["batch_first"]
        if first:
            x = call.emit(Op.TRANSPOSE, [x], Transpose(_SWAP), "batch_first")
        held = call.args["hx"]
        held = list(held) if isinstance(held, list) else [held]
        lasts: list[list[Node]] = [[] for _ in range(states)]
        for number, parameters in enumerate(arrays):
            single = len(arrays) == 1
            name = call.builder.unique(call.name if single else f"{call.name}.l{number}")
            starts = [
                _start(call, value, number, f"{name}.start{i}") for i, value in enumerate(held)
            ]
            x, *ends = layer(x, starts, parameters, name)
            for kept, end in zip(lasts, ends, strict=True):
                kept.append(call.emit(Op.TRANSPOSE, [end], Transpose(_SWAP), f"end{number}"))
        if first:
            x = call.emit(Op.TRANSPOSE, [x], Transpose(_SWAP), "time_first")
        joined = (
            kept[0] if len(kept) == 1 else call.emit(Op.CONCAT, kept, Concat(0), "ends")
            for kept in lasts
        )
        return (x, *joined)

    return handler


def _arrays(call: Call, states: int) -> list[list[np.ndarray | None]]:
    """(weight, recurrent weight, bias, recurrent bias) of each layer."""
    if call.args["bidirectional"]:
        raise call.unsupported(
            "it is bidirectional and reads the sequence from its end; bidirectional=False wanted"
        )
    params, layers = call.args["params"], int(call.args["num_layers"])
    each = 4 if call.args["has_biases"] else 2
    if len(params) != each * layers:
        raise call.unsupported(
            "its output is projected (proj_size); proj_size=0 and a Linear behind it wanted"
        )
    for value in params:
        if not isinstance(value, Const):
            raise call.unsupported("a weight is computed at run time; a constant wanted")
    arrays = [value.tensor.detach().numpy() for value in params]
    rows = [arrays[at : at + each] for at in range(0, len(arrays), each)]
    return [[*row, *[None] * (4 - each)] for row in rows]


def _start(call: Call, value: Any, number: int, name: str) -> Node:
    """The first state [B,1,H] of layer `number`, from torch's [layers,B,H]."""
    if isinstance(value, Const):
        array = value.tensor.detach().numpy()[number][:, None].astype(np.float32)
        return constant(array, call.builder.unique(name))
    node: Node = value
    layers, batch, units = node.type.shape
    if layers > 1:
        attrs = StridedSlice((number, 0, 0), (1, batch, units), (1, 1, 1))
        node = call.emit(Op.STRIDED_SLICE, [node], attrs, f"start{number}")
    return call.emit(Op.TRANSPOSE, [node], Transpose(_SWAP), f"start{number}.turned")


def _cut(call: Call, begin: int, size: int, step: int, part: str = "") -> Node:
    """`size` positions from `begin` on along the call's dim."""
    x = call.x()
    axis = int(call.args["dim"]) % len(x.type.shape)
    shape = list(x.type.shape)
    if (begin, size, step) == (0, shape[axis], 1):
        return x
    starts, steps = [0] * len(shape), [1] * len(shape)
    starts[axis], shape[axis], steps[axis] = begin, size, step
    attrs = StridedSlice(tuple(starts), tuple(shape), tuple(steps))
    return call.emit(Op.STRIDED_SLICE, [x], attrs, part)


def _bounded(value: Any, default: int, length: int) -> int:
    """An end of a slice as Python counts it, inside 0 to length."""
    place = default if value is None else int(value)
    return min(max(place + length if place < 0 else place, 0), length)


def _length(call: Call) -> int:
    shape = call.x().type.shape
    return shape[int(call.args["dim"]) % len(shape)]


def _slice(call: Call) -> Node:
    length = _length(call)
    begin = _bounded(call.args["start"], 0, length)
    end = _bounded(call.args["end"], length, length)
    step = int(call.args["step"])
    return _cut(call, begin, -(-(end - begin) // step), step)


def _select(call: Call) -> Node:
    index = int(call.args["index"])
    place = index + _length(call) if index < 0 else index
    return call.reshaped(_cut(call, place, 1, 1, "one"), call.shape)


def _split(call: Call) -> list[Node]:
    sizes, at, parts = [int(size) for size in call.args["split_sizes"]], 0, []
    for number, size in enumerate(sizes):
        parts.append(_cut(call, at, size, 1, f"part{number}"))
        at += size
    return parts


HANDLERS: dict[str, Callable[[Call], Any]] = {
    "aten.gru.input": _stacked(_gru, 1),
    "aten.lstm.input": _stacked(_lstm, 2),
    "aten.rnn_tanh.input": _stacked(_rnn(relu=False), 1),
    "aten.rnn_relu.input": _stacked(_rnn(relu=True), 1),
    "aten.select.int": _select,
    "aten.slice.Tensor": _slice,
    "aten.split_with_sizes.default": _split,
}
