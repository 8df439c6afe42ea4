"""The last step of object detection: boxes from anchors, overlapping ones suppressed.

Source: TensorFlow Lite's custom operator TFLite_Detection_PostProcess.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.ir.attrs.control import bundle_type, pack_parts
from milliwatt.ir.attrs.reduce import Detection
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.types import DType, Type

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def detection_parts(attrs: Detection) -> tuple[Type, Type, Type, Type]:
    """Results: boxes, classes, scores, number found."""
    most = attrs.max_detections
    shapes = ((1, most, 4), (1, most), (1, most), (1,))
    boxes, classes, scores, count = (Type(shape, DType.F32) for shape in shapes)
    return boxes, classes, scores, count


def infer_detection(attrs: Detection, ins: Types) -> Type:
    """The bundle of detection_parts."""
    boxes, scores, anchors = ins
    for kind, value in zip(("boxes", "scores", "anchors"), ins, strict=True):
        want_dtype(kind, value, DType.F32)
    want(
        len(boxes.shape) == 3 and boxes.shape[0] == 1 and boxes.shape[2] >= 4,
        f"boxes are {boxes.short}; [1,N,4] wanted",
    )
    count, classes = boxes.shape[1], attrs.classes
    want(classes >= 1, f"{classes} classes; 1 or more wanted")
    want(
        scores.shape in ((1, count, classes), (1, count, classes + 1)),
        f"scores are {scores.short}; [1,{count},{classes}] wanted, or one more for the background",
    )
    want(anchors.shape == (count, 4), f"anchors are {anchors.short}; [{count},4] wanted")
    want(
        attrs.max_detections >= 1 and attrs.per_class >= 1,
        f"at most {attrs.max_detections} detections, {attrs.per_class} of a class; 1 or more "
        "wanted",
    )
    want(
        0 < attrs.iou_threshold <= 1,
        f"threshold of overlap is {attrs.iou_threshold:g}; more than 0, at most 1 wanted",
    )
    want(all(attrs.scales), f"scales are {list(attrs.scales)}; none of 0 wanted")
    return bundle_type(detection_parts(attrs))[0]


def _corners(attrs: Detection, boxes: np.ndarray, anchors: np.ndarray) -> np.ndarray:
    """(ymin, xmin, ymax, xmax) of each box, f32 [N,4]; in double until the corners."""
    scales = np.array(attrs.scales, np.float32).astype(np.float64)
    raw, anchor = boxes[:, :4].astype(np.float64) / scales, anchors.astype(np.float64)
    centre = (raw[:, :2] * anchor[:, 2:] + anchor[:, :2]).astype(np.float32)
    half = (0.5 * np.exp(raw[:, 2:]) * anchor[:, 2:]).astype(np.float32)
    return np.concatenate([centre - half, centre + half], axis=1)


def _overlaps(corners: np.ndarray, one: int) -> np.ndarray:
    """Intersection over union of box `one` and every other, f32 [N]; 0 for boxes without area."""
    sides = corners[:, 2:] - corners[:, :2]
    areas = sides[:, 0] * sides[:, 1]
    low = np.maximum(corners[:, :2], corners[one, :2])
    high = np.minimum(corners[:, 2:], corners[one, 2:])
    both = np.maximum(high - low, np.float32(0)).prod(axis=1)
    ratio: np.ndarray = both / (areas[one] + areas - both)
    return np.where((areas <= 0) | (areas[one] <= 0), np.float32(0), ratio)


def _suppress(attrs: Detection, corners: np.ndarray, scores: np.ndarray, most: int) -> list[int]:
    """The boxes that stay, highest score first, of equal ones the first; at most `most`."""
    order = np.argsort(-scores, kind="stable")
    left = [int(box) for box in order if scores[box] >= np.float32(attrs.score_threshold)]
    found: list[int] = []
    while left and len(found) < most:
        found.append(left[0])
        overlaps = _overlaps(corners, left[0]) > np.float32(attrs.iou_threshold)
        left = [box for box in left[1:] if not overlaps[box]]
    return found


def run_detection(attrs: Detection, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    """See Detection."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        corners = _corners(attrs, args[0][0], args[2])
        scores = args[1][0, :, args[1].shape[2] - attrs.classes :]
        # (score, box, class), highest score first, of equal ones the first found.
        found: list[tuple[np.float32, int, int]] = []
        if attrs.regular:
            for at in range(attrs.classes):
                kept = _suppress(attrs, corners, scores[:, at], attrs.per_class)
                found += [(scores[box, at], box, at) for box in kept]
                found = sorted(found, key=lambda item: -item[0])[: attrs.max_detections]
        else:
            best = np.argmax(np.where(np.isnan(scores), -np.inf, scores), axis=1)
            highest = scores[np.arange(len(best)), best]
            kept = _suppress(attrs, corners, highest, attrs.max_detections)
            found = [(highest[box], box, int(best[box])) for box in kept]
    made = [np.zeros(kind.shape, np.float32) for kind in detection_parts(attrs)]
    for place, (score, box, at) in enumerate(found):
        made[0][0, place], made[1][0, place], made[2][0, place] = corners[box], at, score
    made[3][0] = len(found)
    return pack_parts(tuple(made))
