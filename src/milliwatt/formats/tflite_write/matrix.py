"""TRANSPOSE_CONV, BATCH_MATMUL: nodes as .tflite operators."""

from __future__ import annotations

from typing import Any

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_write.core import fused
from milliwatt.formats.tflite_write.written import Field, Writer, Written
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_SAME, _VALID = 0, 1


def _transpose_conv(node: Node, a: Any) -> Written:
    """SAME where the offset is that of the convolution that would undo the operator."""
    same = []
    for length, span, step in zip(a.size, node.src[1].type.shape[1:3], a.stride, strict=True):
        same.append(max((-(-length // step) - 1) * step + span - length, 0) // 2)
    if a.offset != (0, 0) and a.offset != tuple(same):
        raise InvalidGraph(
            f"{node.name} ({node.op}): offset {list(a.offset)}; {same} (SAME) or [0, 0] (VALID) "
            "wanted; TFLite has no other"
        )
    # LiteRT checks the size that a scheme gives the convolution; SAME wants it of full strides.
    inner = node.src[0].type.shape[1:3]
    full = all(n == -(-s // step) for n, s, step in zip(inner, a.size, a.stride, strict=True))
    options: dict[int, Field] = {
        0: ("b", _SAME if a.offset == tuple(same) and (full or any(same)) else _VALID),
        3: fused(a.clamp, node),
    }
    strides: dict[int, Field] = {1: ("i", a.stride[1]), 2: ("i", a.stride[0])}
    x, weight, *bias = node.src
    if x.type.dtype is DType.S16 and bias and bias[0].type.dtype is DType.S32:
        options[4] = ("b", 2)  # sums of 32 bits, as the bias is
    shape = np.array(node.type.shape, np.int32)
    return Written("TRANSPOSE_CONV", 49, {**options, **strides}, operands=(shape, weight, x, *bias))


def _batch_matmul(node: Node, a: Any) -> Written:
    options: dict[int, Field] = {0: ("B", int(a.transpose_a)), 1: ("B", int(a.transpose_b))}
    return Written("BATCH_MATMUL", 101, options)


WRITERS: dict[Op, Writer] = {
    Op.BATCH_MATMUL: _batch_matmul,
    Op.TRANSPOSE_CONV2D: _transpose_conv,
}
