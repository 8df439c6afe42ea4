"""State, operators of several results, control flow: attributes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from milliwatt.ir.attrs.core import Attrs
from milliwatt.ir.types import DType, Quant, Type

PART_ALIGN = 8
"""Bytes that parts of a bundle are aligned to: any element type, any machine."""


@dataclass(frozen=True, eq=False)
class State(Attrs):
    """A value kept from run to run; `value` (read-only) is what it holds before the first."""

    value: np.ndarray
    quant: Quant | None = None
    dtype: DType | None = None


@dataclass(frozen=True)
class Part(Attrs):
    """part(bundle u8 [bytes]): the value of type `type` at byte `offset` of a bundle.

    An operator of several results makes one bundle (`bundle_type`); its results are parts of it,
    the same bytes under another type. `offset` is a multiple of PART_ALIGN.
    """

    offset: int
    type: Type


def bundle_type(types: tuple[Type, ...]) -> tuple[Type, tuple[int, ...]]:
    """The type of a bundle of values of `types`, and the byte offset of each."""
    offsets, end = [], 0
    for kind in types:
        offsets.append(end)
        end += -(-kind.nbytes // PART_ALIGN) * PART_ALIGN
    return Type((max(end, PART_ALIGN),), DType.U8), tuple(offsets)


def pack_parts(arrays: tuple[np.ndarray, ...]) -> np.ndarray:
    """The bundle that holds `arrays`: u8 [bytes], gaps of 0."""
    ends = [-(-a.nbytes // PART_ALIGN) * PART_ALIGN for a in arrays]
    bundle = np.zeros(max(sum(ends), PART_ALIGN), np.uint8)
    at = 0
    for array, size in zip(arrays, ends, strict=True):
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        bundle[at : at + raw.size] = raw
        at += size
    return bundle
