"""The version of each operator that its operands ask for; LiteRT refuses operators that say less.

Facts from TensorFlow Lite's `tools/versioning/op_version.cc`.
"""

from __future__ import annotations

from collections.abc import Sequence

from milliwatt.formats.tflite_write.written import Written
from milliwatt.ir.types import DType, Type

_S8_2 = {DType.S8: 2}
_S8_2_S16_3 = {DType.S8: 2, DType.S16: 3}
_S8_2_S16_4 = {DType.S8: 2, DType.S16: 4}
_BOTH_2 = {DType.S8: 2, DType.S16: 2}
# By the type of the first operand; 1 for types that are not listed.
_BY_OPERAND: dict[str, dict[DType, int]] = {
    "ABS": {DType.S8: 2, DType.U8: 2, DType.S16: 3, DType.S32: 5},
    "ADD": {DType.S8: 2, DType.S16: 3, DType.S64: 4},
    "ARG_MAX": {DType.S8: 2, DType.BOOL: 3},
    "ARG_MIN": {DType.S8: 2, DType.BOOL: 3},
    "AVERAGE_POOL_2D": _S8_2_S16_3,
    "BATCH_MATMUL": _S8_2_S16_3,
    "BATCH_TO_SPACE_ND": _S8_2_S16_4,
    "CONCATENATION": {**_S8_2_S16_3, DType.U32: 4},
    "CONV_2D": {DType.S8: 3, DType.S16: 4},
    "DEPTHWISE_CONV_2D": {DType.S8: 3, DType.S16: 5},
    "DEPTH_TO_SPACE": _S8_2,
    "DEQUANTIZE": {DType.S8: 2, DType.S16: 3, DType.F16: 3, DType.S4: 6},
    "EQUAL": _S8_2_S16_4,
    "EXP": _BOTH_2,
    "FLOOR_DIV": {DType.F32: 2, DType.S8: 3, DType.S16: 3},
    "FLOOR_MOD": _BOTH_2,
    "FULLY_CONNECTED": {DType.S8: 4, DType.S16: 7},
    "GATHER": {DType.S8: 2, DType.BOOL: 3, DType.S16: 4, DType.S4: 7},
    "GATHER_ND": {DType.S16: 3, DType.BOOL: 5},
    "GREATER": _S8_2,
    "GREATER_EQUAL": _S8_2_S16_3,
    "L2_NORMALIZATION": _S8_2,
    "LEAKY_RELU": {DType.S16: 2},
    "LESS": _S8_2_S16_3,
    "LESS_EQUAL": _S8_2,
    "LOG": _BOTH_2,
    "LOGISTIC": _S8_2_S16_3,
    "LOG_SOFTMAX": _S8_2,
    "MAXIMUM": _S8_2_S16_4,
    "MAX_POOL_2D": _S8_2_S16_3,
    "MEAN": _S8_2_S16_3,
    "MINIMUM": _S8_2_S16_4,
    "MIRROR_PAD": _S8_2_S16_3,
    "MUL": {DType.S8: 3, DType.S16: 4, DType.S64: 5, DType.U32: 7},
    "NOT_EQUAL": _S8_2,
    "PACK": {**_S8_2_S16_3, DType.U32: 4},
    "PAD": _S8_2_S16_3,
    "PADV2": _S8_2_S16_3,
    "REDUCE_MAX": _S8_2_S16_3,
    "REDUCE_MIN": _S8_2_S16_3,
    "RELU": {DType.S8: 2, DType.U8: 2, DType.S16: 3},
    "RELU6": _S8_2_S16_3,
    "RESIZE_BILINEAR": _S8_2_S16_4,
    "RESIZE_NEAREST_NEIGHBOR": _S8_2_S16_4,
    "REVERSE_V2": {DType.BOOL: 2, DType.S8: 3},
    "RSQRT": _S8_2_S16_3,
    "SLICE": {DType.S8: 2, DType.S16: 4, DType.U32: 6},
    "SOFTMAX": _S8_2_S16_3,
    "SPACE_TO_BATCH_ND": _S8_2_S16_4,
    "SPACE_TO_DEPTH": _S8_2,
    "SPLIT": {DType.S8: 2, DType.S32: 3, DType.S16: 4},
    "SPLIT_V": _S8_2,
    "SQUARED_DIFFERENCE": _S8_2,
    "STRIDED_SLICE": {DType.S8: 2, DType.BOOL: 3, DType.U32: 7},
    "SUB": {DType.S8: 2, DType.S64: 4, DType.S16: 5},
    "SUM": _S8_2,
    "SVDF": {DType.S8: 3},
    "TANH": _S8_2_S16_3,
    "TILE": {DType.S8: 3},
    "TRANSPOSE": {DType.S8: 2, DType.BOOL: 3, DType.S16: 5},
    "TRANSPOSE_CONV": _S8_2,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": {DType.S16: 5},
    "UNPACK": {DType.S8: 2, DType.U8: 2, DType.BOOL: 3, DType.S16: 4},
}
# The operand whose type counts, where it is not the first.
_OPERAND = {"SPLIT": 1, "TRANSPOSE_CONV": 1}
_INT4_WEIGHT = {"CONV_2D": 7, "DEPTHWISE_CONV_2D": 7, "FULLY_CONNECTED": 10}
# Operands of more than 4 axes.
_MANY_AXES = {
    "MAXIMUM": 3,
    "MINIMUM": 3,
    "PAD": 4,
    "PADV2": 4,
    "SLICE": 5,
    "STRIDED_SLICE": 4,
    "SUB": 3,
    "TRANSPOSE": 4,
}
_CAST = {DType.U32: 2, DType.S8: 3, DType.F16: 5, DType.S4: 6}
_STRIDED_SLICE_ELLIPSIS, _STRIDED_SLICE_NEW_AXIS = 2, 3


