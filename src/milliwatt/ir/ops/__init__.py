"""The operator table: one row an operator, one file an operator family.

A row says which attributes an operator has, how many operands, how its result type follows from
them (`infer`), what it computes (`reference`, the definition of its meaning) and how many
multiply-accumulates that takes (`macs`).
"""

from __future__ import annotations

from milliwatt.ir.ops import (
    activation,
    by_rows,
    control,
    conv,
    elementwise,
    leaf,
    matrix,
    move,
    pointwise,
    pool,
    quantization,
    recurrent,
    reduce,
    shape,
    signal,
)
from milliwatt.ir.ops.table import Op, OpDef

OPS: dict[Op, OpDef] = {
    **leaf.OPS,
    **conv.OPS,
    **pool.OPS,
    **by_rows.OPS,
    **elementwise.OPS,
    **activation.OPS,
    **shape.OPS,
    **quantization.OPS,
    **matrix.OPS,
    **reduce.OPS,
    **pointwise.OPS,
    **move.OPS,
    **recurrent.OPS,
    **signal.OPS,
    **control.OPS,
}

__all__ = ["OPS", "Op", "OpDef"]
