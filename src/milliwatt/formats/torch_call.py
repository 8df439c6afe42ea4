"""What a handler of one ATen call works with: its operands, its place in the module, its errors."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.ir.attrs import Attrs, Reshape
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op

# Characters that `ir.verify` allows in no name; torch allows any but the dot.
_UNNAMEABLE = re.compile(r"[^A-Za-z0-9_./:;\-]")


@dataclass(frozen=True)
class Const:
    """A value known at import: a torch tensor, and its name if it is a parameter or buffer."""

    tensor: Any
    name: str | None = None


@dataclass
class Builder:
    """Hands out names that are unique in the graph and one node per constant."""

    taken: set[str] = field(default_factory=set)
    shared: dict[tuple[str, str], Node] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """`name`, or `name_1`, `name_2`, ... where it is taken; unusual characters become `_`."""
        name = _UNNAMEABLE.sub("_", name)
        fresh, count = name, 0
        while fresh in self.taken:
            count += 1
            fresh = f"{name}_{count}"
        self.taken.add(fresh)
        return fresh

    def constant(self, array: np.ndarray, name: str, shared: tuple[str, str] | None) -> Node:
        """A constant node; calls with the same `shared` key (name, layout) give the same node."""
        if shared is not None and shared in self.shared:
            return self.shared[shared]
        array = np.asarray(array, np.float32)
        if not np.isfinite(array).all():
            count = int(np.count_nonzero(~np.isfinite(array)))
            raise ImportFailed(
                f"{name}: {count} of {array.size} values are NaN or infinite; finite wanted; "
                "train the model again or repair them"
            )
        node = constant(array, self.unique(name))
        if shared is not None:
            self.shared[shared] = node
        return node


@dataclass(frozen=True)
class Call:
    """One ATen call: operands by their names in the schema, name of its node, shape.

    `where` is its place for messages: the user's module path and class, or the ATen operator.
    """

    builder: Builder
    where: str
    name: str
    args: dict[str, Any]
    shape: tuple[int, ...]

    def emit(self, op: Op, src: Sequence[Node], attrs: Attrs, part: str = "") -> Node:
        """A node named after the module that made the call; `part` names a helper of the main."""
        name = f"{self.name}.{part}" if part else self.name
        return Node(op, tuple(src), attrs, self.builder.unique(name))

    def node(self, value: Any, role: str = "constant") -> Node:
        """An operand as a node: constants and Python numbers become constant nodes."""
        if isinstance(value, Node):
            return value
        if isinstance(value, Const):
            shared = (value.name, "as it is") if value.name else None
            array = value.tensor.detach().numpy()
            return self.builder.constant(array, value.name or f"{self.name}.{role}", shared)
        return self.builder.constant(np.asarray(value, np.float32), f"{self.name}.{role}", None)

    def x(self, key: str = "self") -> Node:
        """The operand `key` as a node."""
        return self.node(self.args[key])

    def array(self, key: str) -> np.ndarray | None:
        """The operand `key` as an array; None stays None; UnsupportedOp where it is no constant."""
        value = self.args[key]
        if value is None:
            return None
        if not isinstance(value, Const):
            raise self.unsupported(f"its {key} is computed at run time; a constant {key} wanted")
        result: np.ndarray = value.tensor.detach().numpy()
        return result

    def weight(self, key: str, layout: str, arrange: Callable[[np.ndarray], np.ndarray]) -> Node:
        """The constant operand `key` rearranged to `layout`; tied weights stay one node."""
        array = self.array(key)
        assert array is not None
        name = self.args[key].name
        shared = (name, layout) if name else None
        return self.builder.constant(arrange(array), name or f"{self.name}.{key}", shared)

    def reshaped(self, x: Node, shape: Sequence[int], part: str = "") -> Node:
        """`x` in `shape`; `x` itself where nothing changes."""
        if tuple(shape) == x.type.shape:
            return x
        return self.emit(Op.RESHAPE, [x], Reshape(tuple(shape)), part)

    def unsupported(self, why: str) -> UnsupportedOp:
        """The error for this call: its place, what was found, what is allowed."""
        return UnsupportedOp(f"{self.where}: {why}")
