"""What a row of the bind table is, and what binding a node gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import Op

if TYPE_CHECKING:
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


def always(node: Node) -> bool:
    """The predicate of a general row."""
    return True


@dataclass(frozen=True)
class Row:
    """One row: `kernel` runs `op` from and to `dtypes` where `predicate(node)` holds.

    `dtypes` is (first operand, result), None for every element type. `params` is the parameter
    struct's name without `mw_`. `inplace` lists the positions among the pointer operands that the
    result may overwrite; only those of the result's own size are offered. `note` says what
    `predicate` asks, for docs. `isa` is the extension that the kernel needs, "" for none.
    `files` are further .c files that the kernel calls into.
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

    def matches(self, node: Node, target: Target = PORTABLE) -> bool:
        """True where this row can run `node` on `target`."""
        if node.op is not self.op or not node.src or not target.runs(self.isa):
            return False
        pair = (str(node.src[0].type.dtype), str(node.type.dtype))
        return self.dtypes in (ANY, pair) and self.predicate(node)
