"""One operator of a .tflite file on its way to nodes: what every reader is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np

from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.flatbuffer import Table
from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6, Attrs, Clamp
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

RELU_N1_TO_1: Clamp = (-1.0, 1.0)
_FUSED = {0: NO_CLAMP, 1: RELU, 2: RELU_N1_TO_1, 3: RELU6}
_FUSED_NAMES = {4: "TANH", 5: "SIGN_BIT"}


class Memory(Protocol):
    """What readers may ask of the file behind an operator: its states and its other subgraphs."""

    def state(self, name: str, value: np.ndarray, quant: Quant | None) -> Node:
        """A new state that holds `value` before the first run."""

    def update(self, state: Node, new: Node) -> None:
        """Let `state` hold `new` after this run; a second update of a state replaces the first."""

    def variable(self, index: int) -> Node:
        """The state of operand tensor number `index` of the operator (`is_variable` tensors)."""

    def subgraph(self, index: int) -> Graph:
        """Subgraph number `index` as a graph of its own."""


@dataclass(frozen=True, eq=False)
class Site:
    """One operator of the file while it becomes nodes; `operands` holds None for one left out.

    `outs` are the tensors that it declares as results; `custom` the bytes of a custom operator's
    options. An operand that is a variable tensor is its state.
    """

    kind: str
    name: str
    operands: tuple[Node | None, ...]
    options: Table | None
    outs: tuple[Tensor, ...]
    custom: bytes
    memory: Memory

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    @property
    def out(self) -> Tensor:
        """The first result's tensor."""
        return self.outs[0]

    def fail(self, message: str) -> NoReturn:
        """ImportFailed naming this operator."""
        raise ImportFailed(f"{self}: {message}")

    def unsupported(self, message: str) -> NoReturn:
        """UnsupportedOp naming this operator."""
        raise UnsupportedOp(f"{self}: {message}")

    def operand(self, index: int) -> Node:
        """Operand number `index`, which must be there."""
        node = self.operands[index] if index < len(self.operands) else None
        if node is None:
            self.fail(f"operand {index} is missing")
        return node

    def optional(self, index: int) -> Node | None:
        """Operand number `index`, None where the file leaves it out."""
        return self.operands[index] if index < len(self.operands) else None

    def parameter(self, index: int) -> np.ndarray:
        """Operand `index` as a constant s32 or s64 array: a shape, axes, paddings."""
        node = self.operand(index)
        if not node.is_constant:
            self.unsupported(
                f"operand {index} ({node.name}) is computed at run time; a constant wanted, "
                "export the model with fixed sizes"
            )
        if node.type.dtype not in (DType.S32, DType.S64):
            self.fail(f"operand {index} ({node.name}) is {node.type.short}; s32 or s64 wanted")
        value: np.ndarray = node.value
        return value

    def option(self, field: int, code: str, default: int = 0) -> int:
        """An integer option; its default where the file has no options."""
        return default if self.options is None else self.options.integer(field, code, default)

    def clamp(self, field: int) -> Clamp:
        """The fused activation stored in option `field`."""
        number = self.option(field, "b")
        if number not in _FUSED:
            found = _FUSED_NAMES.get(number, f"number {number}")
            self.unsupported(f"fused activation {found}; NONE, RELU, RELU_N1_TO_1 or RELU6 wanted")
        return _FUSED[number]

    def node(self, op: Op, src: tuple[Node, ...], attrs: Attrs, suffix: str = "") -> Node:
        """A node called after this operator; the IR's refusals get advice where there is some."""
        try:
            return Node(op, src, attrs, self.name + suffix)
        except UnsupportedOp as error:
            raise UnsupportedOp(f"{error}{_advice(src)}") from None
        except InvalidGraph as error:
            raise ImportFailed(str(error)) from None


def _advice(src: tuple[Node, ...]) -> str:
    """What to do about element types that no operator takes together."""
    dtypes = {node.type.dtype for node in src}
    if DType.S16 in dtypes:
        return (
            "; int16 activations are not supported, convert the model again with int8 activations"
        )
    return ""


Reader = Callable[[Site], Node | tuple[Node, ...]]
"""Makes the nodes of an operator: one node, or one for each result, in the file's order."""
