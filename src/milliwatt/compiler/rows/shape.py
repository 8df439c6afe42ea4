"""Rows of the operators that move bytes, of any type: pad, transpose, concat."""

from __future__ import annotations

import math

import numpy as np

from milliwatt.compiler.rows.row import ANY, Field, Lowered, Row
from milliwatt.compiler.rows.strides import Axis, axes_array, collapse, row_major
from milliwatt.ir.attrs import Concat, Pad, Transpose
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.shape import pad_value


def run_fields(node: Node, axes: list[Axis]) -> tuple[Field, ...]:
    """Runs of adjacent bytes and the loops over them; strides in bytes."""
    itemsize = node.type.dtype.itemsize
    loops = collapse([*axes, (itemsize, 1, 1)])
    run = 1
    if loops and loops[0][1:] == (1, 1):
        run, loops = loops[0][0], loops[1:]
    return (
        ("runs", math.prod(size for size, _, _ in loops)),
        ("run_bytes", run),
        ("rank", len(loops)),
        ("axes", axes_array(loops, node)),
    )


def lower_transpose(node: Node) -> Lowered:
    """transpose: a walk in the order of the result."""
    assert isinstance(node.attrs, Transpose)
    itemsize = node.type.dtype.itemsize
    strides = row_major(node.src[0].type.shape, itemsize)
    ins = [strides[p] for p in node.attrs.perm]
    outs = row_major(node.type.shape, itemsize)
    return Lowered(run_fields(node, list(zip(node.type.shape, ins, outs, strict=True))))


def lower_pad(node: Node) -> Lowered:
    """pad: fill the result, then copy the input into its middle."""
    assert isinstance(node.attrs, Pad)
    x, itemsize = node.src[0].type, node.type.dtype.itemsize
    ins, outs = row_major(x.shape, itemsize), row_major(node.type.shape, itemsize)
    offset = sum(b * s for (b, _), s in zip(node.attrs.paddings, outs, strict=True))
    value = np.array([pad_value(node.attrs, x)], node.type.dtype.numpy).view(np.uint8)
    if len(set(value.tolist())) == 1:
        value = value[:1]
    return Lowered(
        (
            *run_fields(node, list(zip(x.shape, ins, outs, strict=True))),
            ("out_bytes", node.type.nbytes),
            ("out_offset", offset),
            ("value_bytes", value.size),
            ("value", value),
        )
    )


def lower_concat(node: Node) -> Lowered:
    """concat: one run of bytes per operand and row."""
    assert isinstance(node.attrs, Concat)
    axis = node.attrs.axis
    runs = [math.prod(s.type.shape[axis:]) * node.type.dtype.itemsize for s in node.src]
    return Lowered(
        (
            ("count", len(node.src)),
            ("rows", math.prod(node.type.shape[:axis])),
            ("run_bytes", np.array(runs, np.int32)),
        )
    )


ROWS = (
    Row(Op.PAD, ANY, "pad", "pad_params", lower_pad),
    Row(Op.TRANSPOSE, ANY, "transpose", "transpose_params", lower_transpose),
    Row(Op.CONCAT, ANY, "concat", "concat_params", lower_concat, variadic=True),
)
