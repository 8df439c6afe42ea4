"""Reductions, searches along an axis, norms, detection: nodes as .tflite operators."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from flatbuffers import flexbuffers

from milliwatt.formats.tflite_write import core
from milliwatt.formats.tflite_write.written import Writer, Written
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.detection import detection_parts
from milliwatt.ir.types import DType

_INT32 = 2  # a TensorType of the schema


def _reduction(kind: str) -> Writer:
    """The largest of bools is whether any is true, with a name of its own."""

    def write(node: Node, a: Any) -> Written:
        any_true = kind == "REDUCE_MAX" and node.type.dtype is DType.BOOL
        axes = np.array(a.axes, np.int32)
        options = {0: ("B", int(a.keep_dims))}
        return Written("REDUCE_ANY" if any_true else kind, 27, options, (axes,))

    return write


def _arg(kind: str, options_type: int) -> Writer:
    return lambda node, a: Written(
        kind, options_type, {0: ("b", _INT32)}, (np.array(a.axis, np.int32),)
    )


def _cumsum(node: Node, a: Any) -> Written:
    options = {0: ("B", int(a.exclusive)), 1: ("B", int(a.reverse))}
    return Written("CUMSUM", 102, options, (np.array(a.axis, np.int32),))


def _l2_pool(node: Node, a: Any) -> Written:
    return replace(core.WRITERS[Op.AVERAGE_POOL2D](node, a), kind="L2_POOL_2D")


def _detection(node: Node, a: Any) -> Written:
    options = {
        "detections_per_class": a.per_class,
        "h_scale": a.scales[2],
        "max_classes_per_detection": 1,
        "max_detections": a.max_detections,
        "nms_iou_threshold": a.iou_threshold,
        "nms_score_threshold": a.score_threshold,
        "num_classes": a.classes,
        "use_regular_nms": a.regular,
        "w_scale": a.scales[3],
        "x_scale": a.scales[1],
        "y_scale": a.scales[0],
    }
    return Written(
        "TFLite_Detection_PostProcess",
        custom=bytes(flexbuffers.Dumps(options)),
        results=detection_parts(a),
    )


WRITERS: dict[Op, Writer] = {
    Op.SUM: _reduction("SUM"),
    Op.REDUCE_MAX: _reduction("REDUCE_MAX"),
    Op.REDUCE_MIN: _reduction("REDUCE_MIN"),
    Op.REDUCE_ALL: _reduction("REDUCE_ALL"),
    Op.ARG_MAX: _arg("ARG_MAX", 40),
    Op.ARG_MIN: _arg("ARG_MIN", 57),
    Op.CUMSUM: _cumsum,
    Op.L2_POOL2D: _l2_pool,
    Op.L2_NORMALIZATION: lambda node, a: Written("L2_NORMALIZATION", 12, {0: ("b", 0)}),
    Op.LOG_SOFTMAX: lambda node, a: Written("LOG_SOFTMAX", 36),
    Op.DETECTION_POSTPROCESS: _detection,
}
