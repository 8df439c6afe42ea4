"""Recurrent cells as bodies of scans: GRU, LSTM, plain RNN, FastGRNN, in float32.

Sequences are [B,T,I], states [B,1,H]. Weights are [outputs, inputs], gate below gate.
Sources: Cho et al., EMNLP 2014 (GRU); Hochreiter and Schmidhuber, Neural Computation 1997 (LSTM);
Kusupati et al., "FastGRNN", NeurIPS 2018; the orders of gates are PyTorch's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import ClampAttrs, Elementwise, FullyConnected, Unary
from milliwatt.ir.attrs.core import RELU
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

Weight = np.ndarray | tuple[np.ndarray, np.ndarray]
"""A matrix [O,I], or two of low rank r whose product it is: [O,r] and [I,r]."""

Step = Callable[["Body"], tuple[Node, ...]]


class Body:
    """The nodes of one step, by short names; `x` is the position, `states` what is carried."""

    def __init__(self, x: Node, states: Sequence[Node]) -> None:
        self.x, self.states = x, tuple(states)

    def fixed(self, value: np.ndarray | list[float], name: str) -> Node:
        """A float32 constant."""
        return constant(np.asarray(value, np.float32), name)

    def product(self, x: Node, weight: Weight, bias: np.ndarray | None, name: str) -> Node:
        """weight x + bias; two products where the weight is of low rank."""
        if isinstance(weight, tuple):
            x = self.product(x, weight[1].T, None, f"{name}.inner")
            weight = weight[0]
        src = [x, self.fixed(weight, f"{name}.weight")]
        if bias is not None:
            src.append(self.fixed(bias, f"{name}.bias"))
        return Node(Op.FULLY_CONNECTED, tuple(src), FullyConnected(), name)

    def part(self, x: Node, first: int, count: int, name: str) -> Node:
        """`count` values from `first` on along the last axis."""
        batch = x.type.shape[0]
        attrs = StridedSlice((0, 0, first), (batch, 1, count), (1, 1, 1))
        return Node(Op.STRIDED_SLICE, (x,), attrs, name)

    def add(self, a: Node, b: Node, name: str) -> Node:
        """a + b."""
        return Node(Op.ADD, (a, b), Elementwise(), name)

    def sub(self, a: Node, b: Node, name: str) -> Node:
        """a - b."""
        return Node(Op.SUB, (a, b), Elementwise(), name)

    def mul(self, a: Node, b: Node, name: str) -> Node:
        """a * b."""
        return Node(Op.MUL, (a, b), Elementwise(), name)

    def logistic(self, x: Node, name: str) -> Node:
        """1 / (1 + exp(-x))."""
        return Node(Op.LOGISTIC, (x,), Unary(), name)

    def tanh(self, x: Node, name: str) -> Node:
        """tanh(x)."""
        return Node(Op.TANH, (x,), Unary(), name)

    def relu(self, x: Node, name: str) -> Node:
        """max(x, 0)."""
        return Node(Op.CLAMP, (x,), ClampAttrs(RELU), name)


def scanned(x: Node, starts: Sequence[Node], step: Step, name: str) -> tuple[Node, ...]:
    """(y [B,T,H], the states after the last step) of `step` over x [B,T,I] from `starts`.

    `step` gives the new states; the first of them is the position's result.
    """
    batch, steps, inputs = x.type.shape
    now = graph_input((batch, 1, inputs), DType.F32, "x")
    held = [graph_input(s.type.shape, DType.F32, f"held{i}") for i, s in enumerate(starts)]
    states = step(Body(now, held))
    body = Graph((now, *held), (states[0], *states), name="step")
    attrs = Scan(body, steps, 1, len(states))
    bundle = Node(Op.SCAN, (x, *starts), attrs, f"{name}.scan")
    names = [name, *(f"{name}.last{i}" for i in range(len(states)))]
    return parts(bundle, attrs.results, names)


def gru(
    x: Node,
    start: Node,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None,
    recurrent_bias: np.ndarray | None,
    name: str,
    *,
    reset_after: bool = True,
) -> tuple[Node, ...]:
    """A GRU over x: (y, last state). Gates r, z, n: weight [3H,I], recurrent [3H,H], biases [3H].

    r, z = logistic(W x + b + U h + c); n = tanh(Wn x + bn + r (Un h + cn)), or with `reset_after`
    false tanh(Wn x + bn + Un (r h) + cn); h <- (1 - z) n + z h.
    """
    units = start.type.shape[2]
    check(name, "weight", weight, (3 * units, x.type.shape[2]))
    check(name, "recurrent weight", recurrent, (3 * units, units))
    for role, value in (("bias", bias), ("recurrent bias", recurrent_bias)):
        check(name, role, value, (3 * units,))

    def step(b: Body) -> tuple[Node, ...]:
        (held,) = b.states
        given = b.product(b.x, weight, bias, "given")
        both = 3 * units if reset_after else 2 * units
        held_bias = None if recurrent_bias is None else recurrent_bias[:both]
        back = b.product(held, recurrent[:both], held_bias, "back")
        gates = b.add(
            b.part(given, 0, 2 * units, "given.rz"), b.part(back, 0, 2 * units, "back.rz"), "rz"
        )
        opened = b.logistic(gates, "gates")
        reset, keep = b.part(opened, 0, units, "r"), b.part(opened, units, units, "z")
        if reset_after:
            old = b.mul(reset, b.part(back, 2 * units, units, "back.n"), "old")
        else:
            last_bias = None if recurrent_bias is None else recurrent_bias[both:]
            old = b.product(b.mul(reset, held, "rh"), recurrent[both:], last_bias, "old")
        fresh = b.tanh(b.add(b.part(given, 2 * units, units, "given.n"), old, "sum"), "n")
        return (b.add(fresh, b.mul(keep, b.sub(held, fresh, "change"), "kept"), "h"),)

    return scanned(x, [start], step, name)


def lstm(
    x: Node,
    starts: tuple[Node, Node],
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None,
    name: str,
) -> tuple[Node, ...]:
    """An LSTM over x: (y, last h, last c). Gates i, f, g, o: weight [4H,I], recurrent [4H,H].

    c <- f c + i g, h <- o tanh(c), with i, f, o = logistic and g = tanh of W x + U h + b.
    """
    units = starts[0].type.shape[2]
    check(name, "weight", weight, (4 * units, x.type.shape[2]))
    check(name, "recurrent weight", recurrent, (4 * units, units))
    check(name, "bias", bias, (4 * units,))
    # i, f, o side by side have one logistic.
    order = np.r_[0 : 2 * units, 3 * units : 4 * units, 2 * units : 3 * units]

    def step(b: Body) -> tuple[Node, ...]:
        held, cell = b.states
        ordered = None if bias is None else bias[order]
        given = b.product(b.x, weight[order], ordered, "given")
        total = b.add(given, b.product(held, recurrent[order], None, "back"), "sums")
        opened = b.logistic(b.part(total, 0, 3 * units, "ifo"), "gates")
        fresh = b.tanh(b.part(total, 3 * units, units, "sum.g"), "g")
        enter, keep, show = (b.part(opened, i * units, units, n) for i, n in enumerate("ifo"))
        new = b.add(b.mul(keep, cell, "kept"), b.mul(enter, fresh, "entered"), "c")
        return b.mul(show, b.tanh(new, "bent"), "h"), new

    return scanned(x, starts, step, name)


def rnn(
    x: Node,
    start: Node,
    weight: np.ndarray,
    recurrent: np.ndarray,
    bias: np.ndarray | None,
    name: str,
    *,
    relu: bool = False,
) -> tuple[Node, ...]:
    """h <- tanh(W x + U h + b), or ReLU of it: (y, last state). weight [H,I], recurrent [H,H]."""
    units = start.type.shape[2]
    check(name, "weight", weight, (units, x.type.shape[2]))
    check(name, "recurrent weight", recurrent, (units, units))
    check(name, "bias", bias, (units,))

    def step(b: Body) -> tuple[Node, ...]:
        given = b.product(b.x, weight, bias, "given")
        total = b.add(given, b.product(b.states[0], recurrent, None, "back"), "sum")
        return (b.relu(total, "h") if relu else b.tanh(total, "h"),)

    return scanned(x, [start], step, name)


def fastgrnn(
    x: Node,
    start: Node,
    weight: Weight,
    recurrent: Weight,
    gate_bias: np.ndarray,
    bias: np.ndarray,
    scales: tuple[float, float],
    name: str,
) -> tuple[Node, ...]:
    """A FastGRNN over x: (y, last state), W [H,I] and U [H,H], either of them of low rank.

    s = W x + U h, z = logistic(s + b_z), h <- (zeta (1 - z) + nu) tanh(s + b_h) + z h; `scales`
    are (zeta, nu), as they are after their own logistic in training.
    """
    units, (zeta, nu) = start.type.shape[2], scales
    check_weight(name, "weight", weight, (units, x.type.shape[2]))
    check_weight(name, "recurrent weight", recurrent, (units, units))
    check(name, "gate bias", gate_bias, (units,))
    check(name, "bias", bias, (units,))

    def step(b: Body) -> tuple[Node, ...]:
        (held,) = b.states
        given = b.product(b.x, weight, None, "given")
        total = b.add(given, b.product(held, recurrent, None, "back"), "sum")
        keep = b.logistic(b.add(total, b.fixed(gate_bias, "gate_bias"), "sum.z"), "z")
        fresh = b.tanh(b.add(total, b.fixed(bias, "bias"), "sum.h"), "fresh")
        share = b.sub(b.fixed([zeta + nu], "most"), b.mul(keep, b.fixed([zeta], "zeta"), "zz"), "a")
        return (b.add(b.mul(share, fresh, "entered"), b.mul(keep, held, "kept"), "h"),)

    return scanned(x, [start], step, name)


def check(name: str, role: str, value: np.ndarray | None, shape: tuple[int, ...]) -> None:
    """InvalidGraph where an array is not of `shape`; None, left out, is."""
    if value is not None and value.shape != shape:
        raise InvalidGraph(f"{name}: {role} is {list(value.shape)}; {list(shape)} wanted")


def check_weight(name: str, role: str, value: Weight, shape: tuple[int, int]) -> None:
    """`check` of a matrix that may be of low rank."""
    if isinstance(value, tuple):
        rank = value[0].shape[-1]
        check(name, f"first factor of the {role}", value[0], (shape[0], rank))
        check(name, f"second factor of the {role}", value[1], (shape[1], rank))
    else:
        check(name, role, value, shape)
