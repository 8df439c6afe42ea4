"""Values that follow from shapes and constants: .tflite operators that are constants here."""

from __future__ import annotations

import math

import numpy as np

from milliwatt.formats.tflite_read.moves import known, numbers
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.formats.tflite_schema import MAX_RANK
from milliwatt.ir.attrs.move import BroadcastTo
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_INT64 = 4  # a TensorType of the schema
# A RANGE has to be known while reading, whatever its length; this is far above any real one.
_MOST_RANGE = 1 << 16


def _shape(site: Site) -> Node:
    kind = np.int64 if site.option(0, "b") == _INT64 else np.int32
    return constant(np.array(site.operand(0).type.shape, kind), site.name)


def _rank(site: Site) -> Node:
    return constant(np.array(len(site.operand(0).type.shape), np.int32), site.name)


def _zeros_like(site: Site) -> Node:
    """Stored zeros, as in TFLite: not real 0 where the zero point is another."""
    kind = site.operand(0).type
    zero = constant(np.array(0, kind.dtype.numpy), f"{site.name}.value", kind.quant)
    return known(site.node(Op.BROADCAST_TO, (zero,), BroadcastTo(kind.shape)))


def _fill(site: Site) -> Node:
    value = site.operand(1)
    if value.type.size != 1:
        site.fail(f"value is {value.type.short}; one number wanted")
    shape = tuple(numbers(site, 0))
    if len(value.type.shape) > len(shape):
        site.fail(f"value is {value.type.short}; a scalar wanted")
    return known(site.node(Op.BROADCAST_TO, (value,), BroadcastTo(shape)))


def _range(site: Site) -> Node:
    """RANGE(start, limit, delta): s32, s64 or f32; floats are summed one step after the other."""
    nodes = [site.operand(index) for index in range(3)]
    for node in nodes:
        if not node.is_constant:
            site.unsupported(f"{node.name} is computed at run time; a constant wanted")
        if node.type.size != 1 or node.type.dtype != nodes[0].type.dtype:
            site.fail(f"{node.name} is {node.type.short}; three numbers of one type wanted")
    dtype = nodes[0].type.dtype
    if dtype not in (DType.S32, DType.S64, DType.F32):
        site.unsupported(f"a range of {dtype}; s32, s64 or f32 wanted")
    start, limit, delta = (node.value.reshape(-1)[0].item() for node in nodes)
    if delta == 0 or not all(map(math.isfinite, (start, limit, delta))):
        site.fail(f"from {start} to {limit} in steps of {delta}; finite steps wanted")
    if dtype is DType.F32:
        with np.errstate(over="ignore"):
            steps = (np.float32(limit) - np.float32(start)) / np.float32(delta)
        count = math.ceil(min(max(float(steps), 0.0), _MOST_RANGE + 1))
    else:
        count = -((start - limit) // delta)
    if not 1 <= count <= _MOST_RANGE:
        site.unsupported(f"{max(count, 0)} numbers; 1 to {_MOST_RANGE} wanted")
    each = np.full(count, delta, dtype.numpy)
    each[0] = start
    return constant(np.add.accumulate(each, dtype=each.dtype), site.name)


def _broadcast_args(site: Site) -> Node:
    """The shape that two shapes broadcast to."""
    first, second = site.parameter(0), site.parameter(1)
    if max(first.size, second.size) > MAX_RANK:
        site.fail(f"shapes of {first.size} and {second.size} axes; at most {MAX_RANK} wanted")
    try:
        shape = np.broadcast_shapes(
            *(tuple(int(d) for d in s.reshape(-1)) for s in (first, second))
        )
    except ValueError:
        site.fail(f"shapes {first.tolist()} and {second.tolist()} do not broadcast")
    return constant(np.array(shape, first.dtype), site.name)


READERS: dict[str, tuple[int, Reader]] = {
    "BROADCAST_ARGS": (0, _broadcast_args),
    "FILL": (0, _fill),
    "RANGE": (0, _range),
    "RANK": (0, _rank),
    "SHAPE": (55, _shape),
    "ZEROS_LIKE": (0, _zeros_like),
}
