"""Rows of: reductions, searches along an axis, norms, detection."""

from __future__ import annotations

import math

import numpy as np

from milliwatt.compiler.rows.pool import lower_pool, reduction_fields
from milliwatt.compiler.rows.results import check_scaled, reach, s8_result
from milliwatt.compiler.rows.row import Field, Lowered, Row
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.attrs.control import bundle_type
from milliwatt.ir.attrs.reduce import Arg, CumSum, Detection, Reduce, Sum
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.activation import SUM_BITS, softmax_exp_table
from milliwatt.ir.ops.detection import detection_parts
from milliwatt.ir.ops.reduce import cumsum_multiplier, log_softmax_scaling, sum_multiplier
from milliwatt.ir.types import DType


def lower_sum(node: Node) -> Lowered:
    """sum over any axes: a mean whose multiplier does not divide."""
    assert isinstance(node.attrs, Sum)
    x, out = node.src[0].type, node.type
    multiplier, shift = sum_multiplier(out, x)
    check_scaled(node, reach(x) * (x.size // out.size), shift)
    return Lowered(
        (
            *reduction_fields(node, node.attrs.axes),
            ("in_zero_point", x.zero_point),
            ("multiplier", multiplier),
            ("shift", shift),
            *s8_result(out, NO_CLAMP),
        )
    )


def lower_sum_f32(node: Node) -> Lowered:
    """sum over any axes in float32."""
    assert isinstance(node.attrs, Sum)
    return Lowered(reduction_fields(node, node.attrs.axes))


_LARGEST = (Op.REDUCE_MAX, Op.ARG_MAX)


def _turned(node: Node) -> Field:
    """What turns a search for the largest into one for the smallest."""
    largest = node.op in _LARGEST
    if node.src[0].type.dtype.is_float:
        return ("sign", 1.0 if largest else -1.0)
    return ("flip", 0 if largest else -1)


def lower_extremum(node: Node) -> Lowered:
    """reduce_max, reduce_min, reduce_all."""
    assert isinstance(node.attrs, Reduce)
    return Lowered((*reduction_fields(node, node.attrs.axes), _turned(node)))


def _along(node: Node, axis: int) -> tuple[Field, ...]:
    """The members of MW_ALONG."""
    shape = node.src[0].type.shape
    return (
        ("outer", math.prod(shape[:axis])),
        ("size", shape[axis]),
        ("inner", math.prod(shape[axis + 1 :])),
    )


def lower_arg(node: Node) -> Lowered:
    """arg_max and arg_min."""
    assert isinstance(node.attrs, Arg)
    return Lowered((*_along(node, node.attrs.axis), _turned(node)))


def lower_cumsum(node: Node) -> Lowered:
    """cumsum; in s8 at the result's scale."""
    attrs = node.attrs
    assert isinstance(attrs, CumSum)
    fields = (
        *_along(node, attrs.axis),
        ("exclusive", int(attrs.exclusive)),
        ("reverse", int(attrs.reverse)),
    )
    if node.type.dtype.is_float:
        return Lowered(fields)
    multiplier, shift = cumsum_multiplier(node.type, node.src[0].type)
    scaled = (
        ("in_zero_point", node.src[0].type.zero_point),
        ("multiplier", multiplier),
        ("shift", shift),
    )
    return Lowered((*fields, *scaled, *s8_result(node.type, NO_CLAMP)))


def _rows(node: Node, most: int | None = None) -> tuple[Field, ...]:
    """rows and row; UnsupportedOp for rows of more than `most` values."""
    row = node.type.shape[-1]
    if most is not None and row > most:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): rows of {row} values; at most {most} wanted; keep it in f32"
        )
    return (("rows", node.type.size // row), ("row", row))


def lower_rows_f32(node: Node) -> Lowered:
    """A norm along the last axis in float32."""
    return Lowered(_rows(node))


def lower_l2_normalization_s8(node: Node) -> Lowered:
    """l2_normalization; a row's sum of squares stays in 31 bits."""
    x = node.src[0].type
    rows = _rows(node, (2**31 - 1) // reach(x) ** 2)
    return Lowered((*rows, ("in_zero_point", x.zero_point)))


def lower_log_softmax_s8(node: Node) -> Lowered:
    """log_softmax with its exponentials tabulated up to the last one that is not 0.

    Raises: UnsupportedOp for a row whose sum of exponentials, each up to 1, may leave 12 bits.
    """
    scale = node.src[0].type.scale
    table = softmax_exp_table(1.0, scale)
    entries = int(np.flatnonzero(table)[-1]) + 1
    (multiplier, shift), (back, back_shift), radius = log_softmax_scaling(scale)
    return Lowered(
        (
            *_rows(node, 2**SUM_BITS - 1),
            ("multiplier", multiplier),
            ("shift", shift),
            ("back_multiplier", back),
            ("back_shift", back_shift),
            ("radius", radius),
            ("entries", entries),
            ("exp", table[:entries].astype(np.int32)),
        )
    )


def lower_detection(node: Node) -> Lowered:
    """detection_postprocess: corners, scores and what is left in the workspace."""
    attrs = node.attrs
    assert isinstance(attrs, Detection)
    boxes, scores = node.src[0].type, node.src[1].type
    count, item = boxes.shape[1], DType.F32.itemsize
    bundle, offsets = bundle_type(detection_parts(attrs))
    scales = (float(np.float32(scale)) for scale in attrs.scales)
    return Lowered(
        (
            ("count", count),
            ("stride", boxes.shape[2]),
            ("classes", attrs.classes),
            ("columns", scores.shape[2]),
            ("regular", int(attrs.regular)),
            ("per_class", attrs.per_class),
            ("most", attrs.max_detections),
            ("score_threshold", float(np.float32(attrs.score_threshold))),
            ("iou_threshold", float(np.float32(attrs.iou_threshold))),
            *zip(("y_scale", "x_scale", "h_scale", "w_scale"), scales, strict=True),
            ("classes_at", offsets[1] // item),
            ("scores_at", offsets[2] // item),
            ("found_at", offsets[3] // item),
            ("end", bundle.nbytes // item),
        ),
        workspace_bytes=(5 * item + 1) * count,
    )


_ROWS = "rows_params"
ROWS: tuple[Row, ...] = (
    Row(Op.SUM, ("f32", "f32"), "sum_f32", "sum_f32_params", lower_sum_f32),
    *(
        Row(Op.SUM, (kind, kind), f"mean_{kind}", "mean_s8_params", lower_sum)
        for kind in ("s8", "s16")
    ),
    *(
        Row(
            op,
            (kind, kind),
            f"reduce_extremum_{kind}",
            f"reduce_extremum{'_f32' * (kind == 'f32')}_params",
            lower_extremum,
        )
        for op, kinds in (
            (Op.REDUCE_MAX, ("f32", "s8", "s16", "s32", "bool")),
            (Op.REDUCE_MIN, ("f32", "s8", "s16", "s32")),
            (Op.REDUCE_ALL, ("bool",)),
        )
        for kind in kinds
    ),
    *(
        Row(
            op,
            (kind, "s32"),
            f"arg_extremum_{kind}",
            f"arg_extremum{'_f32' * (kind == 'f32')}_params",
            lower_arg,
        )
        for op in (Op.ARG_MAX, Op.ARG_MIN)
        for kind in ("f32", "s8", "s32")
    ),
    *(
        Row(
            Op.CUMSUM,
            (kind, kind),
            f"cumsum_{kind}",
            f"cumsum_{kind}_params",
            lower_cumsum,
            inplace=(0,),
        )
        for kind in ("f32", "s8")
    ),
    Row(Op.L2_POOL2D, ("f32", "f32"), "l2_pool2d_f32", "pool2d_f32_params", lower_pool),
    *(
        Row(op, ("f32", "f32"), f"{op}_f32", _ROWS, lower_rows_f32, inplace=(0,))
        for op in (Op.L2_NORMALIZATION, Op.LOG_SOFTMAX)
    ),
    *(
        Row(op, ("s8", "s8"), f"{op}_s8", f"{op}_s8_params", lower, inplace=(0,))
        for op, lower in (
            (Op.L2_NORMALIZATION, lower_l2_normalization_s8),
            (Op.LOG_SOFTMAX, lower_log_softmax_s8),
        )
    ),
    Row(
        Op.DETECTION_POSTPROCESS,
        ("f32", "u8"),
        "detection_postprocess_f32",
        "detection_postprocess_f32_params",
        lower_detection,
    ),
)
