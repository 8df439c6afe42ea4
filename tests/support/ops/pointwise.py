"""Draws of the family `pointwise`."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.attrs import Attrs, Elementwise
from milliwatt.ir.attrs.pointwise import Cast, Gelu, LeakyRelu, Pointwise
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type
from support.ops.core import (
    Draw,
    Rng,
    random_values,
    size,
    some_clamp,
    some_input,
    some_quant,
    some_shape,
)

F32, S8, S16, S32, S64 = DType.F32, DType.S8, DType.S16, DType.S32, DType.S64
BOOL, U8, U32 = DType.BOOL, DType.U8, DType.U32
QUANTIZED = (S8, S16)


def quant_of(rng: Rng, dtype: DType, scale: float | None = None) -> Quant | None:
    """Quantization where the element type has it."""
    return some_quant(rng, dtype, scale) if dtype in QUANTIZED else None


def _unary(op: Op, *, positive: bool = False) -> Draw:
    """One operand; `positive` keeps f32 above 0 and s8 at or above its zero point."""

    def draw(rng: Rng, dtype: DType) -> Node | Graph:
        shape = (*some_shape(rng, (0, 3)), size(rng, 1, 40))
        if dtype in QUANTIZED:
            x = graph_input(shape, dtype, "x", some_quant(rng, dtype, 2.0 ** rng.uniform(-8, 0)))
        else:
            x = graph_input(shape, dtype, "x")
        scale = x.type.scale * 2.0 ** rng.uniform(-3, 4)
        quant = quant_of(rng, dtype, scale if op is not Op.RSQRT else 2.0 ** rng.uniform(-8, 0))
        if rng.random() < 0.2:
            quant = x.type.quant
        if not positive:
            return Node(op, (x,), Pointwise(quant), "y")
        inner = Node(Op.ABS if dtype is S8 else Op.EXP, (x,), Pointwise(x.type.quant), "positive")
        return Graph((x,), (Node(op, (inner,), Pointwise(quant), "y"),), name=str(op))

    return draw


def _leaky_relu(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    alpha = float(np.float32(rng.choice([0.0, 0.01, 0.2, 0.3, 1.7, -0.5, -1.0])))
    quant = quant_of(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-3, 3))
    return Node(Op.LEAKY_RELU, (x,), LeakyRelu(alpha, quant), "y")


def _gelu(rng: Rng, dtype: DType) -> Node:
    """Many values at once: LiteRT's tanh cancels below 0."""
    x = some_input(rng, dtype, (*some_shape(rng, (0, 2)), size(rng, 30, 60)))
    quant = quant_of(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-3, 3))
    return Node(Op.GELU, (x,), Gelu(bool(rng.random() < 0.5), quant), "y")


def _logical_not(rng: Rng, dtype: DType) -> Node:
    return Node(Op.LOGICAL_NOT, (graph_input(some_shape(rng), BOOL, "x"),), Attrs(), "y")


