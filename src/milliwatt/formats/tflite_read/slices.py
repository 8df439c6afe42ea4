"""Slices: .tflite operators that take parts of a value, or put values together, as nodes."""

from __future__ import annotations

import itertools

from milliwatt.formats.tflite_read.moves import axis_of, known, moves, numbers, part
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import Concat, Reshape
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op

# Options of STRIDED_SLICE: sets of entries, one bit each.
_OPEN_BEGIN, _OPEN_END, _ELLIPSIS, _NEW_AXIS, _SHRINK, _OFFSET = range(6)
_MOST_ENTRIES = 32  # the bits of a mask


def _strided_slice(site: Site) -> Node:
    """NumPy's basic indexing: entries of begin, end and stride, what they mean in bit masks."""
    x, begin = site.operand(0), numbers(site, 1)
    shape, count = x.type.shape, len(begin)
    end, strides = numbers(site, 2, count), numbers(site, 3, count)
    if count > _MOST_ENTRIES:
        site.fail(f"{count} entries; {_MOST_ENTRIES} at most wanted")
    masks = [site.option(field, "i") for field in range(_OFFSET)]

    def has(mask: int, entry: int) -> bool:
        return bool(masks[mask] >> entry & 1)

    ellipses = [entry for entry in range(count) if has(_ELLIPSIS, entry)]
    if len(ellipses) > 1:
        site.fail(f"{len(ellipses)} ellipses; 1 at most wanted")
    taken = sum(not has(_ELLIPSIS, e) and not has(_NEW_AXIS, e) for e in range(count))
    if taken > len(shape):
        site.fail(f"{taken} indices into {x.type.short}; {len(shape)} at most wanted")
    cells: list[tuple[int, int, int]] = []  # (begin, size, stride) of each axis of x
    sizes: list[int] = []  # of each axis of the result
    for entry in range(count):
        if has(_ELLIPSIS, entry):
            whole = shape[len(cells) : len(cells) + len(shape) - taken]
            cells += [(0, dim, 1) for dim in whole]
            sizes += whole
        elif has(_NEW_AXIS, entry):
            sizes.append(1)
        else:
            dim, stride = shape[len(cells)], strides[entry]
            first, size = _cells(
                site,
                dim,
                (None if has(_OPEN_BEGIN, entry) else begin[entry]),
                (None if has(_OPEN_END, entry) else end[entry]),
                stride,
            )
            if has(_SHRINK, entry):
                _check_single(site, dim, begin[entry], stride, has(_OPEN_BEGIN, entry))
                size, stride = 1, 1
            else:
                sizes.append(size)
            if size < 1:
                site.unsupported(f"takes no element of axis {len(cells)}; 1 or more wanted")
            cells.append((first, size, stride))
    whole = shape[len(cells) :]
    cells += [(0, dim, 1) for dim in whole]
    attrs = StridedSlice(*(tuple(c[at] for c in cells) for at in range(3)))
    return moves(site, x, (Op.STRIDED_SLICE, attrs), (Op.RESHAPE, Reshape((*sizes, *whole))))


