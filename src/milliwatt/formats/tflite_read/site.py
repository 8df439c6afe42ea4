"""One operator of a .tflite file on its way to nodes: what every reader is given."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NoReturn, Protocol

import numpy as np

from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.flatbuffer import Table
from milliwatt.formats.flexbuffer import Custom, read_flexbuffer_map
from milliwatt.formats.tflite_names import RESULTS
from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6, Attrs, Clamp
from milliwatt.ir.graph import Graph, Node, parts
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type

RELU_N1_TO_1: Clamp = (-1.0, 1.0)
_FUSED = {0: NO_CLAMP, 1: RELU, 2: RELU_N1_TO_1, 3: RELU6}
_FUSED_NAMES = {4: "TANH", 5: "SIGN_BIT"}


@dataclass(frozen=True)
class Handle:
    """What a tensor of type RESOURCE stands for: a variable of the file."""

    container: str
    name: str


Result = Node | Handle
Value = Handle | Node | None


class Branch(Protocol):
    """A subgraph that another operator calls, its variables turned into inputs and outputs."""

    def variables(self) -> dict[Hashable, Type]:
        """The variables that it reads or changes, in a stable order."""

    def changes(self) -> list[Hashable]:
        """The variables that it changes."""

    def results(self) -> tuple[Result, ...]:
        """Its own outputs, without the variables that it changes."""

    def graph(self, given: dict[Hashable, Type], changed: Sequence[Hashable]) -> Graph:
        """Inputs: its own and one for each of `given`; outputs: its own and those of `changed`."""


class Memory(Protocol):
    """What readers may ask of the file behind an operator: its states and its other subgraphs."""

    def state(self, name: str, value: np.ndarray, quant: Quant | None) -> Node:
        """A new state that holds `value` before the first run."""

    def update(self, state: Node, new: Node) -> None:
        """Let `state` hold `new` after this run; a second update of a state replaces the first.

        `state` is an operand that is a variable tensor, or came from `state`. Operators further
        down the file that read the variable read `new`.
        """

    def handle(self, container: str, name: str) -> Handle:
        """The resource variable of that name."""

    def variable(self, handle: Handle, like: Tensor) -> Node:
        """What a resource variable holds here, of the type of the tensor `like`."""

    def assign(self, handle: Handle, value: Node) -> None:
        """Let a resource variable hold `value` from here on."""

    def current(self, variable: Hashable, like: Type) -> Node:
        """What a variable that a Branch names holds here."""

    def change(self, variable: Hashable, value: Node) -> None:
        """Let a variable that a Branch names hold `value` from here on."""

    def run_once(self, index: int) -> None:
        """Run subgraph number `index` before the first run; it gives variables their values."""

    def subgraph(self, index: int, operands: Sequence[Value]) -> Branch:
        """Subgraph number `index` as called on `operands`."""


@dataclass(frozen=True, eq=False)
class Site:
    """One operator of the file while it becomes nodes; `operands` holds None for one left out.

    `outs` are the tensors that it declares as results, `names` what to call the node of each;
    `name` is the first of them. `custom` holds the bytes of a custom operator's options. An operand
    that is a variable tensor is what the variable holds at this point of the file; pass it to
    `memory.update` to change that. An operand of type RESOURCE is None and stands in `handles`.
    """

    kind: str
    name: str
    operands: tuple[Node | None, ...]
    options: Table | None
    outs: tuple[Tensor, ...]
    custom: bytes
    memory: Memory
    handles: tuple[Handle | None, ...] = ()
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} ({self.kind})"

    @property
    def out(self) -> Tensor:
        """The first result's tensor, which must be there."""
        if not self.outs:
            self.fail("no results; 1 or more wanted")
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

    def handle(self, index: int) -> Handle:
        """The variable that operand number `index`, a RESOURCE, stands for."""
        found = self.handles[index] if index < len(self.handles) else None
        if found is None:
            self.fail(f"operand {index} is no variable; the result of VAR_HANDLE wanted")
        return found

    def custom_options(self) -> dict[str, Custom]:
        """The options of a custom operator, a FlexBuffers map; {} where there are none."""
        try:
            return read_flexbuffer_map(self.custom)
        except ImportFailed as error:
            self.fail(f"custom options: {error}")

    def node(
        self, op: Op, src: tuple[Node, ...], attrs: Attrs, suffix: str = "", result: int = 0
    ) -> Node:
        """A node called after result number `result` of this operator.

        The IR's refusals become the importer's.
        """
        try:
            return Node(op, src, attrs, (self.names[result] if result else self.name) + suffix)
        except InvalidGraph as error:
            raise ImportFailed(str(error)) from None

    def parts(
        self,
        op: Op,
        src: tuple[Node, ...],
        attrs: Attrs,
        types: Sequence[Type],
        names: Sequence[str] | None = None,
    ) -> tuple[Node, ...]:
        """The values of `types` in the bundle of an operator of several results.

        They are called `names`; by default they are this operator's results, one for each of them.
        """
        bundle = self.node(op, src, attrs, RESULTS)
        called = self.names if names is None else names
        if len(types) != len(called):
            self.fail(f"{len(called)} results; {len(types)} wanted")
        return parts(bundle, types, called)


Reader = Callable[[Site], Result | tuple[Result, ...]]
"""Makes the nodes of an operator: one node, or one for each result, in the file's order."""