def version(written: Written, operands: Sequence[Type | None], result: Type) -> int:
    """The least version that has what the operator uses; `operands` as in the file."""
    kind = written.kind
    if written.custom is not None:
        return 1
    types = [operand.dtype for operand in operands if operand is not None]
    first = types[min(_OPERAND.get(kind, 0), len(types) - 1)] if types else None
    found = [1, _BY_OPERAND.get(kind, {}).get(first, 1) if first else 1]
    if DType.S4 in types[1:2]:
        found.append(_INT4_WEIGHT.get(kind, 1))
    if any(operand is not None and len(operand.shape) > 4 for operand in operands):
        found.append(_MANY_AXES.get(kind, 1))
    found.append(_by_option(written, operands, result))
    return max(found)


def _by_option(written: Written, operands: Sequence[Type | None], result: Type) -> int:
    """What an option or the number of operands asks for."""
    kind, options = written.kind, written.options

    def given(field: int) -> bool:
        return field in options and bool(options[field][1])

    if kind == "FULLY_CONNECTED":
        if given(4):  # the bias and the sums in 32 bits
            return 11
        no_bias = len(operands) < 3 or operands[2] is None
        return 6 if no_bias else 5 if given(2) else 1
    if kind == "CONV_2D":
        return 8 if given(6) else 1
    if kind == "DEPTHWISE_CONV_2D" and any(options[f][1] != 1 for f in (5, 6)):
        return 2
    if kind == "TRANSPOSE_CONV":
        return 5 if given(4) else 4 if given(3) else 3 if len(operands) > 3 else 1
    if kind == "STRIDED_SLICE":
        return 6 if given(_STRIDED_SLICE_ELLIPSIS) or given(_STRIDED_SLICE_NEW_AXIS) else 1
    if kind == "RESIZE_BILINEAR":
        return 3 if given(3) else 1
    if kind == "RESIZE_NEAREST_NEIGHBOR":
        return 3 if given(0) or given(1) else 1
    if kind == "GATHER":
        return 5 if given(1) else 1
    if kind == "QUANTIZE":
        return 2 if result.dtype is DType.S16 else 1
    if kind == "CAST":
        source = [operand.dtype for operand in operands if operand is not None]
        return max(_CAST.get(dtype, 1) for dtype in (*source, result.dtype))
    if kind == "BROADCAST_TO":
        quantized = operands[0] is not None and operands[0].dtype in (DType.S8, DType.S16)
        return 3 if quantized else 2
    return 1
