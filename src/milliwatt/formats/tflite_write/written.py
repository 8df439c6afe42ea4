"""What a writer says of a node: the operator as the file states it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.types import Type

# An option or table field: (struct code, value); codes: b B i I q f, "offset" for a built object,
# "ints" for a vector of int32, "text" for a string.
Field = tuple[str, float | int | str | Sequence[int]]


@dataclass(frozen=True)
class Written:
    """One operator as the file states it.

    `kind` is the builtin operator's name, or a custom one's with `custom` its options' bytes.
    `operands` are what it reads, by default the node's own; None is an operand left out, an array a
    constant that no node holds. `parameters` are such arrays placed after them. `subgraphs` maps
    option fields to graphs that are written as subgraphs of the file; the field gets their number.

    A bundle's results are its parts, or values of the types `results`, whose parts beyond are not
    in the file. `variables` are the states that the operator keeps by itself: operands that become
    variable tensors, which start at zero point; what updates them is not written. `hides` are nodes
    whose work it does too: they are not written. `intermediates` are types of values inside the
    operator that the file has to state.
    """

    kind: str
    options_type: int = 0
    options: Mapping[int, Field] = field(default_factory=dict)
    parameters: Sequence[np.ndarray] = ()
    operands: tuple[Node | np.ndarray | None, ...] | None = None
    custom: bytes | None = None
    subgraphs: Mapping[int, Graph] = field(default_factory=dict)
    results: tuple[Type, ...] | None = None
    variables: tuple[Node, ...] = ()
    hides: tuple[Node, ...] = ()
    intermediates: tuple[Type, ...] = ()


Writer = Callable[[Node, Any], Written]
"""Says of a node, given with its attributes, what the file holds."""
