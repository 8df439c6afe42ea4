"""TRANSPOSE_CONV, BATCH_MATMUL: .tflite operators as nodes."""

from __future__ import annotations

import numpy as np

from milliwatt.formats.tflite_read.core import window_padding
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType


def _transpose_conv(site: Site) -> Node:
    """Operands are the result's shape, the weight, the input and perhaps a bias.

    The padding is that of the convolution that would take the result to the input. Converters
    compute the shape from the batch at run time; then the declared one holds, as in TFLM.
    """
    if site.operand(0).is_constant:
        shape = [int(size) for size in site.parameter(0).reshape(-1)]
    else:
        shape = list(site.out.shape)
    weight, x, bias = site.operand(1), site.operand(2), site.optional(3)
    if len(shape) != 4 or len(weight.type.shape) != 4:
        site.fail(f"result {shape} of weight {weight.type.short}; 4 axes of both wanted")
    size, stride = (shape[1], shape[2]), (site.option(2, "i"), site.option(1, "i"))
    kernel = (weight.type.shape[1], weight.type.shape[2])
    top, _, left, _ = window_padding(site, size, kernel, stride, (1, 1))
    attrs = TransposeConv2d(size, stride, (top, left), site.clamp(3), site.out.quant)
    if bias is not None and bias.is_constant and bias.type.dtype is DType.S16:
        # Old 16x8 models have biases of 16 bits, which are summed in 64.
        bias = constant(bias.value.astype(np.int64), f"{site.name}.bias", bias.type.quant)
    src = (x, weight) if bias is None else (x, weight, bias)
    return site.node(Op.TRANSPOSE_CONV2D, src, attrs)


def _batch_matmul(site: Site) -> Node:
    attrs = BatchMatmul(site.option(0, "B") != 0, site.option(1, "B") != 0, site.out.quant)
    return site.node(Op.BATCH_MATMUL, (site.operand(0), site.operand(1)), attrs)


READERS: dict[str, tuple[int, Reader]] = {
    "BATCH_MATMUL": (101, _batch_matmul),
    "TRANSPOSE_CONV": (49, _transpose_conv),
}
