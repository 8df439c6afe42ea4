"""Reductions, searches along an axis, norms, detection: .tflite operators as nodes."""

from __future__ import annotations

import numpy as np

from milliwatt.formats.tflite_read.core import window_padding
from milliwatt.formats.tflite_read.moves import axis_of, known, numbers
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import NO_CLAMP, Attrs, Pool2d
from milliwatt.ir.attrs.pointwise import Cast
from milliwatt.ir.attrs.reduce import Arg, CumSum, Detection, Reduce, Sum
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.detection import detection_parts
from milliwatt.ir.types import DType


def _axes(site: Site) -> tuple[int, ...]:
    """The list of axes, or one as a scalar: made non-negative, sorted and free of repeats."""
    rank = len(site.operand(0).type.shape)
    if rank == 0:  # TFLite ignores them
        return ()
    return tuple(sorted({axis_of(site, axis, rank) for axis in numbers(site, 1)}))


def _reduction(op: Op, dtype: DType | None = None) -> Reader:
    """A reduction that keeps the quantization; of `dtype` alone where that is given."""

    def read(site: Site) -> Node:
        x, attrs = site.operand(0), Reduce(_axes(site), site.option(0, "B") != 0)
        if dtype is not None and x.type.dtype is not dtype:
            site.unsupported(f"input is {x.type.short}; {dtype} wanted")
        return known(site.node(op, (x,), attrs))

    return read


def _sum(site: Site) -> Node:
    attrs = Sum(_axes(site), site.option(0, "B") != 0, site.out.quant)
    return site.node(Op.SUM, (site.operand(0),), attrs)


def _axis(site: Site) -> int:
    """The one axis of operand 1."""
    return axis_of(site, numbers(site, 1, 1)[0], len(site.operand(0).type.shape))


def _arg(op: Op) -> Reader:
    """The places are s32; where the file asks for s64, a cast follows."""

    def read(site: Site) -> Node:
        x, attrs = site.operand(0), Arg(_axis(site))
        if site.out.dtype is not DType.S64:
            return site.node(op, (x,), attrs)
        narrow = site.node(op, (x,), attrs, ".s32")
        return site.node(Op.CAST, (narrow,), Cast(DType.S64))

    return read


def _cumsum(site: Site) -> Node:
    flags = (site.option(0, "B") != 0, site.option(1, "B") != 0)
    return site.node(Op.CUMSUM, (site.operand(0),), CumSum(_axis(site), *flags, site.out.quant))


def _l2_pool(site: Site) -> Node:
    x = site.operand(0)
    if len(x.type.shape) != 4:
        site.fail(f"input is {x.type.short}; 4 axes [N,H,W,C] wanted")
    kernel = (site.option(4, "i"), site.option(3, "i"))
    stride = (site.option(2, "i"), site.option(1, "i"))
    size = (x.type.shape[1], x.type.shape[2])
    padding = window_padding(site, size, kernel, stride, (1, 1))
    return site.node(Op.L2_POOL2D, (x,), Pool2d(kernel, stride, padding, site.clamp(5)))


def _l2_normalization(site: Site) -> Node:
    if site.clamp(0) != NO_CLAMP:
        site.unsupported("a fused activation; NONE wanted, as in TensorFlow Lite")
    return site.node(Op.L2_NORMALIZATION, (site.operand(0),), Attrs())


def _log_softmax(site: Site) -> Node:
    return site.node(Op.LOG_SOFTMAX, (site.operand(0),), Attrs())


def _real(site: Site, index: int, name: str) -> Node:
    """An operand in f32: TensorFlow Lite takes u8 too, and computes on its real values."""
    x = site.operand(index)
    if x.type.dtype is not DType.U8 or x.type.quant is None:
        return x
    return site.node(Op.DEQUANTIZE, (x,), Attrs(), f".{name}")


def _detection(site: Site) -> tuple[Node, ...]:
    held = site.custom_options()

    def whole(name: str, default: int | None = None) -> int:
        value = held.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or not 0 <= value < 1 << 31:
            site.fail(f"option {name} is {value!r}; an integer from 0 to 2^31 - 1 wanted")
        return int(value)

    def real(name: str) -> float:
        value = held.get(name)
        if not isinstance(value, int | float) or not abs(value) <= np.finfo(np.float32).max:
            site.fail(f"option {name} is {value!r}; a number wanted")
        return float(np.float32(value))

    classes, regular = whole("num_classes"), whole("use_regular_nms", 0) != 0
    attrs = Detection(
        whole("max_detections"),
        classes,
        real("nms_score_threshold"),
        real("nms_iou_threshold"),
        (real("y_scale"), real("x_scale"), real("h_scale"), real("w_scale")),
        regular,
        whole("detections_per_class", 100) if regular else 100,
    )
    each = min(whole("max_classes_per_detection"), classes)
    if each != 1 and not regular:
        # TensorFlow Lite's own kernel writes beyond its results there.
        site.unsupported(f"{each} classes of each detection; 1 wanted, or use_regular_nms")
    src = tuple(_real(site, at, name) for at, name in enumerate(("boxes", "scores", "anchors")))
    return site.parts(Op.DETECTION_POSTPROCESS, src, attrs, detection_parts(attrs))


# Operator -> (type number of its options table, reader). 0: the operator has no options to read.
READERS: dict[str, tuple[int, Reader]] = {
    "ARG_MAX": (40, _arg(Op.ARG_MAX)),
    "ARG_MIN": (57, _arg(Op.ARG_MIN)),
    "CUMSUM": (102, _cumsum),
    "L2_NORMALIZATION": (12, _l2_normalization),
    "L2_POOL_2D": (5, _l2_pool),
    "LOG_SOFTMAX": (0, _log_softmax),
    "REDUCE_ALL": (27, _reduction(Op.REDUCE_ALL)),
    "REDUCE_ANY": (27, _reduction(Op.REDUCE_MAX, DType.BOOL)),
    "REDUCE_MAX": (27, _reduction(Op.REDUCE_MAX)),
    "REDUCE_MIN": (27, _reduction(Op.REDUCE_MIN)),
    "SUM": (27, _sum),
    "TFLite_Detection_PostProcess": (0, _detection),
}
