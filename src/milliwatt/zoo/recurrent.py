"""Recurrent layers from NumPy weights: GRU, LSTM, plain RNN, FastGRNN, as float32 nodes.

A layer with `carry` goes on from run to run: give `updates` to the Graph, and run it on chunks of
any length; without, every run starts from zeros.

    x = graph_input((1, 30, 40), DType.F32, "x")
    layer = gru(x, weight, recurrent, bias, recurrent_bias)
    graph = Graph((x,), (layer.y,), layer.updates)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir import cells
from milliwatt.ir.cells import Weight
from milliwatt.ir.graph import Node, constant, state
from milliwatt.ir.types import DType

_GRU_GATES = "rzn"


@dataclass(frozen=True, eq=False)
class Recurrent:
    """A layer: `y` [B,T,H], the states `last` [B,1,H] after it, `updates` for a Graph."""

    y: Node
    last: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...]


def gru(
    x: Node,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None = None,
    recurrent_bias: np.ndarray | None = None,
    *,
    order: str = _GRU_GATES,
    reset_after: bool = True,
    carry: bool = True,
    name: str = "gru",
) -> Recurrent:
    """A gated recurrent unit over x f32 [B,T,I]; see `cells.gru` for the formula.

    Args:
        weight: [3H,I]; recurrent: [3H,H]; bias and recurrent_bias: [3H] or None.
        order: the gates from top to bottom: "rzn" is PyTorch's, "zrn" Keras' (whose kernels are
            [I,3H]: pass their transpose).
        reset_after: the reset gate acts on the product with the state, as in PyTorch and Keras'
            default; False is Keras' `reset_after=False`, the reset gate acts on the state.
        carry: the state goes on from run to run.
    Raises: InvalidGraph for arrays that do not fit.
    """
    if sorted(order) != sorted(_GRU_GATES):
        raise InvalidGraph(f"{name}: gates are {order!r}; an order of {_GRU_GATES!r} wanted")
    units = _units(x, recurrent, 3, name)
    first, second = (_ordered(value, order, units) for value in (weight, recurrent))
    biases = [
        None if value is None else _ordered(value, order, units) for value in (bias, recurrent_bias)
    ]
    (start,) = _starts(x, units, 1, name, carry=carry)
    made = cells.gru(x, start, first, second, biases[0], biases[1], name, reset_after=reset_after)
    return _layer(made, (start,), carry=carry)


def lstm(
    x: Node,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    carry: bool = True,
    name: str = "lstm",
) -> Recurrent:
    """A long short-term memory over x f32 [B,T,I]; see `cells.lstm`. `last` is (h, c).

    Args: weight: [4H,I], recurrent: [4H,H], bias: [4H] or None (the sum of PyTorch's two), gates
    i, f, g, o from top to bottom, as PyTorch and Keras have them. carry: as in `gru`.
    Raises: InvalidGraph for arrays that do not fit.
    """
    units = _units(x, recurrent, 4, name)
    first, second = _starts(x, units, 2, name, carry=carry)
    made = cells.lstm(x, (first, second), weight, recurrent, bias, name)
    return _layer(made, (first, second), carry=carry)


def rnn(
    x: Node,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    relu: bool = False,
    carry: bool = True,
    name: str = "rnn",
) -> Recurrent:
    """h <- tanh(W x + U h + b), or ReLU, over x f32 [B,T,I]: weight [H,I], recurrent [H,H].

    Args: bias: [H] or None. carry: as in `gru`. Raises: InvalidGraph for arrays that do not fit.
    """
    (start,) = _starts(x, _units(x, recurrent, 1, name), 1, name, carry=carry)
    made = cells.rnn(x, start, weight, recurrent, bias, name, relu=relu)
    return _layer(made, (start,), carry=carry)


def fastgrnn(
    x: Node,
    weight: Weight,
    recurrent: Weight,
    gate_bias: np.ndarray,
    bias: np.ndarray,
    *,
    zeta: float = 1.0,
    nu: float = 0.0,
    carry: bool = True,
    name: str = "fastgrnn",
) -> Recurrent:
    """A FastGRNN over x f32 [B,T,I]; see `cells.fastgrnn` for the formula.

    Args:
        weight: [H,I], or factors ([H,r], [I,r]); recurrent: [H,H], or ([H,r], [H,r]).
        gate_bias, bias: [H]. zeta, nu: between 0 and 1, after their own logistic in training.
        carry: as in `gru`.
    Raises: InvalidGraph for arrays that do not fit. Source: Kusupati et al., NeurIPS 2018, eq. 3.
    """
    first = recurrent[0] if isinstance(recurrent, tuple) else recurrent
    units = _units(x, first, 1, name)
    (start,) = _starts(x, units, 1, name, carry=carry)
    made = cells.fastgrnn(x, start, weight, recurrent, gate_bias, bias, (zeta, nu), name)
    return _layer(made, (start,), carry=carry)


def _units(x: Node, recurrent: np.ndarray, gates: int, name: str) -> int:
    """H, which the recurrent weight's rows say: as many for each of its gates."""
    if x.type.dtype is not DType.F32 or len(x.type.shape) != 3:
        raise InvalidGraph(f"{name}: input is {x.type.short}; f32 of 3 axes [B,T,I] wanted")
    units = recurrent.shape[0] // gates if recurrent.ndim == 2 else 0
    if units < 1:
        raise InvalidGraph(
            f"{name}: recurrent weight is {list(recurrent.shape)}; [{gates} * H, H] wanted"
        )
    return units


def _ordered(value: np.ndarray, order: str, units: int) -> np.ndarray:
    """Gates in `order` as PyTorch has them; arrays of other sizes are left to the checks."""
    if len(value) != len(order) * units:
        return value
    blocks = {gate: value[at * units : (at + 1) * units] for at, gate in enumerate(order)}
    return np.concatenate([blocks[gate] for gate in _GRU_GATES])


def _starts(x: Node, units: int, count: int, name: str, *, carry: bool) -> tuple[Node, ...]:
    """What the first step finds: states, or zeros."""
    zeros = np.zeros((x.type.shape[0], 1, units), np.float32)
    make = state if carry else constant
    return tuple(make(zeros, f"{name}.start{i}") for i in range(count))


def _layer(made: tuple[Node, ...], starts: tuple[Node, ...], *, carry: bool) -> Recurrent:
    y, *last = made
    updates = tuple(zip(starts, last, strict=True)) if carry else ()
    return Recurrent(y, tuple(last), updates)
