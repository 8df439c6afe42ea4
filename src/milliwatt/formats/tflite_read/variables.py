"""What a .tflite file remembers from run to run: one table of variables for all its subgraphs.

A variable is a resource (VAR_HANDLE), a tensor with `is_variable`, or state that a reader asks for.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass

import numpy as np

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.tflite_read.site import Handle
from milliwatt.formats.tflite_schema import GROWTH, ModelFile, Operator, Subgraph
from milliwatt.ir.types import Type

NAME_BYTES = 4096
"""Where the names of resources are cut: far beyond what converters make."""

_NEVER_WRITES = ("VAR_HANDLE", "READ_VARIABLE")


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable as the graph sees it: `value` (read-only) is what it holds before the first run.

    `raw_name` is the file's name for it.
    """

    raw_name: str
    type: Type
    value: np.ndarray


class Variables:
    """The variables of one file, by key; what they hold before the first run."""

    def __init__(self, file: ModelFile) -> None:
        self._file = file
        self._known: dict[Hashable, Variable] = {}
        self._given: dict[Hashable, np.ndarray] = {}
        self._handles: dict[str, Handle] = {}
        self._bytes = (1 << 20) + GROWTH * file.size
        self._changing: set[Handle] | None = None

    def handle(self, container: str, name: str) -> Handle:
        """The resource of that name; a file that leaves the container out means any."""
        found = self._handles.get(name)
        if found is not None and (not container or found.container == container):
            return found
        return self._handles.setdefault(name, Handle(container, name))

    def give(self, key: Hashable, value: np.ndarray) -> None:
        """What an init subgraph stores in a variable; a later one replaces it."""
        self._given[key] = value

    def is_given(self, key: Hashable) -> bool:
        """True where an init subgraph has stored a value."""
        return key in self._given

    def add(self, key: Hashable, raw_name: str, like: Type, value: np.ndarray | None) -> Variable:
        """The variable `key`; of type `like` where this is its first use."""
        if key not in self._known:
            if value is not None:
                self._given.setdefault(key, value)
            self._known[key] = Variable(raw_name, like, self.start(key, like))
        return self._known[key]

    def start(self, key: Hashable, like: Type) -> np.ndarray:
        """What a variable of type `like` holds before the first run, read-only.

        TFLM fills a variable's bytes with its zero point. What an init subgraph has stored counts
        byte for byte. Source: TFLM `micro_resource_variable.cc`, `micro_interpreter_graph.cc`.
        """
        stored = self._given.get(key)
        if stored is None:
            self._bytes -= like.nbytes
            if self._bytes < 0:
                raise UnsupportedOp(
                    f"a variable of {like.short} and those before it take more than {GROWTH} times "
                    "the file; a smaller state wanted"
                )
            fill = np.full(like.size * like.dtype.itemsize, like.zero_point & 0xFF, np.uint8)
            stored = fill.view(like.dtype.numpy)
        if stored.dtype != like.dtype.numpy or stored.size != like.size:
            raise ImportFailed(
                f"a variable is {like.short}, its first value {stored.dtype}{list(stored.shape)}; "
                "one type wanted"
            )
        frozen = np.array(stored.reshape(like.shape), order="C")
        frozen.setflags(write=False)
        return frozen

    def known(self, key: Hashable) -> Variable | None:
        """A variable that was added before, None for one that is not read yet."""
        return self._known.get(key)

    def changes(self, handle: Handle) -> bool:
        """False for a resource that no run changes: only init subgraphs assign it.

        A handle that is passed on to a subgraph counts as changed.
        """
        if self._changing is None:
            self._changing = set(self._changed_handles())
        return handle in self._changing

    def _changed_handles(self) -> Iterator[Handle]:
        init = {
            op.options.integer(0, "i")
            for subgraph in self._file.subgraphs
            for op in subgraph.operators
            if op.kind == "CALL_ONCE" and op.options is not None
        }
        for subgraph in self._file.subgraphs:
            if subgraph.index not in init:
                yield from self._changed_in(subgraph)

    def _changed_in(self, subgraph: Subgraph) -> Iterator[Handle]:
        here: dict[int, Handle] = {}
        for op in subgraph.operators:
            if op.kind == "VAR_HANDLE" and len(op.outputs) == 1:
                here[op.outputs[0]] = self.of(op)
            elif op.kind not in _NEVER_WRITES:
                yield from (here[index] for index in op.inputs if index in here)

    def of(self, op: Operator) -> Handle:
        """The variable that a VAR_HANDLE operator names."""
        if op.options is None:
            raise UnsupportedOp(
                f"operator {op.index} (VAR_HANDLE): no options; the name of a variable wanted"
            )
        return self.handle(op.options.string(0, NAME_BYTES), op.options.string(1, NAME_BYTES))
