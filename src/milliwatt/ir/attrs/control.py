"""State, operators of several results, control flow: attributes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from milliwatt.ir.attrs.core import Attrs
from milliwatt.ir.types import DType, Quant, Type

if TYPE_CHECKING:
    from milliwatt.ir.graph import Graph

PART_ALIGN = 8
"""Bytes that parts of a bundle are aligned to: any element type, any machine."""

MAX_DEPTH = 8
"""Graphs inside graphs inside graphs: the deepest that an `if` or `while` may hold."""

MAX_INNER_NODES = 100_000
"""Nodes of all graphs that one `if` or `while` holds, each counted as often as it is held."""


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


@dataclass(frozen=True, eq=False)
class Control(Attrs):
    """An operator whose fields are graphs without state; its result is a bundle of `results`."""

    def graphs(self) -> Iterator[tuple[str, Graph]]:
        """The graphs that it holds, by field name."""
        for field in fields(self):
            yield field.name, getattr(self, field.name)

    @property
    def results(self) -> tuple[Type, ...]:
        """Types of the values in the result's bundle, for `parts`."""
        raise NotImplementedError

    @cached_property
    def _inner(self) -> tuple[Control, ...]:
        graphs = (graph for _, graph in self.graphs())
        return tuple(n.attrs for g in graphs for n in g.nodes() if isinstance(n.attrs, Control))

    @cached_property
    def depth(self) -> int:
        """1 where the graphs hold no `if` or `while` themselves."""
        return 1 + max((inner.depth for inner in self._inner), default=0)

    @cached_property
    def node_count(self) -> int:
        """Nodes of all graphs inside, however deep."""
        own = sum(sum(1 for _ in graph.nodes()) for _, graph in self.graphs())
        return own + sum(inner.node_count for inner in self._inner)


@dataclass(frozen=True, eq=False)
class If(Control):
    """if(condition, captures...): the results of `then(captures...)` or `otherwise(captures...)`.

    condition: bool, one element. Both graphs take inputs of the captures' types and have outputs
    of equal types.
    """

    then: Graph
    otherwise: Graph

    @property
    def results(self) -> tuple[Type, ...]:
        """Types of the branches' outputs."""
        return tuple(node.type for node in self.then.outputs)


@dataclass(frozen=True, eq=False)
class While(Control):
    """while(values...): while condition(values...): values = body(values...); result: the values.

    Both graphs take inputs of the values' types; `condition` has one output, bool of one element;
    `body` has outputs of the values' types.
    """

    condition: Graph
    body: Graph

    @property
    def results(self) -> tuple[Type, ...]:
        """Types of the loop values."""
        return tuple(node.type for node in self.body.outputs)


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
