"""Draws of the family `reduce`."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.attrs import Attrs, Pool2d, Reshape
from milliwatt.ir.attrs.pointwise import Pointwise
from milliwatt.ir.attrs.reduce import Arg, CumSum, Detection, Reduce, Sum
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.detection import detection_parts
from milliwatt.ir.types import DType
from support.ops.core import (
    Draw,
    Rng,
    random_values,
    size,
    some_clamp,
    some_input,
    some_quant,
    some_shape,
    some_window,
)

F32, S8, S16, S32, BOOL = DType.F32, DType.S8, DType.S16, DType.S32, DType.BOOL


def _input(rng: Rng, dtype: DType, shape: tuple[int, ...]) -> Node:
    """An input; s32 are plain numbers."""
    return graph_input(shape, dtype, "x", None if dtype is S32 else some_quant(rng, dtype))


def _axes(rng: Rng, rank: int) -> tuple[int, ...]:
    """Some axes, now and then none."""
    count = size(rng, 1, rank) if rng.random() < 0.9 else 0
    return tuple(sorted(int(a) for a in rng.choice(rank, count, replace=False)))


def _sum(rng: Rng, dtype: DType) -> Node:
    x = some_input(rng, dtype, some_shape(rng))
    axes = _axes(rng, len(x.type.shape))
    quant = some_quant(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-3, 5))
    return Node(Op.SUM, (x,), Sum(axes, bool(rng.random() < 0.5), quant), "y")


def _extremum(op: Op) -> Draw:
    def draw(rng: Rng, dtype: DType) -> Node:
        x = _input(rng, dtype, some_shape(rng))
        attrs = Reduce(_axes(rng, len(x.type.shape)), bool(rng.random() < 0.5))
        return Node(op, (x,), attrs, "y")

    return draw


def _arg(op: Op) -> Draw:
    """Half of the axes have so many values that some are equal."""

    def draw(rng: Rng, dtype: DType) -> Node:
        shape = list(some_shape(rng))
        axis = size(rng, 0, len(shape) - 1)
        if rng.random() < 0.5:
            shape[axis] = size(rng, 10, 60)
        return Node(op, (_input(rng, dtype, tuple(shape)),), Arg(axis), "y")

    return draw


def _cumsum(rng: Rng, dtype: DType) -> Node:
    """Some axes are so long that sums of s8 wrap."""
    shape = list(some_shape(rng))
    axis = size(rng, 0, len(shape) - 1)
    if rng.random() < 0.3:
        shape[axis] = size(rng, 16, 60)
    x = some_input(rng, dtype, tuple(shape))
    flags = (bool(rng.random() < 0.5), bool(rng.random() < 0.5))
    quant = some_quant(rng, dtype, x.type.scale * 2.0 ** rng.uniform(-3, 4))
    return Node(Op.CUMSUM, (x,), CumSum(axis, *flags, quant), "y")


def _l2_pool(rng: Rng, dtype: DType) -> Node:
    sizes, kernel, stride, _, padding = some_window(rng, kernel_max=7, dilations=1)
    x = some_input(rng, dtype, (size(rng, 1, 2), *sizes, size(rng, 1, 9)))
    return Node(Op.L2_POOL2D, (x,), Pool2d(kernel, stride, padding, some_clamp(rng)), "y")


def _along_last(op: Op) -> Draw:
    """Rows up to 1 value and up to some; steps of all sizes."""

    def draw(rng: Rng, dtype: DType) -> Node:
        row = size(rng, 1, 5) if rng.random() < 0.3 else size(rng, 1, 200)
        x = some_input(rng, dtype, (*some_shape(rng, (0, 3)), row))
        if dtype is S8 and rng.random() < 0.2:
            # Small sums of squares: nearly all values are the zero point or a step beside it.
            point = x.type.zero_point
            values = random_values(rng, x.type)
            near = np.clip(point + rng.integers(-1, 2, values.shape), -128, 127)
            near = np.where(rng.random(values.shape) < 0.9, point, near).astype(np.int8)
            fixed = constant(near, "near", x.type.quant)
            return Node(op, (fixed,), Attrs(), "y")
        return Node(op, (x,), Attrs(), "y")

    return draw


def detection(rng: Rng, *, regular: bool) -> tuple[Node, tuple[Node, ...]]:
    """A detection on constant anchors, boxes and scores of its own, and its four results."""
    count, classes = size(rng, 1, 40), size(rng, 1, 5)
    background = int(rng.random() < 0.5)
    boxes = graph_input((1, count, size(rng, 4, 5)), F32, "boxes")
    scores = graph_input((1, count, classes + background), F32, "scores")
    # Anchors on a coarse grid, so that many overlap.
    places = rng.integers(0, 4, (count, 2)) / 4.0
    anchors = np.concatenate([places, rng.uniform(0.2, 0.6, (count, 2))], axis=1)
    held = constant(anchors.astype(np.float32), "anchors")
    attrs = Detection(
        size(rng, 1, 20),
        classes,
        float(np.float32(rng.choice([-1.0, 0.5, 2.0]))),
        float(np.float32(rng.choice([0.1, 0.5, 0.6]))),
        (10.0, 10.0, 5.0, 5.0),
        regular,
        size(rng, 1, 10) if regular else 100,
    )
    bundle = Node(Op.DETECTION_POSTPROCESS, (boxes, scores, held), attrs, "bundle")
    names = ("found_boxes", "classes", "found_scores", "count")
    return bundle, parts(bundle, detection_parts(attrs), names)


def _detection(rng: Rng, dtype: DType) -> Graph:
    """What TFLM's fast suppression leaves unwritten, beyond those found, is masked."""
    regular = bool(rng.random() < 0.5)
    bundle, made = detection(rng, regular=regular)
    inputs = bundle.src[:2]
    if regular:
        return Graph(inputs, made, name="detection_postprocess")
    boxes, classes, scores, count = made
    most = classes.type.size
    places = constant(np.arange(most, dtype=np.float32), "places")
    valid = Node(Op.LESS, (places, count), Attrs(), "valid")
    column = Node(Op.RESHAPE, (valid,), Reshape((most, 1)), "column")
    zero = constant(np.zeros(1, np.float32), "zero")
    shown = tuple(
        Node(Op.SELECT, (mask, value, zero), Pointwise(), f"{value.name}_valid")
        for mask, value in ((column, boxes), (valid, classes), (valid, scores))
    )
    return Graph(inputs, (*shown, count), name="detection_postprocess")


