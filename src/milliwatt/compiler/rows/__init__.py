"""The bind table: which C kernel runs which operator and types. One file an operator family.

Rows are tried from the top: special ones first, the general one of each operator last.
"""

from __future__ import annotations

from milliwatt.compiler.rows import (
    activation,
    control,
    conv,
    conv_add_dsp,
    conv_dsp,
    depthwise_dsp,
    elementwise,
    elementwise_dsp,
    fully_connected_dsp,
    matrix,
    move,
    pointwise,
    pool,
    pool_dsp,
    quantization,
    recurrent,
    reduce,
    shape,
    signal,
    winograd_add_dsp,
    winograd_dsp,
)
from milliwatt.compiler.rows.row import Call, Field, Lowered, Row

TABLE: tuple[Row, ...] = (
    *fully_connected_dsp.ROWS,
    *conv_dsp.ROWS,
    *conv_add_dsp.ROWS,
    *winograd_add_dsp.ROWS,
    *winograd_dsp.ROWS,
    *depthwise_dsp.ROWS,
    *conv.ROWS,
    *pool_dsp.ROWS,
    *pool.ROWS,
    *elementwise_dsp.ROWS,
    *elementwise.ROWS,
    *activation.ROWS,
    *shape.ROWS,
    *quantization.ROWS,
    *matrix.ROWS,
    *reduce.ROWS,
    *pointwise.ROWS,
    *move.ROWS,
    *recurrent.ROWS,
    *signal.ROWS,
    *control.ROWS,
)

__all__ = ["TABLE", "Call", "Field", "Lowered", "Row"]
