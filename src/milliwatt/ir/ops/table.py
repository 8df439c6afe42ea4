"""The operator names and the shape of one row of the operator table."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from milliwatt.ir.types import Type


class Op(enum.Enum):
    """Operators of the IR, by family. The value is the name in text, C symbols and reports."""

    # leaves
    INPUT = "input"
    CONSTANT = "constant"
    # convolutions and matrix products
    CONV2D = "conv2d"
    DEPTHWISE_CONV2D = "depthwise_conv2d"
    FULLY_CONNECTED = "fully_connected"
    CONV2D_ADD = "conv2d_add"
    # pooling and reduction
    MAX_POOL2D = "max_pool2d"
    AVERAGE_POOL2D = "average_pool2d"
    MEAN = "mean"
    # elementwise, two operands
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    # elementwise, one operand
    CLAMP = "clamp"
    LOGISTIC = "logistic"
    TANH = "tanh"
    SOFTMAX = "softmax"
    LOOKUP = "lookup"
    # shape
    PAD = "pad"
    RESHAPE = "reshape"
    TRANSPOSE = "transpose"
    CONCAT = "concat"
    # element type
    QUANTIZE = "quantize"
    DEQUANTIZE = "dequantize"
    REQUANTIZE = "requantize"

    def __str__(self) -> str:
        return self.value


Infer = Callable[[Any, Sequence[Type]], Type]
Reference = Callable[[Any, Type, Sequence[Type], Sequence[np.ndarray]], np.ndarray]
Macs = Callable[[Any, Type, Sequence[Type]], int]


def no_macs(attrs: Any, out: Type, ins: Sequence[Type]) -> int:
    """Operators that multiply nothing."""
    return 0


@dataclass(frozen=True)
class OpDef:
    """One row of the operator table.

    `infer(attrs, in_types) -> Type` raises InvalidGraph without the node's name (Node adds it).
    `reference(attrs, out_type, in_types, arrays) -> array` defines what the operator computes.
    `arity` is (least, most) operands; most is a large number where any count goes.
    """

    attrs: type
    arity: tuple[int, int]
    infer: Infer
    reference: Reference
    macs: Macs = no_macs
