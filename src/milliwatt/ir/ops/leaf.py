"""Leaves: inputs and constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import Constant, Input
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import Type, dtype_of


def _infer_input(attrs: Input, ins: Sequence[Type]) -> Type:
    if any(d < 1 for d in attrs.type.shape):
        raise InvalidGraph(f"shape {list(attrs.type.shape)} has a size below 1")
    return attrs.type


def _infer_constant(attrs: Constant, ins: Sequence[Type]) -> Type:
    return Type(attrs.value.shape, attrs.dtype or dtype_of(attrs.value), attrs.quant)


def _run_input(
    attrs: Input, out: Type, ins: Sequence[Type], args: Sequence[np.ndarray]
) -> np.ndarray:
    raise InvalidGraph("an input has no value of its own; pass one to `run`")


def _run_constant(
    attrs: Constant, out: Type, ins: Sequence[Type], args: Sequence[np.ndarray]
) -> np.ndarray:
    return attrs.value


OPS = {
    Op.INPUT: OpDef(Input, (0, 0), _infer_input, _run_input),
    Op.CONSTANT: OpDef(Constant, (0, 0), _infer_constant, _run_constant),
}