def pair_shapes(
    rng: Rng, ranks: tuple[int, int] = (1, 4)
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Two shapes that broadcast, half of the time different ones, either the smaller."""
    full = some_shape(rng, ranks)
    if rng.random() < 0.5:
        return full, full
    thin = tuple(d if rng.random() < 0.5 else 1 for d in full)
    other = full
    if rng.random() < 0.3:
        other = tuple(1 if t == d else d for t, d in zip(thin, full, strict=True))
    thin = thin[size(rng, 0, len(thin) - 1) :]
    return (thin, other) if rng.random() < 0.5 else (other, thin)


def _operand(rng: Rng, kind: Type, name: str, *, fixed: float = 0.3) -> Node:
    """An input or, with probability `fixed`, a constant."""
    if rng.random() < fixed:
        return constant(random_values(rng, kind), name, kind.quant)
    return graph_input(kind.shape, kind.dtype, name, kind.quant)


def _operands(rng: Rng, kinds: list[Type], one_fixed: bool = True) -> list[Node]:
    """Operands of these types, at most one of them a constant."""
    chosen = size(rng, 0, len(kinds) - 1) if one_fixed and rng.random() < 0.4 else -1
    return [
        _operand(rng, kind, "abcdef"[n], fixed=float(n == chosen)) for n, kind in enumerate(kinds)
    ]


def _same_type(op: Op, ranks: tuple[int, int] = (1, 5)) -> Draw:
    """maximum and minimum: one quantization of all."""

    def draw(rng: Rng, dtype: DType) -> Node:
        quant = quant_of(rng, dtype)
        kinds = [Type(shape, dtype, quant) for shape in pair_shapes(rng, ranks)]
        return Node(op, tuple(_operands(rng, kinds)), Pointwise(quant), "y")

    return draw


def _nonzero(rng: Rng, kind: Type) -> np.ndarray:
    """Values of type `kind` that stand for no 0, and in f32 lie far enough from it."""
    values = random_values(rng, kind)
    if kind.dtype.is_float:
        return np.where(np.abs(values) < 0.1, np.float32(0.7), values)
    other = kind.zero_point + (1 if kind.zero_point < 0 else -1)
    return np.where(values == kind.zero_point, other, values).astype(values.dtype)


def _division(op: Op, ranks: tuple[int, int] = (1, 4)) -> Draw:
    """The divisor is a constant, or an s8 input kept off its zero point by a maximum."""

    def draw(rng: Rng, dtype: DType) -> Node | Graph:
        first, second = pair_shapes(rng, ranks)
        base = 2.0 ** rng.uniform(-8, 0)
        quants = [quant_of(rng, dtype, base * 2.0 ** rng.uniform(-3, 3)) for _ in range(2)]
        a = graph_input(first, dtype, "a", quants[0])
        kind = Type(second, dtype, quants[1])
        # Where TFLM defines the quantized quotient: steps of 1/128 of s_a / s_b and finer.
        ratio = a.type.scale / kind.scale * 2.0 ** rng.uniform(-11, -7.01)
        quant = quant_of(rng, dtype, ratio)
        attrs = Elementwise(some_clamp(rng), quant) if op is Op.DIV else Pointwise(quant)
        if dtype is S8 and rng.random() < 0.5 and kind.zero_point < 127:
            raw = graph_input(second, dtype, "b", kind.quant)
            least = constant(np.array([kind.zero_point + 1], np.int8), "least", kind.quant)
            b = Node(Op.MAXIMUM, (raw, least), Pointwise(kind.quant), "divisor")
            return Graph((a, raw), (Node(op, (a, b), attrs, "y"),), name=str(op))
        return Node(op, (a, constant(_nonzero(rng, kind), "b", kind.quant)), attrs, "y")

    return draw


def _squared_difference(rng: Rng, dtype: DType) -> Node:
    base = 2.0 ** rng.uniform(-8, 0)
    kinds = [
        Type(shape, dtype, quant_of(rng, dtype, base * 2.0 ** rng.uniform(-3, 3)))
        for shape in pair_shapes(rng)
    ]
    widest = max(kind.scale for kind in kinds)
    bits = 6 if dtype is S8 else 14
    quant = quant_of(rng, dtype, widest * widest * 2.0 ** (bits + rng.uniform(-2, 4)))
    nodes = _operands(rng, kinds)
    return Node(Op.SQUARED_DIFFERENCE, tuple(nodes), Pointwise(quant), "y")


def _prelu(rng: Rng, dtype: DType) -> Node:
    """alpha is most often one value a channel."""
    x = some_input(rng, dtype, some_shape(rng))
    full = x.type.shape
    thin = tuple(d if rng.random() < 0.3 else 1 for d in full[:-1]) + full[-1:]
    thin = thin[size(rng, 0, len(thin) - 1) :]
    kind = F32 if dtype is F32 else S8
    alpha = Type(thin, kind, quant_of(rng, kind, 2.0 ** rng.uniform(-9, -5)))
    quant = quant_of(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-2, 3))
    return Node(Op.PRELU, (x, _operand(rng, alpha, "alpha", fixed=0.7)), Pointwise(quant), "y")


def _compare(op: Op) -> Draw:
    """Scales stay below 1, as TFLM asks."""

    def draw(rng: Rng, dtype: DType) -> Node:
        base = 2.0 ** rng.uniform(-9, -1)
        quants = [quant_of(rng, dtype, base * 2.0 ** rng.uniform(-1, 1)) for _ in range(2)]
        if rng.random() < 0.5 or dtype is S16:
            quants[1] = quants[0]
        shapes = pair_shapes(rng, (1, 5))
        kinds = [Type(s, dtype, q) for s, q in zip(shapes, quants, strict=True)]
        return Node(op, tuple(_operands(rng, kinds)), Attrs(), "y")

    return draw


def _logical(op: Op) -> Draw:
    def draw(rng: Rng, dtype: DType) -> Node:
        kinds = [Type(shape, BOOL) for shape in pair_shapes(rng)]
        return Node(op, tuple(_operands(rng, kinds)), Attrs(), "y")

    return draw


def _add_n(rng: Rng, dtype: DType) -> Node:
    """In s8 the zero point is 0: TFLM adds another one for itself."""
    scale = 2.0 ** rng.uniform(-8, 0)
    quant = Quant.per_tensor(scale) if dtype is S8 else None
    kind = Type(some_shape(rng), dtype, quant)
    nodes = _operands(rng, [kind] * size(rng, 2, 6))
    out = quant_of(rng, dtype, scale * 2.0 ** rng.uniform(-1, 4))
    return Node(Op.ADD_N, tuple(nodes), Pointwise(out), "y")


def _select(rng: Rng, dtype: DType) -> Node:
    quant = quant_of(rng, dtype)
    first, second = pair_shapes(rng, (1, 5))
    full = np.broadcast_shapes(first, second)
    third = tuple(d if rng.random() < 0.7 else 1 for d in full)
    shapes = [first, second, third]
    rng.shuffle(shapes)
    kinds = [Type(shapes[0], BOOL), *(Type(tuple(s), dtype, quant) for s in shapes[1:])]
    return Node(Op.SELECT, tuple(_operands(rng, kinds)), Pointwise(quant), "y")


# What TFLM's CAST makes of each element type.
CAST_RESULTS = (S8, S16, S32, U32, F32)


def _cast(rng: Rng, dtype: DType) -> Node:
    x = graph_input(some_shape(rng), dtype, "x", None)
    if dtype is F32 and rng.random() < 0.5:
        x = constant(random_values(rng, x.type) * np.float32(10.0 ** rng.uniform(0, 10)), "x")
    return Node(Op.CAST, (x,), Cast(CAST_RESULTS[size(rng, 0, len(CAST_RESULTS) - 1)]), "y")


REAL = (Op.NEG, Op.SIN, Op.COS, Op.EXP, Op.SQUARE, Op.FLOOR, Op.CEIL, Op.ROUND)
COMPARED = (Op.EQUAL, Op.NOT_EQUAL, Op.LESS, Op.LESS_EQUAL, Op.GREATER, Op.GREATER_EQUAL)
OPERATORS: dict[str, Draw] = {
    **{str(op): _unary(op) for op in (*REAL, Op.ABS, Op.ELU, Op.HARD_SWISH)},
    **{str(op): _unary(op, positive=True) for op in (Op.LOG, Op.SQRT, Op.RSQRT)},
    "leaky_relu": _leaky_relu,
    "gelu": _gelu,
    "sign": _unary(Op.SIGN),
    "logical_not": _logical_not,
    "div": _division(Op.DIV, (1, 5)),
    "floor_div": _division(Op.FLOOR_DIV),
    "floor_mod": _division(Op.FLOOR_MOD),
    "maximum": _same_type(Op.MAXIMUM),
    "minimum": _same_type(Op.MINIMUM),
    "squared_difference": _squared_difference,
    "prelu": _prelu,
    **{str(op): _compare(op) for op in COMPARED},
    "logical_and": _logical(Op.LOGICAL_AND),
    "logical_or": _logical(Op.LOGICAL_OR),
    "add_n": _add_n,
    "select": _select,
    "cast": _cast,
}

_TYPES: dict[str, tuple[DType, ...]] = {
    **{str(op): (F32,) for op in (*REAL, Op.LOG, Op.SQRT, Op.FLOOR_DIV, Op.FLOOR_MOD)},
    **{str(op): (F32, S8) for op in (Op.ELU, Op.HARD_SWISH, Op.RSQRT, Op.ADD_N)},
    **{str(op): (F32, S8, S16) for op in (Op.ABS, Op.LEAKY_RELU, Op.PRELU, Op.SELECT)},
    **{str(op): (F32, S8, S16, S32, S64) for op in (Op.MAXIMUM, Op.MINIMUM)},
    **{str(op): (F32, S8, S32, S64) for op in COMPARED},
    **{str(op): (BOOL,) for op in (Op.LOGICAL_AND, Op.LOGICAL_OR, Op.LOGICAL_NOT)},
    "div": (F32, S8, S32),
    "squared_difference": (F32, S8, S16, S32),
    "cast": (F32, S8, S16, S32, U32, BOOL),
}
# What TFLM has not, LiteRT has.
_LITERT: dict[str, tuple[DType, ...]] = {
    **dict.fromkeys(("floor_div", "floor_mod"), (S32,)),
    **dict.fromkeys(("exp", "log"), (S8,)),
    **{str(op): (S16,) for op in COMPARED},
    "cast": (S64, U8),
    "gelu": (F32, S8),
    "sign": (F32,),
    "select": (S32, S64, BOOL),
}
_TYPES["equal"] += (BOOL,)
_TYPES["not_equal"] += (BOOL,)
# (operator, element type of its activations): what is compared with the oracles.
ORACLE = {(name, kind): "litert" for name, kinds in _LITERT.items() for kind in kinds}
GRID: list[tuple[str, DType]] = [
    *((name, kind) for name, kinds in _TYPES.items() for kind in kinds),
    *ORACLE,
]
