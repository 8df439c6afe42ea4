"""Write a Graph as a .tflite file that other tools open and run.

`tflite_write/vocabulary.py` says the graph in TFLite's operators, `tflite_write/<family>.py` what
each becomes; here they are put in order, with their tensors, states and subgraphs. Field and type
numbers follow TensorFlow Lite's `schema.fbs`, version 3.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_names import (
    OPERATORS,
    RESULTS,
    TENSOR_TYPES,
    WRITTEN_BY,
    parameter_name,
)
from milliwatt.formats.tflite_write import WRITERS
from milliwatt.formats.tflite_write.flat import FlatWriter
from milliwatt.formats.tflite_write.versions import version
from milliwatt.formats.tflite_write.vocabulary import in_vocabulary
from milliwatt.formats.tflite_write.written import Field, Written
from milliwatt.ir.attrs.control import Control, Part, State, bundle_type
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type, dtype_of
from milliwatt.ir.verify import verify

_TYPE_NAMES = {
    DType.F32: "FLOAT32",
    DType.F16: "FLOAT16",
    DType.S64: "INT64",
    DType.S32: "INT32",
    DType.S16: "INT16",
    DType.S8: "INT8",
    DType.S4: "INT4",
    DType.U64: "UINT64",
    DType.U32: "UINT32",
    DType.U8: "UINT8",
    DType.BOOL: "BOOL",
}
_TYPE_NUMBER = {dtype: TENSOR_TYPES.index(name) for dtype, name in _TYPE_NAMES.items()}
_RESOURCE = TENSOR_TYPES.index("RESOURCE")
_CALL_ONCE, _VAR_HANDLE, _READ_VARIABLE, _ASSIGN_VARIABLE = 103, 111, 112, 113
# Where the data of constants begins: what LiteRT reads without copying, and kernels load in words.
_DATA_ALIGN = 16


def write_tflite(graph: Graph) -> bytes:
    """`graph` as the bytes of a .tflite file, equal bytes for equal graphs.

    Reading the file gives the graph back, with names, quantization and states, but for what TFLite
    says in other operators: asymmetric padding, clamps, residual adds and folded biases that passes
    of the compiler make are written out, exactly. Constants of equal bytes are stored once; the
    inputs and outputs are also a signature, `serving_default`, by their nodes' names.
    Raises: InvalidGraph naming the node where TFLite cannot say it. Source: `schema.fbs`, v. 3.
    """
    return _File().write(verify(in_vocabulary(graph)))


class _File:
    """What the subgraphs of one file share: buffers, operator codes, their numbers."""

    def __init__(self) -> None:
        self.flat = FlatWriter()
        self._buffers = [self.flat.table({})]  # buffer 0 is empty by the format's rule
        self._stored: dict[bytes, int] = {}
        self._codes: dict[tuple[str, int, bool], int] = {}
        self._subgraphs: list[int] = []
        self._numbers: dict[Graph, int] = {}

    def write(self, graph: Graph) -> bytes:
        """The finished file."""
        self._subgraphs.append(0)
        main = _Subgraph(self, graph)
        self._subgraphs[0] = main.write()
        codes = [self._code(*key) for key in self._codes]
        model: dict[int, Field] = {
            0: ("I", 3),
            1: self.flat.tables(codes),
            2: self.flat.tables(self._subgraphs),
            3: self.flat.string(WRITTEN_BY),
            4: self.flat.tables(self._buffers),
            7: self.flat.tables([self._signature(graph, main)]),
        }
        return self.flat.finish(self.flat.table(model), b"TFL3")

    def _code(self, kind: str, least: int, custom: bool) -> int:
        number = OPERATORS.index("CUSTOM" if custom else kind)
        fields: dict[int, Field] = {0: ("b", min(number, 127)), 2: ("i", least), 3: ("i", number)}
        if custom:
            fields[1] = ("text", kind)
        return self.flat.table(fields)

    def _signature(self, graph: Graph, main: _Subgraph) -> int:
        """The inputs and outputs by name, as LiteRT's signature runner wants them."""
        ends: list[Field] = []
        for nodes in (graph.inputs, graph.outputs):
            named = {node.name: main.number(node, "signature") for node in nodes}
            ends.append(
                self.flat.tables(
                    [self.flat.table({0: ("text", k), 1: ("I", v)}) for k, v in named.items()]
                )
            )
        key: Field = ("text", "serving_default")
        return self.flat.table({0: ends[0], 1: ends[1], 2: key, 4: ("I", 0)})

    def code(self, kind: str, least: int, custom: bool) -> int:
        """Number of an operator code."""
        return self._codes.setdefault((kind, least, custom), len(self._codes))

    def buffer(self, data: bytes) -> int:
        """Number of the buffer that holds `data`; equal data is stored once."""
        if data not in self._stored:
            self._stored[data] = len(self._buffers)
            field = self.flat.vector(data, "u1", align=_DATA_ALIGN)
            self._buffers.append(self.flat.table({0: field}))
        return self._stored[data]

    def subgraph(self, graph: Graph) -> int:
        """Number of the subgraph that says `graph`; a graph is written once."""
        if graph not in self._numbers:
            self._numbers[graph] = len(self._subgraphs)
            self._subgraphs.append(0)
            self._subgraphs[self._numbers[graph]] = _Subgraph(self, in_vocabulary(graph)).write()
        return self._numbers[graph]

    def first_values(self, graph: Graph, states: Sequence[Node]) -> int:
        """Number of a subgraph that gives `states` their first values."""
        self._subgraphs.append(0)
        number = len(self._subgraphs) - 1
        self._subgraphs[number] = _Subgraph(self, graph).write_first_values(states)
        return number


