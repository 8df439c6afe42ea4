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
    STATE = "state"
    # convolutions and matrix products
    CONV2D = "conv2d"
    DEPTHWISE_CONV2D = "depthwise_conv2d"
    FULLY_CONNECTED = "fully_connected"
    CONV2D_ADD = "conv2d_add"
    BY_ROWS = "by_rows"
    TRANSPOSE_CONV2D = "transpose_conv2d"
    BATCH_MATMUL = "batch_matmul"
    # pooling and reduction
    MAX_POOL2D = "max_pool2d"
    AVERAGE_POOL2D = "average_pool2d"
    L2_POOL2D = "l2_pool2d"
    MEAN = "mean"
    SUM = "sum"
    REDUCE_MAX = "reduce_max"
    REDUCE_MIN = "reduce_min"
    REDUCE_ALL = "reduce_all"
    ARG_MAX = "arg_max"
    ARG_MIN = "arg_min"
    CUMSUM = "cumsum"
    # elementwise, two operands
    ADD = "add"
    SUB = "sub"
    MUL = "mul"
    DIV = "div"
    FLOOR_DIV = "floor_div"
    FLOOR_MOD = "floor_mod"
    MAXIMUM = "maximum"
    MINIMUM = "minimum"
    SQUARED_DIFFERENCE = "squared_difference"
    PRELU = "prelu"
    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    LESS = "less"
    LESS_EQUAL = "less_equal"
    GREATER = "greater"
    GREATER_EQUAL = "greater_equal"
    LOGICAL_AND = "logical_and"
    LOGICAL_OR = "logical_or"
    # elementwise, three operands or more
    ADD_N = "add_n"
    SELECT = "select"
    # elementwise, one operand
    CLAMP = "clamp"
    LOGISTIC = "logistic"
    TANH = "tanh"
    ABS = "abs"
    NEG = "neg"
    EXP = "exp"
    LOG = "log"
    SIN = "sin"
    COS = "cos"
    SQRT = "sqrt"
    RSQRT = "rsqrt"
    SQUARE = "square"
    SIGN = "sign"
    FLOOR = "floor"
    CEIL = "ceil"
    ROUND = "round"
    ELU = "elu"
    GELU = "gelu"
    HARD_SWISH = "hard_swish"
    LEAKY_RELU = "leaky_relu"
    LOGICAL_NOT = "logical_not"
    LOOKUP = "lookup"
    # along one axis
    SOFTMAX = "softmax"
    LOG_SOFTMAX = "log_softmax"
    L2_NORMALIZATION = "l2_normalization"
    # shape
    PAD = "pad"
    RESHAPE = "reshape"
    TRANSPOSE = "transpose"
    CONCAT = "concat"
    STRIDED_SLICE = "strided_slice"
    BROADCAST_TO = "broadcast_to"
    MIRROR_PAD = "mirror_pad"
    GATHER = "gather"
    GATHER_ND = "gather_nd"
    DYNAMIC_UPDATE_SLICE = "dynamic_update_slice"
    SHIFT_IN = "shift_in"
    RESIZE_BILINEAR = "resize_bilinear"
    RESIZE_NEAREST = "resize_nearest"
    # element type
    QUANTIZE = "quantize"
    DEQUANTIZE = "dequantize"
    REQUANTIZE = "requantize"
    CAST = "cast"
    # recurrent
    SVDF_STATE = "svdf_state"
    SVDF = "svdf"
    LSTM = "lstm"
    SCAN = "scan"
    # audio front end
    WINDOW = "window"
    RFFT = "rfft"
    IRFFT = "irfft"
    FFT_AUTO_SCALE = "fft_auto_scale"
    ENERGY = "energy"
    FILTER_BANK = "filter_bank"
    FILTER_BANK_SQUARE_ROOT = "filter_bank_square_root"
    SPECTRAL_SUBTRACTION = "spectral_subtraction"
    PCAN = "pcan"
    FILTER_BANK_LOG = "filter_bank_log"
    OVERLAP_ADD = "overlap_add"
    # several results, control flow
    PART = "part"
    IF = "if"
    WHILE = "while"
    DETECTION_POSTPROCESS = "detection_postprocess"

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
