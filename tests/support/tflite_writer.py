"""Write a Graph as a .tflite file, so that other runtimes can be asked what a graph means.

Every operator of the reader's vocabulary goes out unfused as it came in: explicit padding must be
what SAME or VALID gives, clamps must be one of TFLite's activations. Field and type numbers follow
TensorFlow Lite's `schema.fbs`, version 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import flatbuffers
import numpy as np

from milliwatt.errors import InvalidGraph
from milliwatt.formats.tflite_names import OPERATORS
from milliwatt.ir.attrs import NO_CLAMP, RELU, RELU6, Clamp, Conv2d, Pool2d
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
_FUSED = {NO_CLAMP: 0, RELU: 1, (-1.0, 1.0): 2, RELU6: 3}
_CLAMP_NAME = {RELU: "RELU", (-1.0, 1.0): "RELU_N1_TO_1", RELU6: "RELU6"}
_SAME, _VALID = 0, 1

# An option or table field: (struct code, value); codes: b B H i I q f, "offset" for a built object.
Field = tuple[str, float | int]
_SLOTS = {"b": "Int8", "B": "Uint8", "i": "Int32", "I": "Uint32", "f": "Float32", "q": "Int64"}


@dataclass(frozen=True)
class Written:
    """One operator as the file states it; `parameters` are constant operands that no node holds."""

    kind: str
    options_type: int = 0
    options: dict[int, Field] = field(default_factory=dict)
    parameters: Sequence[np.ndarray] = ()


def write_tflite(graph: Graph) -> bytes:
    """`graph` as the bytes of a .tflite file; InvalidGraph where TFLite cannot say it."""
    return _Writer(graph).file()


def _fused(clamp: Clamp, node: Node) -> Field:
    if clamp not in _FUSED:
        raise InvalidGraph(f"{node.name} ({node.op}): clamp {clamp} is no activation of TFLite")
    return ("b", _FUSED[clamp])


def _scheme(
    node: Node, attrs: Conv2d | Pool2d, kernel: Sequence[int], dilation: Sequence[int]
) -> Field:
    """SAME or VALID for the explicit padding of a window."""
    sides = []
    size = node.src[0].type.shape[1:3]
    for length, span, step, spread in zip(size, kernel, attrs.stride, dilation, strict=True):
        total = max((-(-length // step) - 1) * step + (span - 1) * spread + 1 - length, 0)
        sides += [total // 2, total - total // 2]
    same_size = all(
        out == -(-length // step)
        for out, length, step in zip(node.type.shape[1:3], size, attrs.stride, strict=True)
    )
    if same_size and tuple(sides) == attrs.padding:
        return ("b", _SAME)
    if attrs.padding == (0, 0, 0, 0):
        return ("b", _VALID)
    raise InvalidGraph(
        f"{node.name} ({node.op}): padding {attrs.padding} is neither SAME nor VALID"
    )


def _conv2d(node: Node) -> Written:
    a = node.attrs
    scheme = _scheme(node, a, node.src[1].type.shape[1:3], a.dilation)
    options = {0: scheme, 1: ("i", a.stride[1]), 2: ("i", a.stride[0]), 3: _fused(a.clamp, node)}
    return Written("CONV_2D", 1, {**options, 4: ("i", a.dilation[1]), 5: ("i", a.dilation[0])})


def _depthwise(node: Node) -> Written:
    a = node.attrs
    scheme = _scheme(node, a, node.src[1].type.shape[1:3], a.dilation)
    multiplier = node.type.shape[3] // node.src[0].type.shape[3]
    options = {0: scheme, 1: ("i", a.stride[1]), 2: ("i", a.stride[0]), 3: ("i", multiplier)}
    tail = {4: _fused(a.clamp, node), 5: ("i", a.dilation[1]), 6: ("i", a.dilation[0])}
    return Written("DEPTHWISE_CONV_2D", 2, {**options, **tail})


def _fully_connected(node: Node) -> Written:
    keep = int(len(node.type.shape) != 2)
    return Written("FULLY_CONNECTED", 8, {0: _fused(node.attrs.clamp, node), 2: ("B", keep)})


def _pool(kind: str) -> Callable[[Node], Written]:
    def write(node: Node) -> Written:
        a = node.attrs
        options = {
            0: _scheme(node, a, a.kernel, (1, 1)),
            1: ("i", a.stride[1]),
            2: ("i", a.stride[0]),
            3: ("i", a.kernel[1]),
            4: ("i", a.kernel[0]),
            5: _fused(a.clamp, node),
        }
        return Written(kind, 5, options)

    return write


def _elementwise(kind: str, options_type: int) -> Callable[[Node], Written]:
    return lambda node: Written(kind, options_type, {0: _fused(node.attrs.clamp, node)})


def _plain(kind: str, options_type: int = 0) -> Callable[[Node], Written]:
    return lambda node: Written(kind, options_type)


def _mean(node: Node) -> Written:
    axes = np.array(node.attrs.axes, np.int32)
    return Written("MEAN", 27, {0: ("B", int(node.attrs.keep_dims))}, (axes,))


def _clamp(node: Node) -> Written:
    if node.attrs.bounds not in _CLAMP_NAME:
        raise InvalidGraph(f"{node.name} (clamp): {node.attrs.bounds} is no activation of TFLite")
    return Written(_CLAMP_NAME[node.attrs.bounds])


def _pad(node: Node) -> Written:
    paddings = np.array(node.attrs.paddings, np.int32).reshape(-1, 2)
    if node.attrs.value is None:
        return Written("PAD", 22, {}, (paddings,))
    fill = np.array(node.attrs.value, node.type.dtype.numpy)
    return Written("PADV2", 43, {}, (paddings, fill))


def _reshape(node: Node) -> Written:
    return Written("RESHAPE", 17, {}, (np.array(node.attrs.shape, np.int32),))


def _transpose(node: Node) -> Written:
    return Written("TRANSPOSE", 26, {}, (np.array(node.attrs.perm, np.int32),))


def _concat(node: Node) -> Written:
    return Written("CONCATENATION", 10, {0: ("i", node.attrs.axis)})


def _softmax(node: Node) -> Written:
    return Written("SOFTMAX", 9, {0: ("f", node.attrs.beta)})


WRITERS: dict[Op, Callable[[Node], Written]] = {
    Op.CONV2D: _conv2d,
    Op.DEPTHWISE_CONV2D: _depthwise,
    Op.FULLY_CONNECTED: _fully_connected,
    Op.MAX_POOL2D: _pool("MAX_POOL_2D"),
    Op.AVERAGE_POOL2D: _pool("AVERAGE_POOL_2D"),
    Op.MEAN: _mean,
    Op.ADD: _elementwise("ADD", 11),
    Op.SUB: _elementwise("SUB", 28),
    Op.MUL: _elementwise("MUL", 21),
    Op.CLAMP: _clamp,
    Op.LOGISTIC: _plain("LOGISTIC"),
    Op.TANH: _plain("TANH"),
    Op.SOFTMAX: _softmax,
    Op.PAD: _pad,
    Op.RESHAPE: _reshape,
    Op.TRANSPOSE: _transpose,
    Op.CONCAT: _concat,
    Op.QUANTIZE: _plain("QUANTIZE", 89),
    Op.REQUANTIZE: _plain("QUANTIZE", 89),
    Op.DEQUANTIZE: _plain("DEQUANTIZE", 38),
}


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
            3: self._string("milliwatt"),
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
        written = WRITERS[node.op](node)
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
