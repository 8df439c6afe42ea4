"""Blocks: .tflite operators that move blocks between axes, and tiles, as reshapes and transposes.

Axes that stay neighbours are kept together, so that the transposes have few axes.
"""

from __future__ import annotations

import math

from milliwatt.formats.tflite_read.moves import moves, numbers
from milliwatt.formats.tflite_read.site import Reader, Site
from milliwatt.ir.attrs import Pad, Reshape, Transpose
from milliwatt.ir.attrs.move import BroadcastTo, StridedSlice
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op


def _image(site: Site) -> tuple[Node, int]:
    """The operand [N,H,W,C] and the size of a block."""
    x, block = site.operand(0), site.option(0, "i")
    if len(x.type.shape) != 4:
        site.fail(f"input is {x.type.short}; 4 axes [N,H,W,C] wanted")
    if block < 1:
        site.fail(f"blocks of {block}; 1 or more wanted")
    return x, block


def _space_to_depth(site: Site) -> Node:
    x, block = _image(site)
    n, h, w, c = x.type.shape
    if h % block or w % block:
        site.fail(f"blocks of {block} in {x.type.short}; a divisor of height and width wanted")
    return moves(
        site,
        x,
        (Op.RESHAPE, Reshape((n * h // block, block, w // block, block * c))),
        (Op.TRANSPOSE, Transpose((0, 2, 1, 3))),
        (Op.RESHAPE, Reshape((n, h // block, w // block, block * block * c))),
    )


def _depth_to_space(site: Site) -> Node:
    x, block = _image(site)
    n, h, w, c = x.type.shape
    if c % (block * block):
        site.fail(f"blocks of {block} of {x.type.short}; channels in {block * block} parts wanted")
    return moves(
        site,
        x,
        (Op.RESHAPE, Reshape((n * h, w, block, c // block))),
        (Op.TRANSPOSE, Transpose((0, 2, 1, 3))),
        (Op.RESHAPE, Reshape((n, h * block, w * block, c // (block * block)))),
    )


def _spatial(site: Site, what: str) -> tuple[Node, list[int], list[tuple[int, int]]]:
    """The operand [N, spatial axes, rest], a block size and a pair of `what` per spatial axis."""
    x, blocks, table = site.operand(0), numbers(site, 1), site.parameter(2)
    if not 1 <= len(blocks) < len(x.type.shape) or min(blocks) < 1:
        site.fail(f"blocks {blocks} of {x.type.short}; 1 or more on each spatial axis wanted")
    if table.shape != (len(blocks), 2) or (table < 0).any():
        site.fail(f"{what} are {table.tolist()}; {len(blocks)} pairs of 0 or more wanted")
    return x, blocks, [(int(before), int(after)) for before, after in table]


def _space_to_batch(site: Site) -> Node:
    """Padded cells are real 0, as in TensorFlow Lite; TFLM leaves their value undefined."""
    x, blocks, paddings = _spatial(site, "paddings")
    spatial, rest = len(blocks), x.type.shape[1 + len(blocks) :]
    padded = ((0, 0), *paddings, *(((0, 0),) * len(rest)))
    sizes = [d + sum(p) for d, p in zip(x.type.shape, padded, strict=True)][1 : 1 + spatial]
    if any(size % block for size, block in zip(sizes, blocks, strict=True)):
        site.fail(f"blocks {blocks} of {sizes} with padding; divisors wanted")
    counts = [size // block for size, block in zip(sizes, blocks, strict=True)]
    cut = [side for pair in zip(counts, blocks, strict=True) for side in pair]
    cut[0] *= x.type.shape[0]  # batch and first count stay neighbours
    inside = range(0, 2 * spatial, 2)
    order = (*(at + 1 for at in inside), *inside, 2 * spatial)
    return moves(
        site,
        x,
        (Op.PAD, Pad(padded)),
        (Op.RESHAPE, Reshape((*cut, math.prod(rest)))),
        (Op.TRANSPOSE, Transpose(order)),
        (Op.RESHAPE, Reshape((math.prod(blocks) * x.type.shape[0], *counts, *rest))),
    )


def _batch_to_space(site: Site) -> Node:
    x, blocks, crops = _spatial(site, "crops")
    spatial, shape = len(blocks), x.type.shape
    counts, rest = shape[1 : 1 + spatial], shape[1 + spatial :]
    if shape[0] % math.prod(blocks):
        site.fail(f"blocks {blocks} of {x.type.short}; a batch in {math.prod(blocks)} parts wanted")
    batch = shape[0] // math.prod(blocks)
    sizes = tuple(count * block for count, block in zip(counts, blocks, strict=True))
    left = tuple(size - sum(crop) for size, crop in zip(sizes, crops, strict=True))
    if min(left) < 1:
        site.fail(f"crops {crops} of {list(sizes)}; 1 element or more left wanted")
    order = [side for at in range(spatial) for side in (spatial + at, at)]
    begin = (0, *(before for before, _ in crops), *(0,) * len(rest))
    size = (batch, *left, *rest)
    return moves(
        site,
        x,
        (Op.RESHAPE, Reshape((*blocks, batch * counts[0], *counts[1:], math.prod(rest)))),
        (Op.TRANSPOSE, Transpose((*order, 2 * spatial))),
        (Op.RESHAPE, Reshape((batch, *sizes, *rest))),
        (Op.STRIDED_SLICE, StridedSlice(begin, size, (1,) * len(size))),
    )


def _tile(site: Site) -> Node:
    """TILE: an axis of 1 before every axis that repeats, broadcast."""
    x = site.operand(0)
    shape = x.type.shape
    multiples = numbers(site, 1, len(shape))
    if min(multiples, default=1) < 1:
        site.unsupported(f"multiples {multiples}; 1 or more wanted")
    thin: list[int] = []
    full: list[int] = []
    joins = False  # whether the axis before is whole and may take the next one in
    for dim, times in zip(shape, multiples, strict=True):
        if times == 1 and joins:
            thin[-1], full[-1] = thin[-1] * dim, full[-1] * dim
            continue
        if times > 1 and dim > 1:
            thin.append(1)
            full.append(times)
        thin.append(dim)
        full.append(dim if dim > 1 else times)
        joins = dim > 1 or times == 1
    result = tuple(dim * times for dim, times in zip(shape, multiples, strict=True))
    return moves(
        site,
        x,
        (Op.RESHAPE, Reshape(tuple(thin))),
        (Op.BROADCAST_TO, BroadcastTo(tuple(full))),
        (Op.RESHAPE, Reshape(result)),
    )


READERS: dict[str, tuple[int, Reader]] = {
    "BATCH_TO_SPACE_ND": (0, _batch_to_space),
    "DEPTH_TO_SPACE": (94, _depth_to_space),
    "SPACE_TO_BATCH_ND": (0, _space_to_batch),
    "SPACE_TO_DEPTH": (19, _space_to_depth),
    "TILE": (0, _tile),
}
