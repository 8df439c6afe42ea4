"""uint8 models of old: their arithmetic in s8, bit for bit.

A u8 value q with zero point z is the s8 value q - 128 with zero point z - 128. What only moves
values is read as it stands. What computes is read on s8 and turned back where u8 is asked for:
the operators of COMPUTES, whose uint8 kernels in TensorFlow Lite are its int8 kernels, shifted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.attrs import Quantize
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type

MOVES = frozenset(
    """
    BATCH_TO_SPACE_ND BROADCAST_TO CONCATENATION DEPTH_TO_SPACE DEQUANTIZE DYNAMIC_UPDATE_SLICE
    EXPAND_DIMS GATHER GATHER_ND MIRROR_PAD PACK PAD PADV2 QUANTIZE RESHAPE SLICE SPACE_TO_BATCH_ND
    SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TRANSPOSE UNPACK
    """.split()  # noqa: SIM905
)
"""Read on u8, or on s8 where an operand is computed in s8 already."""

RAW = frozenset(
    """
    ASSIGN_VARIABLE CALL_ONCE CAST IF READ_VARIABLE SHAPE VAR_HANDLE WHILE ZEROS_LIKE
    """.split()  # noqa: SIM905
)
"""Read on u8 always: they look at the number itself, or hand it to others."""

COMPUTES = frozenset(
    """
    ADD ARG_MAX ARG_MIN CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MAX_POOL_2D MAXIMUM MINIMUM MUL
    RELU RELU6 RELU_N1_TO_1 SUB TRANSPOSE_CONV EQUAL NOT_EQUAL LESS LESS_EQUAL GREATER GREATER_EQUAL
    AVERAGE_POOL_2D SOFTMAX LOGISTIC TANH MEAN LEAKY_RELU HARD_SWISH PRELU RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR SUM REDUCE_MAX REDUCE_MIN L2_NORMALIZATION
    """.split()  # noqa: SIM905
)
"""Read on s8."""


def is_unsigned(tensor: Tensor) -> bool:
    """True for a quantized u8 value; u8 without a scale is just numbers."""
    return tensor.dtype is DType.U8 and tensor.quant is not None


def signed_quant(quant: Quant) -> Quant:
    """The quantization of the same real values as s8."""
    return replace(quant, zero_point=tuple(point - 128 for point in quant.zero_point))


def signed_tensor(tensor: Tensor) -> Tensor:
    """`tensor` as s8; others are given back."""
    if not is_unsigned(tensor) or tensor.quant is None:
        return tensor
    data = None if tensor.data is None else (tensor.data ^ 0x80).view(np.int8)
    if data is not None:
        data.setflags(write=False)
    return replace(tensor, dtype=DType.S8, quant=signed_quant(tensor.quant), data=data)


def signed_node(node: Node) -> Node:
    """The quantized u8 value of `node` as s8, exact."""
    quant = node.type.quant
    assert quant is not None
    attrs = Quantize(DType.S8, signed_quant(quant))
    if node.op in (Op.QUANTIZE, Op.REQUANTIZE):
        return Node(node.op, node.src, attrs, f"{node.name}.s8")
    return Node(Op.REQUANTIZE, (node,), attrs, f"{node.name}.s8")


def unsigned_node(node: Node, like: Type) -> Node:
    """The s8 value of `node` as the u8 value of type `like`, exact."""
    assert like.quant is not None
    return Node(Op.REQUANTIZE, (node,), Quantize(DType.U8, like.quant), f"{node.name}.u8")