def _cells(
    site: Site, dim: int, begin: int | None, end: int | None, stride: int
) -> tuple[int, int]:
    """(first element, number of elements) of one entry; None for an open bound."""
    if stride == 0:
        site.fail("stride 0; another number wanted")
    low, high = (0, dim) if stride > 0 else (-1, dim - 1)

    def inside(index: int) -> int:
        return min(max(index + dim if index < 0 else index, low), high)

    first = (low if stride > 0 else high) if begin is None else inside(begin)
    if end is not None and site.option(_OFFSET, "B"):
        end += first  # the end is said as a distance
    last = (high if stride > 0 else low) if end is None else inside(end)
    return first, max(0, -(-(last - first) // stride))


def _check_single(site: Site, dim: int, index: int, stride: int, is_open: bool) -> None:
    """An entry that takes one element and drops its axis."""
    if stride < 0:
        site.fail(f"a single index with stride {stride}; stride 1 wanted")
    if not is_open and not -dim <= index < dim:
        site.fail(f"index {index} of an axis of {dim}; {-dim} to {dim - 1} wanted")


def _slice(site: Site) -> Node:
    """SLICE: begin and size, -1 for everything from there on."""
    x = site.operand(0)
    shape = x.type.shape
    begin, size = numbers(site, 1, len(shape)), numbers(site, 2, len(shape))
    for axis, (dim, first, count) in enumerate(zip(shape, begin, size, strict=True)):
        size[axis] = dim - first if count == -1 else count
        if not 0 <= first <= first + size[axis] <= dim:
            site.fail(f"axis {axis} from {first}, {count} elements; a part of {dim} wanted")
        if size[axis] == 0:
            site.unsupported(f"takes no element of axis {axis}; 1 or more wanted")
    attrs = StridedSlice(tuple(begin), tuple(size), (1,) * len(shape))
    return moves(site, x, (Op.STRIDED_SLICE, attrs))


def _pieces(site: Site, x: Node, axis: int, sizes: list[int]) -> tuple[Node, ...]:
    """One result after the other along `axis`."""
    if sum(sizes) != x.type.shape[axis] or min(sizes, default=0) < 1:
        site.fail(
            f"pieces of {sizes} along axis {axis} of {x.type.short}; "
            f"1 or more each, {x.type.shape[axis]} together wanted"
        )
    if len(sizes) != len(site.outs):
        site.fail(f"{len(site.outs)} results; {len(sizes)} wanted")
    ends = itertools.accumulate(sizes)
    return tuple(
        moves(site, x, (Op.STRIDED_SLICE, part(x, axis, end - size, size)), result=at)
        for at, (end, size) in enumerate(zip(ends, sizes, strict=True))
    )


def _axis(site: Site, index: int, x: Node) -> int:
    return axis_of(site, numbers(site, index, 1)[0], len(x.type.shape))


def _split(site: Site) -> tuple[Node, ...]:
    x, count = site.operand(1), len(site.outs)
    axis = _axis(site, 0, x)
    if count == 0 or x.type.shape[axis] % count:
        site.fail(f"axis {axis} of {x.type.short} in {count} parts; equal parts wanted")
    return _pieces(site, x, axis, [x.type.shape[axis] // count] * count)


def _split_v(site: Site) -> tuple[Node, ...]:
    """SPLIT_V: sizes, one of which may be -1 for what is left."""
    x, sizes = site.operand(0), numbers(site, 1)
    axis = _axis(site, 2, x)
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = x.type.shape[axis] - (sum(sizes) + 1)
    return _pieces(site, x, axis, sizes)


def _unpack(site: Site) -> tuple[Node, ...]:
    x = site.operand(0)
    shape = x.type.shape
    axis = axis_of(site, site.option(1, "i"), len(shape))
    if len(site.outs) != shape[axis]:
        site.fail(f"{len(site.outs)} results of {x.type.short}; {shape[axis]} wanted")
    thin = Reshape((*shape[:axis], *shape[axis + 1 :]))
    return tuple(
        moves(site, x, (Op.STRIDED_SLICE, part(x, axis, at, 1)), (Op.RESHAPE, thin), result=at)
        for at in range(shape[axis])
    )


def _pack(site: Site) -> Node:
    """PACK: a concat along an axis of 1 that every operand gets."""
    values = [site.operand(index) for index in range(len(site.operands))]
    if not values:
        site.fail("no operands; 1 or more wanted")
    shape = values[0].type.shape
    axis = axis_of(site, site.option(1, "i"), len(shape) + 1)
    for value in values:
        if value.type.shape != shape:
            site.fail(f"{values[0].type.short} and {value.type.short}; equal shapes wanted")
    thick = Reshape((*shape[:axis], 1, *shape[axis:]))
    if len(values) == 1:
        return moves(site, values[0], (Op.RESHAPE, thick))
    rows = [known(site.node(Op.RESHAPE, (v,), thick, f".{at}")) for at, v in enumerate(values)]
    return known(site.node(Op.CONCAT, tuple(rows), Concat(axis)))


def _reverse(site: Site) -> Node:
    x = site.operand(0)
    shape = x.type.shape
    axes = [axis_of(site, axis, len(shape)) for axis in numbers(site, 1)]
    if len(set(axes)) != len(axes):
        site.fail(f"axes {axes}; each once wanted")
    begin = tuple(dim - 1 if axis in axes else 0 for axis, dim in enumerate(shape))
    strides = tuple(-1 if axis in axes else 1 for axis in range(len(shape)))
    return moves(site, x, (Op.STRIDED_SLICE, StridedSlice(begin, shape, strides)))


READERS: dict[str, tuple[int, Reader]] = {
    "PACK": (59, _pack),
    "REVERSE_V2": (0, _reverse),
    "SLICE": (0, _slice),
    "SPLIT": (0, _split),
    "SPLIT_V": (0, _split_v),
    "STRIDED_SLICE": (32, _strided_slice),
    "UNPACK": (64, _unpack),
}
