"""How the quantization of a result follows from its operands: one row an operator.

An operator without a row here, or without the wanted element type in its row, stays in f32 between
a dequantize and a quantize. Source: TensorFlow Lite 8-bit quantization specification, and what the
kernels of TensorFlow Lite ask for.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.activation import PROBABILITY, SIGNED_UNIT, SIGNED_UNIT_S16
from milliwatt.ir.ops.reduce import LOGARITHM, UNIT
from milliwatt.ir.types import DType, Quant

S8, S16, F32 = DType.S8, DType.S16, DType.F32
BOTH, BYTES = (S8, S16), (S8,)

# Output-channel axis of the weight of every product that has constant weights.
WEIGHTED = {**WEIGHT_AXIS, Op.TRANSPOSE_CONV2D: 0}


class Follows(enum.Enum):
    """Where the quantization of a result comes from."""

    OWN = "its own range"
    FIRST = "its first operand"
    JOINED = "one with its operands, over the union of their ranges"
    FIXED = "the specification"
    NONE = "it is not quantized: bool or an index"


@dataclass(frozen=True)
class Rule:
    """One operator in integers.

    dtypes: element types that it has kernels for. shared: operands that must have one quantization
    (with the result where it is joined), by element type; None stands for all operands. fixed: the
    result's quantization by element type. moves: it computes nothing, so that no conversion is
    worth it. narrow: operands that stay s8 beside s16 ones. keeps: element types in which the
    result has its first operand's quantization although it could have its own.
    """

    follows: Follows
    dtypes: tuple[DType, ...] = BOTH
    shared: Mapping[DType, tuple[int, ...] | None] = field(default_factory=dict)
    fixed: Mapping[DType, Quant] = field(default_factory=dict)
    moves: bool = False
    narrow: tuple[int, ...] = ()
    keeps: tuple[DType, ...] = ()


def _joined(operands: tuple[int, ...] | None = None, *, moves: bool = True) -> Rule:
    return Rule(Follows.JOINED, shared=dict.fromkeys(BOTH, operands), moves=moves)


def _fixed(s8: Quant, s16: Quant | None = None) -> Rule:
    fixed = {S8: s8} if s16 is None else {S8: s8, S16: s16}
    return Rule(Follows.FIXED, tuple(fixed), fixed=fixed)


_OWN_BOTH = (
    *WEIGHTED,
    *(Op.BATCH_MATMUL, Op.MEAN, Op.SUM, Op.ADD, Op.SUB, Op.MUL, Op.SQUARED_DIFFERENCE),
    *(Op.ABS, Op.LEAKY_RELU),
)
_OWN_S8 = (
    *(Op.EXP, Op.LOG, Op.SIN, Op.COS, Op.SQRT, Op.RSQRT, Op.SQUARE, Op.SIGN, Op.FLOOR),
    *(Op.CEIL, Op.ROUND, Op.ELU, Op.GELU, Op.HARD_SWISH, Op.DIV, Op.CUMSUM),
)
_COMPARISONS = (Op.EQUAL, Op.NOT_EQUAL, Op.LESS, Op.LESS_EQUAL, Op.GREATER, Op.GREATER_EQUAL)
_MOVES = (
    *(Op.MAX_POOL2D, Op.RESHAPE, Op.TRANSPOSE, Op.PAD, Op.STRIDED_SLICE, Op.BROADCAST_TO),
    *(Op.MIRROR_PAD, Op.GATHER, Op.GATHER_ND, Op.RESIZE_NEAREST, Op.REDUCE_MAX, Op.REDUCE_MIN),
)

RULES: dict[Op, Rule] = {
    **dict.fromkeys(_OWN_BOTH, Rule(Follows.OWN)),
    **dict.fromkeys(_OWN_S8, Rule(Follows.OWN, BYTES)),
    # TensorFlow Lite Micro clamps s16 but does not rescale it.
    Op.CLAMP: Rule(Follows.OWN, keeps=(S16,)),
    Op.PRELU: Rule(Follows.OWN, narrow=(1,)),
    Op.ADD_N: Rule(Follows.OWN, BYTES, shared={S8: None}),
    Op.LOGISTIC: _fixed(PROBABILITY, SIGNED_UNIT_S16),
    Op.TANH: _fixed(SIGNED_UNIT, SIGNED_UNIT_S16),
    Op.SOFTMAX: _fixed(PROBABILITY, SIGNED_UNIT_S16),
    Op.LOG_SOFTMAX: _fixed(LOGARITHM),
    Op.L2_NORMALIZATION: _fixed(UNIT),
    **dict.fromkeys((Op.AVERAGE_POOL2D, Op.RESIZE_BILINEAR), Rule(Follows.FIRST)),
    **dict.fromkeys(_MOVES, Rule(Follows.FIRST, moves=True)),
    Op.CONCAT: _joined(),
    Op.SELECT: _joined((1, 2)),
    Op.DYNAMIC_UPDATE_SLICE: _joined((0, 1)),
    Op.SHIFT_IN: _joined((0, 1)),
    **dict.fromkeys((Op.MAXIMUM, Op.MINIMUM), _joined((0, 1), moves=False)),
    # In s8 the kernels compare reals, in s16 the stored numbers.
    **dict.fromkeys((Op.ARG_MAX, Op.ARG_MIN), Rule(Follows.NONE, BYTES)),
    # Its body is quantized as a graph of its own; its result is a bundle.
    Op.SCAN: Rule(Follows.NONE),
    **dict.fromkeys(_COMPARISONS, Rule(Follows.NONE, shared={S16: (0, 1)})),
}


def is_plain(node: Node) -> bool:
    """A value that is never quantized: a bool, an index, a bundle."""
    return node.type.dtype is not F32


def follows(node: Node, dtype: DType) -> Follows:
    """Where the quantization of the node's result in `dtype` comes from."""
    rule = RULES.get(node.op)
    if is_plain(node):
        return Follows.NONE
    if rule is None:
        return Follows.OWN
    return Follows.FIRST if dtype in rule.keeps else rule.follows


def shares(node: Node, dtype: DType) -> tuple[int, ...]:
    """Operands of `node` that must have one quantization in `dtype`."""
    rule = RULES.get(node.op)
    if rule is None or dtype not in rule.shared:
        return ()
    operands = rule.shared[dtype]
    chosen = tuple(range(len(node.src))) if operands is None else operands
    return () if any(is_plain(node.src[i]) for i in chosen) else chosen


def is_layer(node: Node) -> bool:
    """An operator that computes with reals: accuracy control chooses its element type."""
    rule = RULES.get(node.op)
    reads = any(not is_plain(s) for s in node.src)
    return rule is not None and not rule.moves and reads


def is_computed(node: Node) -> bool:
    """An operator that is neither a leaf nor a mere move."""
    rule = RULES.get(node.op)
    return bool(node.src) and node.op is not Op.PART and not (rule is not None and rule.moves)


def has_form(node: Node, dtype: DType) -> bool:
    """True where `node` can run in `dtype`: it has a kernel, its weights are constants."""
    rule = RULES.get(node.op)
    if dtype is F32 or rule is None:
        return dtype is F32
    fixed = node.op not in WEIGHTED or all(s.is_constant for s in node.src[1:])
    return fixed and dtype in rule.dtypes
