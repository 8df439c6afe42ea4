"""What readers of moving operators share: chains of moves, values known from the file, axes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.formats.tflite_read.site import Site
from milliwatt.ir.attrs import Attrs, Pad, Reshape, Transpose
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import OPS, Op

MOST_KNOWN = 4096
"""Elements of a result that is computed while reading: any list of sizes, no gigabytes of zeros.

Larger ones are nodes like any other; the compiler folds what is worth it.
"""


def known(node: Node) -> Node:
    """`node`, or the constant that it is where all operands are constants.

    Files compute shapes from shapes; behind the reader they are numbers.
    """
    computed = bool(node.src) and all(source.is_constant for source in node.src)
    if not computed or node.type.size > MOST_KNOWN:
        return node
    types, values = [s.type for s in node.src], [s.value for s in node.src]
    with np.errstate(all="ignore"):
        value = OPS[node.op].reference(node.attrs, node.type, types, values)
    if not np.isfinite(value).all():
        return node  # no constant may say so
    return constant(value, node.name, node.type.quant)


def moves(site: Site, x: Node, *steps: tuple[Op, Attrs], result: int = 0) -> Node:
    """`x` through one operator of one operand after the other; those that change nothing drop out.

    A single step stays: what is written as one operator is read as that one.

    The last is called after result number `result`, those before it have their operator behind.
    """
    made: list[Node] = [x]
    used: list[str] = []
    for op, attrs in steps:
        if len(steps) == 1 or not _is_idle(op, attrs, made[-1]):
            used.append(f".{op}")
            count = used.count(f".{op}")
            suffix = f".{op}" + (f"_{count}" if count > 1 else "")
            made.append(known(site.node(op, (made[-1],), attrs, suffix, result)))
    last = made[-1]
    if last is x:
        last = site.node(Op.RESHAPE, (x,), Reshape(x.type.shape), result=result)
        return known(last)
    return known(site.node(last.op, last.src, last.attrs, result=result))


def _is_idle(op: Op, attrs: Attrs, x: Node) -> bool:
    """True where the step gives `x` back."""
    match attrs:
        case Reshape(shape, stored):
            return shape == x.type.shape and stored in (None, x.type.quant)
        case Transpose(perm):
            return list(perm) == sorted(perm)
        case Pad(paddings):
            return not any(amount for pair in paddings for amount in pair)
        case StridedSlice(_, size, strides):
            return size == x.type.shape and all(stride == 1 for stride in strides)
    return False


def axis_of(site: Site, axis: int, rank: int) -> int:
    """`axis` counted from the front."""
    if not -rank <= axis < rank:
        site.fail(f"axis {axis} of a value with {rank} axes; {-rank} to {rank - 1} wanted")
    return axis % rank


def numbers(site: Site, index: int, count: int | None = None) -> list[int]:
    """A constant list of integers, of `count` where that is given."""
    values = [int(value) for value in site.parameter(index).reshape(-1)]
    if count is not None and len(values) != count:
        site.fail(f"operand {index} holds {len(values)} numbers; {count} wanted")
    return values


def part(x: Node, axis: int, begin: int, size: int) -> StridedSlice:
    """`size` elements from `begin` on along one axis, everything along the others."""
    shape = x.type.shape
    begins = tuple(begin if at == axis else 0 for at in range(len(shape)))
    return StridedSlice(begins, _replaced(shape, axis, size), (1,) * len(shape))


def _replaced(shape: Sequence[int], axis: int, size: int) -> tuple[int, ...]:
    return (*shape[:axis], size, *shape[axis + 1 :])
