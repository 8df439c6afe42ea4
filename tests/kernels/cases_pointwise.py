"""Grids of the family `pointwise`."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.cases_core import Case
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6, Attrs, Elementwise
from milliwatt.ir.attrs.pointwise import Cast, Gelu, LeakyRelu, Pointwise
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant
from support.ops import pointwise as draws

F32, S8, S16, S32, S64, BOOL = draws.F32, draws.S8, draws.S16, draws.S32, draws.S64, draws.BOOL
U8, U32 = draws.U8, draws.U32
SHAPES = (
    ((), ()),
    ((1,), (1,)),
    ((7,), (7,)),
    ((2, 3, 5), (5,)),
    ((5,), (2, 3, 5)),
    ((4, 1, 3), (1, 6, 1)),
    ((3, 1, 2, 1, 4), (2, 1, 5, 1)),
    ((1,), (4,)),
    ((4,), (1,)),
    ((2, 1, 3, 1, 2, 1), (1, 2, 1, 2, 1, 3)),
)


def _quant(dtype: DType, number: int, scale: float = 0.05) -> Quant | None:
    if dtype not in draws.QUANTIZED:
        return None
    zero = (-128, 127, 0, 7, -101)[number % 5] if dtype is S8 else 0
    return Quant.per_tensor(scale * (1, 0.7, 1.9)[number % 3], zero)


def unary(op: Op, dtype: DType) -> Iterator[Node]:
    """One operand, and for reals also a constant with all the values that ask for care."""
    for number, shape in enumerate(((), (1,), (9,), (3, 4, 5))):
        x = graph_input(shape, dtype, "x", _quant(dtype, number))
        quant = _quant(dtype, number + 1, 0.04 if op is not Op.HARD_SWISH else 0.02)
        yield Node(op, (x,), Pointwise(quant), "y")
        if dtype is not F32:
            yield Node(op, (x,), Pointwise(x.type.quant), "y")
    if dtype is F32:
        yield Node(op, (constant(special_values(op), "x"),), Pointwise(), "y")


def special_values(op: Op) -> np.ndarray:
    """f32 near 0 and far, halves, infinities, NaN, denormals; results of one size each.

    exp stays below 80, so that one result does not hide the others.
    """
    sizes = np.geomspace(1e-42, 3e38, 200)
    halves = np.arange(0, 20, 0.5)
    most = 5.0 if op is Op.EXP else np.inf
    reals = np.concatenate([sizes, halves, [0.0, 8388609.0, np.inf, np.nan]]).astype(np.float32)
    both = np.concatenate([reals, -reals])
    return both[(np.abs(both) <= most) | ~np.isfinite(both)]


def leaky_relu(dtype: DType) -> Iterator[Node]:
    """Slopes of either sign."""
    for number, alpha in enumerate((0.0, 0.1, 0.3, 1.5, -0.5)):
        x = graph_input((2, 33), dtype, "x", _quant(dtype, number))
        quant = _quant(dtype, number + 1)
        yield Node(Op.LEAKY_RELU, (x,), LeakyRelu(float(np.float32(alpha)), quant), "y")


def gelu(dtype: DType) -> Iterator[Node]:
    """Exact and by tanh."""
    for number, approximate in enumerate((False, True)):
        x = graph_input((5, 33), dtype, "x", _quant(dtype, number))
        yield Node(Op.GELU, (x,), Gelu(approximate, _quant(dtype, number + 1)), "y")
        if dtype is F32:
            far = [1e30, -1e30, np.inf, -np.inf, np.nan]
            for reals in (np.linspace(-20, 20, 900), far):
                values = constant(np.array(reals, np.float32), "x")
                yield Node(Op.GELU, (values,), Gelu(approximate), "y")


def pairs(op: Op, dtype: DType, attrs: type[Attrs]) -> Iterator[Node]:
    """Two operands in all ways to broadcast; of maximum and minimum of one quantization."""
    one = op in (Op.MAXIMUM, Op.MINIMUM) or dtype is S16
    for number, (first, second) in enumerate(SHAPES):
        a = graph_input(first, dtype, "a", _quant(dtype, number))
        quant = a.type.quant if one else _quant(dtype, number + 1)
        b = graph_input(second, dtype, "b", quant)
        wide = _quant(dtype, number, 0.1 if dtype is S8 else 80.0)
        last = a.type.quant if op in (Op.MAXIMUM, Op.MINIMUM) else wide
        if attrs is Attrs:
            yield Node(op, (a, b), Attrs(), "y")
        elif attrs is Elementwise:
            clamp = (NO_CLAMP, RELU, RELU6, (-1.0, 1.0))[number % 4]
            yield Node(op, (a, b), Elementwise(clamp, last), "y")
        else:
            yield Node(op, (a, b), Pointwise(last), "y")


def prelu(dtype: DType) -> Iterator[Node]:
    """One alpha a channel, one for all, one for each value."""
    kind = F32 if dtype is F32 else S8
    for number, shape in enumerate(((3, 4, 5), (5,), (1,), (4, 1), ())):
        x = graph_input((3, 4, 5), dtype, "x", _quant(dtype, number))
        alpha = graph_input(shape, kind, "alpha", _quant(kind, number + 2, 0.01))
        quant = _quant(dtype, number + 1)
        yield Node(Op.PRELU, (x, alpha), Pointwise(quant), "y")


def add_n(dtype: DType) -> Iterator[Node]:
    """2 to 7 operands, one of them twice, in s8 with every zero point."""
    for number in range(5):
        quant = _quant(dtype, number)
        nodes = [graph_input((3, 5), dtype, f"x{k}", quant) for k in range(1 + number)]
        yield Node(Op.ADD_N, (*nodes, nodes[0]), Pointwise(_quant(dtype, number + 1, 0.1)), "y")


def select(dtype: DType) -> Iterator[Node]:
    """All ways in which three shapes broadcast."""
    for number, (first, second) in enumerate(SHAPES):
        full = np.broadcast_shapes(first, second)
        thin = tuple(1 if n % 2 else d for n, d in enumerate(full))
        for shapes in ((first, second, full), (full, first, second), (second, thin, first)):
            condition = graph_input(shapes[0], BOOL, "c")
            quant = _quant(dtype, number)
            a, b = (graph_input(s, dtype, n, quant) for s, n in zip(shapes[1:], "ab", strict=True))
            yield Node(Op.SELECT, (condition, a, b), Pointwise(quant), "y")


def cast(dtype: DType) -> Iterator[Node]:
    """To every type; reals also at and beyond the ends of the integers."""
    edges = [2.0**p for p in (7, 8, 15, 31, 32, 33, 63, 64)] + [2147483520.0, 4294967040.0, 9e18]
    reals = np.array([0.0, 0.4, 0.9, 1.5, 127.9, 300.7, 40000.5, *edges, np.inf, 1e-40])
    for to in (F32, S8, S16, S32, S64, U8, U32, BOOL):
        yield Node(Op.CAST, (graph_input((4, 9), dtype, "x"),), Cast(to), "y")
        if dtype is F32 and to is not F32:
            x = np.concatenate([reals, -reals, [np.nan]]).astype(np.float32)
            yield Node(Op.CAST, (constant(x, "x"),), Cast(to), "y")


def _named(op: Op, dtype: DType, nodes: Iterator[Node]) -> Iterator[Case]:
    for number, node in enumerate(nodes):
        yield f"{op}-{dtype}-{number}", node


_REAL = (*draws.REAL, Op.ABS, Op.LOG, Op.SQRT, Op.RSQRT, Op.ELU, Op.HARD_SWISH, Op.SIGN)
_PAIRS: tuple[tuple[tuple[Op, ...], tuple[DType, ...], type[Attrs]], ...] = (
    ((Op.MAXIMUM, Op.MINIMUM), (F32, S8, S16, S32, S64), Pointwise),
    (draws.COMPARED, (F32, S8, S16, S32, S64), Attrs),
    ((Op.EQUAL, Op.NOT_EQUAL, Op.LOGICAL_AND, Op.LOGICAL_OR), (BOOL,), Attrs),
    ((Op.DIV,), (F32, S8, S32), Elementwise),
    ((Op.FLOOR_DIV, Op.FLOOR_MOD), (F32, S32), Pointwise),
    ((Op.SQUARED_DIFFERENCE,), (F32, S8, S16, S32), Pointwise),
)


def _cases() -> Iterator[Case]:
    for op in _REAL:
        for dtype in (F32, S8, *([S16] if op is Op.ABS else [])):
            yield from _named(op, dtype, unary(op, dtype))
    for dtype in (F32, S8, S16):
        yield from _named(Op.LEAKY_RELU, dtype, leaky_relu(dtype))
        yield from _named(Op.PRELU, dtype, prelu(dtype))
    for dtype in (F32, S8):
        yield from _named(Op.GELU, dtype, gelu(dtype))
    plain = graph_input((3, 70), S16, "x")
    yield "abs-s16_plain-0", Node(Op.ABS, (plain,), Pointwise(), "y")
    yield "logical_not-bool-0", Node(Op.LOGICAL_NOT, (graph_input((9,), BOOL, "x"),), Attrs(), "y")
    for ops, dtypes, attrs in _PAIRS:
        for op in ops:
            for dtype in dtypes:
                yield from _named(op, dtype, pairs(op, dtype, attrs))
    for dtype in (F32, S8):
        yield from _named(Op.ADD_N, dtype, add_n(dtype))
    for dtype in (F32, S8, S16, S64, BOOL):
        yield from _named(Op.SELECT, dtype, select(dtype))
    for dtype in (F32, S8, S16, S32, S64, U8, U32, BOOL):
        yield from _named(Op.CAST, dtype, cast(dtype))


CASES: tuple[Case, ...] = tuple(_cases())
