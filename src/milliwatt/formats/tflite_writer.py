"""Write a Graph as a .tflite file that other tools open and run.

Field and type numbers follow TensorFlow Lite's `schema.fbs`, version 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import flatbuffers
import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_names import OPERATORS, WRITTEN_BY
from milliwatt.formats.tflite_write import WRITERS
from milliwatt.formats.tflite_write.written import Field
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

_TYPE_NUMBER = {
    DType.F32: 0,
    DType.S32: 2,
    DType.U8: 3,
    DType.S64: 4,
    DType.BOOL: 6,
    DType.S16: 7,
    DType.S8: 9,
}
_SLOTS = {"b": "Int8", "B": "Uint8", "i": "Int32", "I": "Uint32", "f": "Float32", "q": "Int64"}


def write_tflite(graph: Graph) -> bytes:
    """`graph` as the bytes of a .tflite file; InvalidGraph where TFLite cannot say it."""
    return _Writer(graph).file()


class _Writer:
    """Builds the FlatBuffer from its leaves up: buffers, tensors, operators, subgraph, model."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._builder = flatbuffers.Builder(4096)
        self._buffers = [self._table({})]  # buffer 0 is empty by the format's rule
        self._tensors: list[int] = []
        self._codes: list[str] = []

    def file(self) -> bytes:
        """The finished file."""
        index: dict[Node, int] = {}
        operators = []
        for node in self._graph.nodes():
            if node.op in (Op.INPUT, Op.CONSTANT):
                value = node.value if node.is_constant else None
                index[node] = self._tensor(
                    node.name, node.type.shape, node.type.dtype, node.type.quant, value
                )
                continue
            index[node] = self._tensor(node.name, node.type.shape, node.type.dtype, node.type.quant)
            operators.append(self._operator(node, index))
        ends = [[index[n] for n in nodes] for nodes in (self._graph.inputs, self._graph.outputs)]
        subgraph = {
            0: self._offsets(self._tensors),
            1: self._vector(ends[0], "<i4"),
            2: self._vector(ends[1], "<i4"),
            3: self._offsets(operators),
            4: self._string(self._graph.name),
        }
        model = {
            0: ("I", 3),
            1: self._offsets([self._code(kind) for kind in self._codes]),
            2: self._offsets([self._table(subgraph)]),
            3: self._string(WRITTEN_BY),
            4: self._offsets(self._buffers),
        }
        self._builder.Finish(self._table(model), b"TFL3")
        return bytes(self._builder.Output())

    def _code(self, kind: str) -> int:
        number = OPERATORS.index(kind)
        return self._table({0: ("b", min(number, 127)), 2: ("i", 1), 3: ("i", number)})

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: DType,
        quant: Quant | None = None,
        value: np.ndarray | None = None,
    ) -> int:
        buffer = 0
        if value is not None:
            little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"))
            self._buffers.append(self._table({0: self._vector(little.tobytes(), "u1", align=16)}))
            buffer = len(self._buffers) - 1
        fields: dict[int, Field] = {
            0: self._vector(shape, "<i4"),
            1: ("b", _TYPE_NUMBER[dtype]),
            2: ("I", buffer),
            3: self._string(name),
        }
        if quant is not None:
            scales = self._vector(quant.scale, "<f4")
            points = self._vector(quant.zero_point, "<i8", align=8)
            axis = {} if quant.axis is None else {6: ("i", quant.axis)}
            fields[4] = ("offset", self._table({2: scales, 3: points, **axis}))
        self._tensors.append(self._table(fields))
        return len(self._tensors) - 1

    def _operator(self, node: Node, index: dict[Node, int]) -> int:
        if node.op not in WRITERS or getattr(node.attrs, "folded", False):
            raise InvalidGraph(f"{node.name} ({node.op}): TFLite has no such operator")
        written = WRITERS[node.op](node, node.attrs)
        if written.kind not in self._codes:
            self._codes.append(written.kind)
        operands = [index[s] for s in node.src]
        for number, array in enumerate(written.parameters):
            dtype = DType.S32 if array.dtype == np.int32 else node.type.dtype
            quant = None if dtype is DType.S32 else node.type.quant
            name = f"{node.name}.parameter{number}"
            operands.append(self._tensor(name, array.shape, dtype, quant, array))
        fields: dict[int, Field] = {
            0: ("I", self._codes.index(written.kind)),
            1: self._vector(operands, "<i4"),
            2: self._vector([index[node]], "<i4"),
        }
        if written.options_type:
            fields[3] = ("B", written.options_type)
            fields[4] = ("offset", self._table(written.options))
        return self._table(fields)

    def _table(self, fields: dict[int, Field]) -> int:
        """A table of scalars and already built objects; returns its offset."""
        b = self._builder
        b.StartObject(max(fields, default=-1) + 1)
        for slot, (code, value) in fields.items():
            if code == "offset":
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
            else:
                # A default no value equals: every field is written, as `option 0` must be readable.
                default = math.nan if code == "f" else None
                getattr(b, f"Prepend{_SLOTS[code]}Slot")(slot, value, default)
        return int(b.EndObject())

    def _vector(self, values: Sequence[float] | bytes, dtype: str, align: int = 4) -> Field:
        raw = values if isinstance(values, bytes) else np.array(values, dtype).tobytes()
        b, size = self._builder, np.dtype(dtype).itemsize
        b.StartVector(size, len(raw) // size, align)
        b.head = b.Head() - len(raw)
        b.Bytes[b.head : b.head + len(raw)] = raw
        return ("offset", b.EndVector())

    def _offsets(self, tables: Sequence[int]) -> Field:
        b = self._builder
        b.StartVector(4, len(tables), 4)
        for table in reversed(tables):
            b.PrependUOffsetTRelative(table)
        return ("offset", b.EndVector())

    def _string(self, text: str) -> Field:
        return ("offset", self._builder.CreateString(text))
