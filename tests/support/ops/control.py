"""Draws of the family `control`: graphs that remember, choose and loop."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.attrs import Attrs, Concat, Elementwise
from milliwatt.ir.attrs.control import If, While
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type
from support.ops.core import Draw, Rng, random_values, size, some_clamp, some_shape

COUNTER = Type((1,), DType.S32)


def _quant(rng: Rng, dtype: DType) -> Quant | None:
    if dtype.is_float:
        return None
    return Quant.per_tensor(2.0 ** rng.uniform(-8, -4), size(rng, -20, 20))


def _kind(rng: Rng, dtype: DType) -> Type:
    return Type(some_shape(rng), dtype, _quant(rng, dtype))


def _input(kind: Type, name: str) -> Node:
    return graph_input(kind.shape, kind.dtype, name, kind.quant)


def _sum(rng: Rng, a: Node, b: Node, like: Type, name: str) -> Node:
    """a + b, of the quantization of `like`."""
    return Node(Op.ADD, (a, b), Elementwise(some_clamp(rng), like.quant), name)


def _number(value: int, name: str) -> Node:
    return constant(np.array([value], np.int32), name)


def _branch(rng: Rng, kinds: list[Type], name: str) -> Graph:
    """Two values in, two values of their types out: some computed, some passed on."""
    a, b = (_input(kind, f"{name}.x{i}") for i, kind in enumerate(kinds))
    other = constant(random_values(rng, kinds[0]), f"{name}.c", kinds[0].quant)
    first = _sum(rng, a, other, kinds[0], f"{name}.y")
    if rng.random() < 0.4:
        first = _sum(rng, first, a, kinds[0], f"{name}.y2")
    second = b if rng.random() < 0.5 else _sum(rng, b, b, kinds[1], f"{name}.z")
    return Graph((a, b), (first, second), name=name)


def draw_if(rng: Rng, dtype: DType) -> Graph:
    """A flag that is an input, or a comparison of two."""
    kinds = [_kind(rng, dtype), _kind(rng, dtype)]
    values = [_input(kind, f"x{i}") for i, kind in enumerate(kinds)]
    if rng.random() < 0.5:
        flags = [graph_input((1,), DType.BOOL, "flag")]
        flag = flags[0]
    else:
        flags = [_input(COUNTER, "n"), _input(COUNTER, "m")]
        flag = Node(Op.LESS, tuple(flags), Attrs(), "flag")
    attrs = If(_branch(rng, kinds, "then"), _branch(rng, kinds, "otherwise"))
    node = Node(Op.IF, (flag, *values), attrs, "choice")
    y, z = parts(node, attrs.results, ["y", "z"])
    return Graph((*flags, *values), (_sum(rng, y, values[0], kinds[0], "sum"), z))


def draw_while(rng: Rng, dtype: DType) -> Graph:
    """Up to five turns, sometimes none, that change one value and keep another."""
    kind = _kind(rng, dtype)
    n, total, step = (_input(k, f"c.{i}") for i, k in enumerate((COUNTER, kind, kind)))
    limit = _number(size(rng, 0, 5), "limit")
    condition = Graph((n, total, step), (Node(Op.LESS, (n, limit), Attrs(), "go"),), name="go_on")
    n, total, step = (_input(k, f"b.{i}") for i, k in enumerate((COUNTER, kind, kind)))
    more = Node(Op.ADD, (n, _number(1, "one")), Elementwise(), "more")
    body = Graph((n, total, step), (more, _sum(rng, total, step, kind, "total"), step), name="turn")
    x, start = _input(kind, "x"), _input(kind, "start")
    node = Node(Op.WHILE, (_number(0, "zero"), start, x), While(condition, body), "loop")
    turns, result, _ = parts(node, [COUNTER, kind, kind], ["turns", "result", "kept"])
    return Graph((x, start), (_sum(rng, result, x, kind, "y"), turns))


def draw_state(rng: Rng, dtype: DType) -> Graph:
    """One state that sums what comes, one that keeps the last; some begin as zeros."""
    kind = _kind(rng, dtype)
    x = _input(kind, "x")
    first = random_values(rng, kind) if rng.random() < 0.5 else np.zeros(kind.shape)
    total = state(first.astype(kind.dtype.numpy), "total", kind.quant)
    last = state(np.zeros(kind.shape, kind.dtype.numpy), "last", kind.quant)
    new = _sum(rng, total, x, kind, "new")
    y = Node(Op.CONCAT, (last, new), Concat(0), "y")
    outputs = (y, new) if rng.random() < 0.5 else (y,)
    return Graph((x,), outputs, ((total, new), (last, x)))


OPERATORS: dict[str, Draw] = {"if": draw_if, "while": draw_while, "state": draw_state}
# (operator, element type of its activations): what is compared with TensorFlow Lite Micro.
GRID: list[tuple[str, DType]] = [
    (name, dtype) for name in OPERATORS for dtype in (DType.F32, DType.S8)
]