OPERATORS: dict[str, Draw] = {
    "sum": _sum,
    **{str(op): _extremum(op) for op in (Op.REDUCE_MAX, Op.REDUCE_MIN, Op.REDUCE_ALL)},
    "arg_max": _arg(Op.ARG_MAX),
    "arg_min": _arg(Op.ARG_MIN),
    "cumsum": _cumsum,
    "l2_pool2d": _l2_pool,
    "l2_normalization": _along_last(Op.L2_NORMALIZATION),
    "log_softmax": _along_last(Op.LOG_SOFTMAX),
    "detection_postprocess": _detection,
}
# What TFLM has not, LiteRT has.
ORACLE = {
    **{(str(op), kind): "litert" for op in (Op.REDUCE_MAX, Op.REDUCE_MIN) for kind in (S16, S32)},
    ("reduce_max", BOOL): "litert",
    ("arg_max", S32): "litert",
    ("arg_min", S32): "litert",
}
# (operator, element type of its activations): what is compared with the oracles.
GRID: list[tuple[str, DType]] = [
    ("sum", F32),
    ("sum", S8),
    ("sum", S16),
    *((str(op), kind) for op in (Op.REDUCE_MAX, Op.REDUCE_MIN) for kind in (F32, S8)),
    ("reduce_all", BOOL),
    *((name, kind) for name in ("arg_max", "arg_min", "cumsum") for kind in (F32, S8)),
    ("l2_pool2d", F32),
    *((name, kind) for name in ("l2_normalization", "log_softmax") for kind in (F32, S8)),
    ("detection_postprocess", F32),
    *ORACLE,
]
