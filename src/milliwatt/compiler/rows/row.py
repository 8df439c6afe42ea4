"""What a row of the bind table is, and what binding a node gives."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.ir.attrs import Pool2d
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op

if TYPE_CHECKING:
    from milliwatt.compiler.by_rows import RowsPlan
    from milliwatt.compiler.program import Program

# A member of a parameter struct: "conv.in_h" is member in_h of member conv. Arrays become static
# const arrays that the member points to.
Field = tuple[str, int | float | np.ndarray]
ANY = None


@dataclass(frozen=True)
class Lowered:
    """A node's parameters: struct members in order, workspace, and which operands stay pointers.

    `operands` are indices into node.src; None means all of them.
    """

    fields: tuple[Field, ...]
    workspace_bytes: int = 0
    operands: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Call:
    """One kernel call: `kernel(out, operands..., &params, workspace)`.

    fields: members of `params_type` in struct order. workspace_bytes: scratch, aligned for a
    pointer, 0 for none. operands: indices of node.src passed as pointers. inplace: indices among
    those of them that are not constants whose buffer the result may take over. variadic: the
    operands go as one array of pointers. files: the .c files to compile. inner: the programs of
    the graphs that an `if` or `while` holds, by field; their call is generated, there is no kernel.
    work: how often the kernel does what its cost table prices, see `Row`. rows: of a `by_rows`,
    whose calls are generated too.
    """

    kernel: str
    params_type: str
    fields: tuple[Field, ...]
    workspace_bytes: int
    inplace: tuple[int, ...]
    files: tuple[str, ...]
    variadic: bool
    operands: tuple[int, ...]
    inner: tuple[tuple[str, Program], ...] = ()
    work: Mapping[str, float] = field(default_factory=dict)
    rows: RowsPlan | None = None


def always(node: Node) -> bool:
    """The predicate of a general row."""
    return True


def plain_work(node: Node) -> Mapping[str, float]:
    """The counts of a row without `work` of its own.

    The call, MACs, elements read and written, cells of pooling windows; weights count as read from
    flash once.
    """
    window = math.prod(node.attrs.kernel) if isinstance(node.attrs, Pool2d) else 0
    macs = OPS[node.op].macs(node.attrs, node.type, [s.type for s in node.src])
    return {
        "calls": 1,
        "macs": macs,
        "inputs": sum(s.type.size for s in node.src if not s.is_constant),
        "cells": window * node.type.size,
        "outputs": node.type.size,
        "flash_bytes": sum(s.type.nbytes for s in node.src if s.is_constant),
    }


@dataclass(frozen=True)
class Row:
    """One row: `kernel` runs `op` from and to `dtypes` where `predicate(node)` holds.

    `dtypes` is (first operand, result), None for every element type. `params` is the parameter
    struct's name without `mw_`. `inplace` lists the positions among the pointer operands that the
    result may overwrite; those of the result's own size are offered, see `shrinks`. `note`
    says what `predicate` asks, for docs. `isa` is the extension that the kernel needs, "" for none.
    `files` are further .c files that the kernel calls into.

    `shrinks(node)` says where the result may also be smaller than such an operand: it takes the
    operand's first bytes, so that the kernel must never write a byte before it has read it.

    `work(node)` says how often a call does each thing that its cost depends on, by name: "calls"
    (1, what is done once), loop bodies such as "pixels", "blocks", "steps", "outputs". The cycles
    of a call are the sum of its counts times the kernel's coefficients, which tools/fit_costs.py
    fits on each core. "flash_bytes" is special: bytes of constants that the kernel streams from
    flash, each time it does (weights read once per output row count once per row); they are
    priced by the board's flash, not fitted; "multiplies" tells reports of a kernel that needs fewer
    than the MACs (Winograd) and costs nothing. Without `work` the counts are `plain_work`.
    """

    op: Op
    dtypes: tuple[str, str] | None
    kernel: str
    params: str
    lower: Callable[[Node], Lowered]
    predicate: Callable[[Node], bool] = always
    note: str = ""
    inplace: tuple[int, ...] = ()
    variadic: bool = False
    isa: str = ""
    files: tuple[str, ...] = ()
    work: Callable[[Node], Mapping[str, float]] | None = None
    shrinks: Callable[[Node], bool] | None = None

    def matches(self, node: Node, target: Target = PORTABLE) -> bool:
        """True where this row can run `node` on `target`."""
        if node.op is not self.op or not node.src or not target.runs(self.isa):
            return False
        pair = (str(node.src[0].type.dtype), str(node.type.dtype))
        return self.dtypes in (ANY, pair) and self.predicate(node)
