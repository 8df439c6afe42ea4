"""Two windowed operators run row by row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs.by_rows import ByRows
from milliwatt.ir.ops import conv, pool
from milliwatt.ir.ops.common import want
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import Type

_STAGES: dict[str, OpDef] = {
    str(op): row
    for table in (conv.OPS, pool.OPS)
    for op, row in table.items()
    if op in (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.MAX_POOL2D, Op.AVERAGE_POOL2D)
}

Types = Sequence[Type]


def _stage(name: str) -> OpDef:
    if name not in _STAGES:
        raise InvalidGraph(f"{name} does not run by rows; one of {', '.join(_STAGES)} wanted")
    return _STAGES[name]


def hidden_type(attrs: ByRows, ins: Types) -> Type:
    """The type of the first operator's result."""
    return _stage(attrs.first_op).infer(attrs.first, ins[: 1 + attrs.first_operands])


def _second_types(attrs: ByRows, ins: Types) -> list[Type]:
    return [hidden_type(attrs, ins), *ins[1 + attrs.first_operands :]]


def _infer(attrs: ByRows, ins: Types) -> Type:
    want(ins[0].shape[0] == 1, f"x is {ins[0].short}; a batch of 1 wanted")
    want(
        0 <= attrs.first_operands < len(ins),
        f"the first takes {attrs.first_operands} of {len(ins) - 1} operands; all or fewer wanted",
    )
    return _stage(attrs.second_op).infer(attrs.second, _second_types(attrs, ins))


def _run(attrs: ByRows, out: Type, ins: Types, args: Sequence[np.ndarray]) -> np.ndarray:
    split = 1 + attrs.first_operands
    types = _second_types(attrs, ins)
    first, second = _stage(attrs.first_op), _stage(attrs.second_op)
    hidden = first.reference(attrs.first, types[0], ins[:split], args[:split])
    return second.reference(attrs.second, out, types, [hidden, *args[split:]])


def _macs(attrs: ByRows, out: Type, ins: Types) -> int:
    types = _second_types(attrs, ins)
    first, second = _stage(attrs.first_op), _stage(attrs.second_op)
    once = first.macs(attrs.first, types[0], ins[: 1 + attrs.first_operands])
    return once + second.macs(attrs.second, out, types)


OPS = {Op.BY_ROWS: OpDef(ByRows, (1, 5), _infer, _run, _macs)}