class _Subgraph:
    """One subgraph: tensors and operators in the order of execution."""

    def __init__(self, file: _File, graph: Graph) -> None:
        self._file, self._graph = file, graph
        self._tensors: list[int] = []
        self._operators: list[int] = []
        self._number: dict[Node, int] = {}
        self._parts: dict[Node, list[Node]] = {}

    def number(self, node: Node, user: str) -> int:
        """The tensor that holds a node's value."""
        if node not in self._number:
            raise InvalidGraph(
                f"{user}: reads {node.name} ({node.op}), which TFLite computes inside another "
                "operator; a graph without that use wanted"
            )
        return self._number[node]

    def write(self) -> int:
        """The table of the subgraph."""
        plan = self._plan()
        hidden = {node for written in plan.values() for node in written.hides}
        kept = {node for written in plan.values() for node in written.variables}
        states = [state for state, _ in self._graph.updates if state not in kept]
        handles = self._read_states(states)
        for node in self._graph.nodes():
            if node.op in (Op.INPUT, Op.CONSTANT):
                value = node.value if node.is_constant else None
                self._number[node] = self._tensor(node.name, node.type, value)
            elif node in kept:
                self._number[node] = self._variable(node)
            elif node.op not in (Op.STATE, Op.PART) and node not in hidden:
                self._write_operator(node, plan[node])
        for state, new in self._graph.updates:
            if state in handles:
                operands = (handles[state], self.number(new, f"{state.name} (state)"))
                self._operator("ASSIGN_VARIABLE", operands, (), _ASSIGN_VARIABLE)
        return self._table(self._graph.inputs, self._graph.outputs, self._graph.name)

    def write_first_values(self, states: Sequence[Node]) -> int:
        """The table of a subgraph without inputs and outputs that sets the states."""
        for state in states:
            assert isinstance(state.attrs, State)
            value = self._tensor(state.name, state.type, state.attrs.value)
            operands = (self._handle(state), value)
            self._operator("ASSIGN_VARIABLE", operands, (), _ASSIGN_VARIABLE)
        return self._table((), (), f"{self._graph.name}.first_values")

    def _plan(self) -> dict[Node, Written]:
        """What the file says of every node, users first: they may hide what they read."""
        plan: dict[Node, Written] = {}
        hidden: set[Node] = set()
        for node in reversed(list(self._graph.nodes())):
            if node.op is Op.PART:
                self._parts.setdefault(node.src[0], []).append(node)
            if node in hidden or node.op in (Op.INPUT, Op.CONSTANT, Op.STATE, Op.PART):
                continue
            if node.op not in WRITERS:
                raise InvalidGraph(
                    f"{node.name} ({node.op}): TFLite has no such operator; save the graph as .mwg"
                )
            plan[node] = WRITERS[node.op](node, node.attrs)
            hidden.update(plan[node].hides)
        return plan

    def _table(self, inputs: Sequence[Node], outputs: Sequence[Node], name: str) -> int:
        flat = self._file.flat
        ends = [
            flat.vector([self.number(n, "graph") for n in nodes], "<i4")
            for nodes in (inputs, outputs)
        ]
        return flat.table(
            {
                0: flat.tables(self._tensors),
                1: ends[0],
                2: ends[1],
                3: flat.tables(self._operators),
                4: flat.string(name),
            }
        )

    def _tensor(
        self, name: str, kind: Type, value: np.ndarray | None = None, is_variable: bool = False
    ) -> int:
        flat = self._file.flat
        fields: dict[int, Field] = {
            0: flat.vector(kind.shape, "<i4"),
            1: ("B", _TYPE_NUMBER[kind.dtype]),
            2: ("I", 0 if value is None else self._file.buffer(_stored(value, kind.dtype))),
            3: flat.string(name),
            8: ("B", 1),  # has_rank
        }
        if kind.quant is not None:
            fields[4] = ("offset", self._quantization(kind.quant))
        if is_variable:
            fields[5] = ("B", 1)
        self._tensors.append(flat.table(fields))
        return len(self._tensors) - 1

    def _quantization(self, quant: Quant) -> int:
        flat = self._file.flat
        scales = flat.vector(quant.scale, "<f4")
        points = flat.vector(quant.zero_point, "<i8", align=8)
        axis: dict[int, Field] = {} if quant.axis is None else {6: ("i", quant.axis)}
        return flat.table({2: scales, 3: points, **axis})

    def _variable(self, state: Node) -> int:
        """A tensor that its operator keeps from run to run."""
        assert isinstance(state.attrs, State)
        if (state.attrs.value != state.type.zero_point).any():
            raise InvalidGraph(
                f"{state.name} (state): starts at other values than {state.type.zero_point}; "
                "variable tensors of TFLite start at their zero point"
            )
        return self._tensor(state.name, state.type, is_variable=True)

    def _handle(self, state: Node) -> int:
        """The tensor of a new operator VAR_HANDLE that stands for a state."""
        flat = self._file.flat
        name = f"{state.name}.handle"
        fields: dict[int, Field] = {
            0: flat.vector((), "<i4"),
            1: ("B", _RESOURCE),
            3: flat.string(name),
            8: ("B", 1),
        }
        self._tensors.append(flat.table(fields))
        handle = len(self._tensors) - 1
        options: dict[int, Field] = {0: ("text", ""), 1: ("text", state.name)}
        self._operator("VAR_HANDLE", (), (handle,), _VAR_HANDLE, options)
        return handle

    def _read_states(self, states: Sequence[Node]) -> dict[Node, int]:
        """Operators that set the states once and read them, before all others; their handles."""
        if not states:
            return {}
        number = self._file.first_values(self._graph, states)
        self._operator("CALL_ONCE", (), (), _CALL_ONCE, {0: ("i", number)})
        handles = {state: self._handle(state) for state in states}
        for state, handle in handles.items():
            self._number[state] = self._tensor(state.name, state.type)
            self._operator("READ_VARIABLE", (handle,), (self._number[state],), _READ_VARIABLE)
        return handles

    def _write_operator(self, node: Node, written: Written) -> None:
        where = f"{node.name} ({node.op})"
        sources = node.src if written.operands is None else written.operands
        operands: list[int] = []
        types: list[Type | None] = []
        parameters = itertools.count()
        for source in (*sources, *written.parameters):
            if isinstance(source, np.ndarray):
                kind = Type(source.shape, node.type.dtype, node.type.quant)
                if source.dtype in (np.int32, np.int64):
                    kind = Type(source.shape, dtype_of(source))
                name = parameter_name(node.name, next(parameters))
                operands.append(self._tensor(name, kind, source))
                types.append(kind)
            else:
                operands.append(-1 if source is None else self.number(source, where))
                types.append(None if source is None else source.type)
        results, kinds = self._results(node, written)
        options = {
            **written.options,
            **{f: ("i", self._file.subgraph(g)) for f, g in written.subgraphs.items()},
        }
        least = version(written, types, kinds[0] if kinds else node.type)
        inner = [
            self._tensor(f"{node.name}.intermediate{at}", kind)
            for at, kind in enumerate(written.intermediates)
        ]
        self._operator(
            written.kind,
            operands,
            results,
            written.options_type,
            options,
            least,
            written.custom,
            inner,
        )

    def _results(self, node: Node, written: Written) -> tuple[list[int], tuple[Type, ...]]:
        """Tensors and types of an operator's results: its value, or the parts of its bundle."""
        parts = sorted(self._parts.get(node, ()), key=_offset)
        if isinstance(node.attrs, Control):
            types = node.attrs.results
        elif written.results is not None:
            types = written.results
        elif parts:
            types = tuple({_offset(part): part.type for part in parts}.values())
        else:
            self._number[node] = self._tensor(node.name, node.type)
            return [self._number[node]], (node.type,)
        offsets = bundle_type(types)[1]
        stem = node.name.removesuffix(RESULTS)
        tensors = []
        for at, (offset, kind) in enumerate(zip(offsets, types, strict=True)):
            same = [part for part in parts if _offset(part) == offset]
            if any(part.type != kind for part in same):
                raise InvalidGraph(
                    f"{same[0].name} (part): {same[0].type} at byte {offset} of {node.name}; "
                    f"{kind} wanted"
                )
            name = same[0].name if same else f"{stem}.result{at}" if at else stem
            tensors.append(self._tensor(name, kind))
            self._number.update(dict.fromkeys(same, tensors[-1]))
        return tensors, types

    def _operator(
        self,
        kind: str,
        operands: Sequence[int],
        results: Sequence[int],
        options_type: int = 0,
        options: Mapping[int, Field] | None = None,
        least: int = 1,
        custom: bytes | None = None,
        intermediates: Sequence[int] = (),
    ) -> None:
        flat = self._file.flat
        fields: dict[int, Field] = {
            0: ("I", self._file.code(kind, least, custom is not None)),
            1: flat.vector(operands, "<i4"),
            2: flat.vector(results, "<i4"),
        }
        if options_type:
            fields[3] = ("B", options_type)
            fields[4] = ("offset", flat.table(options or {}))
        if custom is not None:
            fields[5] = flat.vector(custom, "u1")
        if intermediates:
            fields[8] = flat.vector(intermediates, "<i4")
        self._operators.append(flat.table(fields))


def _offset(part: Node) -> int:
    assert isinstance(part.attrs, Part)
    return part.attrs.offset


def _stored(value: np.ndarray, dtype: DType) -> bytes:
    """A constant's bytes in the file: little-endian, two s4 a byte, the first in the low half."""
    if dtype is DType.S4:
        nibbles = np.append(value.reshape(-1), np.zeros(value.size % 2, np.int8)).view(np.uint8)
        return ((nibbles[0::2] & 15) | (nibbles[1::2] << 4)).astype(np.uint8).tobytes()
    return np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<")).tobytes()
