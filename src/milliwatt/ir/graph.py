"""The one noun: a Graph of Nodes. Every step takes a Graph and returns a new one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import Attrs, Constant, Input
from milliwatt.ir.attrs.control import Part, State, bundle_type
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType, Quant, Type

MAX_AXES = 32
"""What NumPy takes in every version and function that references use."""
MAX_BYTES = 1 << 28
"""Largest value a graph may hold: far above any microcontroller, far below a computer's memory."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation and the value it makes. Equality is identity; no operator has a subclass.

    `type` is inferred from `op`, `attrs` and the types of `src`; InvalidGraph or UnsupportedOp
    naming the node is raised where the operands do not fit.
    """

    op: Op
    src: tuple[Node, ...]
    attrs: Attrs
    name: str
    type: Type = field(init=False)

    def __post_init__(self) -> None:
        row = OPS[self.op]
        if not isinstance(self.attrs, row.attrs):
            raise InvalidGraph(
                f"{self.name} ({self.op}): attrs are {type(self.attrs).__name__}; "
                f"{row.attrs.__name__} wanted"
            )
        low, high = row.arity
        if not low <= len(self.src) <= high:
            wanted = str(low) if low == high else f"{low} to {high}"
            raise InvalidGraph(
                f"{self.name} ({self.op}): {len(self.src)} operands; {wanted} wanted"
            )
        for index, operand in enumerate(self.src):
            if 0 in operand.type.shape:
                raise InvalidGraph(
                    f"{self.name} ({self.op}): operand {index} is {operand.type.short}, which is "
                    "empty; sizes of 1 or more wanted"
                )
        try:
            inferred = row.infer(self.attrs, [s.type for s in self.src])
        except (InvalidGraph, UnsupportedOp) as error:
            raise type(error)(f"{self.name} ({self.op}): {error}") from None
        if len(inferred.shape) > MAX_AXES:
            raise InvalidGraph(
                f"{self.name} ({self.op}): {len(inferred.shape)} axes; at most {MAX_AXES} wanted"
            )
        if inferred.nbytes > MAX_BYTES:
            raise InvalidGraph(
                f"{self.name} ({self.op}): {inferred.short} takes {inferred.nbytes:,} bytes; "
                f"at most {MAX_BYTES:,} wanted"
            )
        quant = inferred.quant
        if quant is not None and quant.axis is not None:
            sizes = inferred.shape[quant.axis : quant.axis + 1] if quant.axis >= 0 else ()
            if sizes != (len(quant.scale),):
                raise InvalidGraph(
                    f"{self.name} ({self.op}): {inferred.short} has {len(quant.scale)} scales on "
                    f"axis {quant.axis}; one per index of the axis wanted"
                )
        object.__setattr__(self, "type", inferred)

    @property
    def value(self) -> np.ndarray:
        """The array of a constant node (read-only); InvalidGraph for any other node."""
        if not isinstance(self.attrs, Constant):
            raise InvalidGraph(f"{self.name} ({self.op}): not a constant")
        return self.attrs.value

    @property
    def is_constant(self) -> bool:
        """True where the value is known before the program runs."""
        return self.op is Op.CONSTANT

    def __repr__(self) -> str:
        return (
            f"<{self.name} = {self.op}({', '.join(s.name for s in self.src)}) : {self.type.short}>"
        )


@dataclass(frozen=True)
class Graph:
    """A network: its inputs, its outputs and, for what it remembers, pairs of (state, next value).

    A state is a node of op `state`; it is no input: it holds its first value before the first run,
    then the value that `updates` pairs it with, computed by the run before. All updates happen at
    the end of a run, after everything has been read.
    """

    inputs: tuple[Node, ...]
    outputs: tuple[Node, ...]
    updates: tuple[tuple[Node, Node], ...] = ()
    name: str = "model"

    def __post_init__(self) -> None:
        # The name ends up in file names, C comments and the text form.
        object.__setattr__(self, "name", _safe_name(self.name))

    def nodes(self) -> Iterator[Node]:
        """Every node reachable from the outputs, inputs first, each after its operands.

        The order is stable: depth first along operands, so it is also a good execution order.
        """
        seen: set[Node] = set()
        for node in (*self.inputs, *(state for state, _ in self.updates)):
            if node not in seen:
                seen.add(node)
                yield node
        for root in (*self.outputs, *(new for _, new in self.updates)):
            stack = [(root, iter(root.src))] if root not in seen else []
            seen.add(root)
            while stack:
                node, operands = stack[-1]
                for operand in operands:
                    if operand not in seen:
                        seen.add(operand)
                        stack.append((operand, iter(operand.src)))
                        break
                else:
                    stack.pop()
                    yield node

    def rewrite(self, rule: Callable[[Node], Node | None]) -> Graph:
        """Rebuild bottom-up: `rule(node)`, its operands already rebuilt, gives its replacement.

        None keeps the node. Inputs and states are offered to the rule too; an input must become an
        input and a state a state.
        """
        done: dict[Node, Node] = {}
        for node in self.nodes():
            src = tuple(done[s] for s in node.src)
            fresh = node if src == node.src else Node(node.op, src, node.attrs, node.name)
            done[node] = rule(fresh) or fresh
        return Graph(
            tuple(done[n] for n in self.inputs),
            tuple(done[n] for n in self.outputs),
            tuple((done[s], done[n]) for s, n in self.updates),
            self.name,
        )

    def users(self) -> dict[Node, list[Node]]:
        """For every node, the nodes that read it; graph outputs are not counted."""
        table: dict[Node, list[Node]] = {node: [] for node in self.nodes()}
        for node in table:
            for operand in node.src:
                table[operand].append(node)
        return table

    def __str__(self) -> str:
        from milliwatt.ir.text import print_graph

        return print_graph(self)


def _safe_name(name: str) -> str:
    """`name` in letters, digits, dot, dash and underscore, at most 64 of them."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._-")[:64] or "model"


def constant(
    value: np.ndarray, name: str, quant: Quant | None = None, dtype: DType | None = None
) -> Node:
    """A constant node holding a read-only copy of `value`, of any shape and element type.

    `dtype` is wanted where the array does not say it: s4 values come as int8.
    """
    frozen = np.array(value, order="C")
    frozen.setflags(write=False)
    return Node(Op.CONSTANT, (), Constant(frozen, quant, dtype), name)


def graph_input(
    shape: tuple[int, ...], dtype: DType, name: str, quant: Quant | None = None
) -> Node:
    """An input node of the given type."""
    return Node(Op.INPUT, (), Input(Type(tuple(shape), dtype, quant)), name)


def state(
    value: np.ndarray, name: str, quant: Quant | None = None, dtype: DType | None = None
) -> Node:
    """A state node that holds a read-only copy of `value` before the first run."""
    frozen = np.array(value, order="C")
    frozen.setflags(write=False)
    return Node(Op.STATE, (), State(frozen, quant, dtype), name)


def parts(bundle: Node, types: Sequence[Type], names: Sequence[str]) -> tuple[Node, ...]:
    """The results of an operator that makes a bundle of values of `types`, each under a name."""
    _, offsets = bundle_type(tuple(types))
    return tuple(
        Node(Op.PART, (bundle,), Part(at, kind), name)
        for at, kind, name in zip(offsets, types, names, strict=True)
    )
