"""What variables hold while the operators of a subgraph are read: the `Memory` of its sites."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from milliwatt.errors import ImportFailed, InvalidGraph, UnsupportedOp
from milliwatt.formats.tflite_read.names import Names
from milliwatt.formats.tflite_read.site import Branch, Handle, Value
from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.attrs import Constant, Reshape
from milliwatt.ir.attrs.control import State
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type

if TYPE_CHECKING:
    from milliwatt.formats.tflite_read.subgraph import Loading

Role = Literal["main", "branch", "init"]
"""The network itself, whose variables are states; a subgraph that IF or WHILE calls, whose
variables are inputs; a subgraph that runs before the first run."""


def held_constant(value: np.ndarray, kind: Type, name: str) -> Node:
    """A constant of type `kind` that holds the read-only `value` itself, not a copy."""
    return Node(Op.CONSTANT, (), Constant(value, kind.quant, _unsaid(kind)), name)


def _unsaid(kind: Type) -> DType | None:
    """The element type where an array does not say it: s4 values are an int8 array."""
    return kind.dtype if kind.dtype is DType.S4 else None


class SubgraphMemory:
    """The variables of one subgraph in file order: what each holds at the operator being read.

    `first` is what it holds at the start, made when it is first read; `now` what it holds here.
    """

    def __init__(self, loading: Loading, role: Role, names: Names) -> None:
        self._loading = loading
        self._role = role
        self._names = names
        self.first: dict[Hashable, Node] = {}
        self.now: dict[Hashable, Node] = {}
        self._operand_keys: dict[Node, Hashable] = {}
        self._reader_keys: dict[Node, Hashable] = {}

    def holds(
        self, key: Hashable, raw_name: str, like: Type, value: np.ndarray | None = None
    ) -> Node:
        """The node that variable `key` is here; `like` and `value` count where it is new."""
        if key not in self.now:
            self.first[key] = self.now[key] = self._start(key, raw_name, like, value)
        return self.now[key]

    def _start(self, key: Hashable, raw_name: str, like: Type, value: np.ndarray | None) -> Node:
        name, variables = self._names.of_tensor(raw_name, "variable"), self._loading.variables
        if self._role == "init":
            return graph_input(like.shape, like.dtype, name, like.quant)
        known = variables.add(key, raw_name, like, value)
        kind = known.type
        if isinstance(key, Handle) and not variables.changes(key):
            if not variables.is_given(key):
                raise UnsupportedOp(
                    f"variable {raw_name[:80]!a} is read, and nothing ever gives it a value; its "
                    "weights were not saved, export the model from a saved model or with a "
                    "signature that initializes them"
                )
            return held_constant(known.value, kind, name)
        if self._role == "branch":
            return graph_input(kind.shape, kind.dtype, name, kind.quant)
        return Node(Op.STATE, (), State(known.value, kind.quant, _unsaid(kind)), name)

    def new_operator(self) -> None:
        """Forget which nodes were variables among the operands of the operator before."""
        self._operand_keys.clear()

    def operand(self, key: Hashable, raw_name: str, like: Type) -> Node:
        """The node of a variable tensor that is an operand of the operator being read."""
        node = self.holds(key, raw_name, like)
        if self._operand_keys.setdefault(node, key) != key:
            raise UnsupportedOp(f"{node.name} is the value of two variables; one each wanted")
        return node

    # --- Memory: see the protocol in site.py ----------------------------------------------------

    def state(self, name: str, value: np.ndarray, quant: Quant | None) -> Node:
        """See Memory."""
        key = ("reader", id(self), len(self._reader_keys))
        try:
            like = Node(Op.CONSTANT, (), Constant(value, quant), name).type
        except InvalidGraph as error:
            raise ImportFailed(str(error)) from None
        node = self.holds(key, name, like, value)
        self._reader_keys[node] = key
        return node

    def update(self, state: Node, new: Node) -> None:
        """See Memory."""
        key = self._operand_keys.get(state, self._reader_keys.get(state))
        if key is None:
            raise ImportFailed(f"{state.name} is no variable; a tensor with is_variable set wanted")
        if state.type != new.type:
            raise ImportFailed(
                f"{new.name} ({new.op}): {new.type}; {state.type} like {state.name} wanted"
            )
        self.now[key] = new

    def handle(self, container: str, name: str) -> Handle:
        """See Memory."""
        return self._loading.variables.handle(container, name)

    def variable(self, handle: Handle, like: Tensor) -> Node:
        """See Memory."""
        return self._shaped(self.holds(handle, handle.name, like.type), like.type, like.name)

    def _shaped(self, node: Node, like: Type, raw_name: str) -> Node:
        """`node` in the shape of `like`: TFLM compares the bytes of variables, not their axes."""
        same = (node.type.dtype, node.type.quant, node.type.size)
        if node.type.shape == like.shape or same != (like.dtype, like.quant, like.size):
            return node
        name = self._names.of_tensor(raw_name, f"{node.name}.reshape")
        return Node(Op.RESHAPE, (node,), Reshape(like.shape), name)

    def assign(self, handle: Handle, value: Node) -> None:
        """See Memory."""
        self.change(handle, value)

    def current(self, variable: Hashable, like: Type) -> Node:
        """See Memory."""
        known = self._loading.variables.known(variable)
        return self.holds(variable, known.raw_name if known else "variable", like)

    def change(self, variable: Hashable, value: Node) -> None:
        """See Memory."""
        first = self.first.get(variable)
        if first is not None:
            value = self._shaped(value, first.type, f"{first.name}.next")
            if value.type != first.type:
                raise UnsupportedOp(
                    f"variable {first.name} is {first.type} and is assigned {value.name}, "
                    f"{value.type}; one type wanted, convert the model again"
                )
        self.now[variable] = value

    def run_once(self, index: int) -> None:
        """See Memory."""
        if self._role != "main":
            raise UnsupportedOp(
                f"subgraph {index} runs once and is called inside another subgraph; "
                "a call in the first subgraph wanted"
            )
        self._loading.run_once(index, self)

    def subgraph(self, index: int, operands: Sequence[Value]) -> Branch:
        """See Memory."""
        return self._loading.branch(index, operands)

    # --------------------------------------------------------------------------------------------

    def changed(self) -> list[Hashable]:
        """The variables that hold something else here than at the start."""
        return [key for key, node in self.now.items() if self.first.get(key) is not node]

    def frozen(self, graph: Graph) -> Graph:
        """`graph` with constants for the states that no run changes."""
        kept = {node: key for key, node in self.first.items() if self.now[key] is node}

        def rule(node: Node) -> Node | None:
            if node.op is not Op.STATE or node not in kept:
                return None
            start = self._loading.variables.start(kept[node], node.type)
            return held_constant(start, node.type, node.name)

        return graph.rewrite(rule) if any(n.op is Op.STATE for n in kept) else graph
