"""uint8 models of old: their arithmetic in s8, bit for bit.

A u8 value q with zero point z is the s8 value q - 128 with zero point z - 128. What only moves
values is read as it stands. What computes is read on s8 and turned back where u8 is asked for:
the operators of COMPUTES, whose uint8 kernels in TensorFlow Lite are its int8 kernels, shifted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from milliwatt.formats.tflite_read.site import Site
from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.attrs import Pool2d, Quantize
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.types import DType, Quant, Type

MOVES = frozenset(
    """
    BATCH_TO_SPACE_ND BROADCAST_TO CONCATENATION DEPTH_TO_SPACE DEQUANTIZE DYNAMIC_UPDATE_SLICE
    EXPAND_DIMS FILL GATHER GATHER_ND MIRROR_PAD PACK PAD PADV2 QUANTIZE RESHAPE REVERSE_V2 SLICE
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TRANSPOSE UNPACK
    """.split()  # noqa: SIM905
)
"""Read on u8, or on s8 where an operand is computed in s8 already."""

RAW = frozenset(
    """
    ASSIGN_VARIABLE CALL_ONCE CAST IF RANK READ_VARIABLE SHAPE TFLite_Detection_PostProcess
    VAR_HANDLE WHILE ZEROS_LIKE
    """.split()  # noqa: SIM905
)
"""Read on u8 always: they look at the number itself, hand it to others, or make it real first."""

COMPUTES = frozenset(
    """
    ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D CONV_2D DEPTHWISE_CONV_2D EQUAL FULLY_CONNECTED GREATER
    GREATER_EQUAL HARD_SWISH LEAKY_RELU LESS LESS_EQUAL LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM
    MUL NOT_EQUAL PRELU REDUCE_MAX REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESIZE_NEAREST_NEIGHBOR
    SOFTMAX SUB SUM TANH TRANSPOSE_CONV
    """.split()  # noqa: SIM905
)
"""Read on s8. FULLY_CONNECTED multiplies the scales in float32 as TFLM does, TensorFlow Lite in
double for uint8: one result in a hundred may be off by one there."""


def check_equal(site: Site, node: Node) -> None:
    """Refuse where the s8 result `node` is not that of TensorFlow Lite's uint8 kernel."""
    if isinstance(node.attrs, Pool2d) and node.op is Op.AVERAGE_POOL2D:
        height, width = node.attrs.kernel
        if any(node.attrs.padding) or height * width % 2 == 0:
            site.unsupported(
                f"averages of {height} x {width} values on uint8 round halves up, on int8 away "
                "from zero; convert the model again with int8 inputs and outputs"
            )
    if node.op in (Op.LOGISTIC, Op.TANH) and not _as_float_table(node):
        site.unsupported(
            f"input scale {node.src[0].type.scale:g} on uint8 gives other results than on int8; "
            "convert the model again with int8 inputs and outputs"
        )


def _as_float_table(node: Node) -> bool:
    """True where logistic or tanh gives for all 256 inputs what float32 arithmetic gives."""
    x = Type((256,), DType.S8, node.src[0].type.quant)
    out = Type((256,), DType.S8, node.type.quant)
    inputs = np.arange(-128, 128).astype(np.int8)
    with np.errstate(over="ignore"):
        real = np.float32(x.scale) * (inputs.astype(np.float32) - np.float32(x.zero_point))
        exact = np.tanh(real) if node.op is Op.TANH else 1 / (1 + np.exp(-real))
    return bool(
        np.array_equal(
            OPS[node.op].reference(node.attrs, out, [x], [inputs]),
            quantize_array(exact.astype(np.float32), out),
        )
    )


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
