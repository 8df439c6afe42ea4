"""Constants of a .tflite file that are stored sparse, made dense.

A sparse tensor is a tree: one level for each dimension (and for each dimension of its blocks), in
`traversal_order`; a level lists all its indices (dense) or some (compressed sparse row). The values
are the leaves. Source: `SparsityParameters` in TensorFlow Lite's `schema.fbs`, and "The Tensor
Algebra Compiler", Kjolstad et al., OOPSLA 2017, for the format.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from milliwatt.errors import ImportFailed
from milliwatt.formats.flatbuffer import Table

_DENSE, _CSR = 0, 1
# Vectors of indices, by the number of their type.
_INDICES = {1: "<i4", 2: "<u2", 3: "<u1"}


@dataclass(frozen=True, eq=False)
class _Level:
    """One level: `size` indices below each node, or `indices` between `segments`."""

    size: int
    segments: np.ndarray | None
    indices: np.ndarray | None


def densify(table: Table, values: np.ndarray, shape: tuple[int, ...], where: str) -> np.ndarray:
    """The dense array of `shape` whose stored elements are `values` [stored]; the rest is 0.

    `table` is the tensor's SparsityParameters. ImportFailed where it does not fit the shape.
    """
    order = [int(dim) for dim in table.array(0, "<i4")]
    blocks = [int(dim) for dim in table.array(1, "<i4")]
    rank = len(shape)
    levels = [_level(item, where) for item in table.items(2)]
    if sorted(order) != list(range(rank + len(blocks))) or len(levels) != len(order):
        raise ImportFailed(
            f"{where} is stored sparse in {len(levels)} levels, order {order[:16]}; each of "
            f"{rank} dimensions and {len(blocks)} block dimensions once wanted"
        )
    if any(not 0 <= dim < rank for dim in blocks) or len(set(blocks)) != len(blocks):
        raise ImportFailed(f"{where} has blocks along {blocks[:16]}; each axis once wanted")
    found = _walk(order, levels, len(values), math.prod(shape), where)
    return _place(found, dict(zip(order, levels, strict=True)), blocks, values, shape, where)


def _level(table: Table, where: str) -> _Level:
    kind, size = table.integer(0, "b"), table.integer(1, "i")
    if kind == _DENSE:
        if size < 1:
            raise ImportFailed(f"{where} has a sparse level of {size} indices; 1 or more wanted")
        return _Level(size, None, None)
    if kind != _CSR:
        raise ImportFailed(f"{where} has a sparse level of format {kind}; 0 or 1 wanted")
    arrays = []
    for field in (2, 4):
        code, vector = table.integer(field, "B"), table.table(field + 1)
        if code not in _INDICES or vector is None:
            raise ImportFailed(f"{where} has a sparse level without indices")
        arrays.append(vector.array(0, _INDICES[code]).astype(np.int64))
    segments, indices = arrays
    if (
        segments.size < 1
        or segments[0] != 0
        or (np.diff(segments) < 0).any()
        or segments[-1] != indices.size
    ):
        raise ImportFailed(
            f"{where} has a sparse level whose segments do not rise from 0 to its end"
        )
    return _Level(0, segments, indices)


def _walk(
    order: list[int], levels: list[_Level], stored: int, elements: int, where: str
) -> dict[int, np.ndarray]:
    """For every dimension the index of each leaf."""
    found: dict[int, np.ndarray] = {}
    nodes = 1
    for dim, level in zip(order, levels, strict=True):
        if level.indices is None or level.segments is None:
            counts = np.full(nodes, level.size)
            fresh = nodes * level.size
        else:
            if level.segments.size != nodes + 1:
                raise ImportFailed(
                    f"{where} has a sparse level of {level.segments.size - 1} segments; "
                    f"{nodes} wanted"
                )
            counts, fresh = np.diff(level.segments), level.indices.size
        if fresh > elements:
            raise ImportFailed(f"{where} has {elements} elements and a sparse level of {fresh}")
        found = {known: np.repeat(index, counts) for known, index in found.items()}
        own = level.indices
        found[dim] = np.tile(np.arange(level.size), nodes) if own is None else own
        nodes = fresh
    if nodes != stored:
        raise ImportFailed(f"{where} is stored sparse with {stored} values; {nodes} wanted")
    return found


def _place(
    found: dict[int, np.ndarray],
    levels: dict[int, _Level],
    blocks: list[int],
    values: np.ndarray,
    shape: tuple[int, ...],
    where: str,
) -> np.ndarray:
    """Put the values where the leaves' indices say."""
    rank = len(shape)
    at = [found[dim] for dim in range(rank)]
    for number, dim in enumerate(blocks):
        inner = levels[rank + number]
        if inner.indices is not None:
            raise ImportFailed(f"{where} has sparse blocks; dense ones wanted")
        at[dim] = at[dim] * inner.size + found[rank + number]
    if any(
        (index < 0).any() or (index >= size).any() for index, size in zip(at, shape, strict=True)
    ):
        raise ImportFailed(f"{where} has a sparse index outside {list(shape)}")
    dense = np.zeros(shape, values.dtype)
    dense[tuple(at)] = values if rank else values[0]
    dense.setflags(write=False)
    return dense
