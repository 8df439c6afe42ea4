"""Reductions, searches along an axis, norms, detection: attributes.

l2_normalization and log_softmax, along the last axis, take plain Attrs; l2_pool2d takes Pool2d.
"""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import Attrs
from milliwatt.ir.types import Quant


@dataclass(frozen=True)
class Reduce(Attrs):
    """reduce_max, reduce_min and reduce_all over `axes` (sorted, non-negative; none: a copy)."""

    axes: tuple[int, ...]
    keep_dims: bool = False


@dataclass(frozen=True)
class Sum(Attrs):
    """sum over `axes` (sorted, non-negative); `quant` is the result's."""

    axes: tuple[int, ...]
    keep_dims: bool = False
    quant: Quant | None = None


@dataclass(frozen=True)
class Arg(Attrs):
    """arg_max and arg_min: the first place of the extremum along `axis`, which the result lacks."""

    axis: int


@dataclass(frozen=True)
class CumSum(Attrs):
    """cumsum: sums along `axis` up to each element, itself left out where `exclusive`.

    `reverse` sums from the end.
    """

    axis: int
    exclusive: bool = False
    reverse: bool = False
    quant: Quant | None = None


@dataclass(frozen=True)
class Detection(Attrs):
    """detection_postprocess(boxes [1,N,4 or more], scores [1,N,C or C + 1], anchors [N,4]), f32.

    A box is (y, x, h, w) relative to its anchor (y, x, h, w) and scaled by `scales` (y, x, h, w);
    C is `classes`, one more score is the background's, the first. Results, a bundle: boxes [1,M,4]
    as (ymin, xmin, ymax, xmax), classes [1,M], scores [1,M], number found [1]; M is
    `max_detections`; what is not found is 0.

    Of boxes that overlap by more than `iou_threshold` (intersection over union) the one with the
    highest score stays, if that reaches `score_threshold`: each class for itself and at most
    `per_class` of each where `regular`, else each box with its best class alone.
    """

    max_detections: int
    classes: int
    score_threshold: float
    iou_threshold: float
    scales: tuple[float, float, float, float]
    regular: bool = False
    per_class: int = 100
