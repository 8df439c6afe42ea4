"""The .tflite schema: a checked FlatBuffer as tensors and operators, nothing interpreted yet.

Field numbers follow schema version 3 of TensorFlow Lite (`schema.fbs`). Tensors are decoded when an
operator asks for them, so unused ones cannot break a model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.flatbuffer import FlatBuffer, Table
from milliwatt.formats.tflite_names import OPERATORS, TENSOR_TYPES, WRITTEN_BY
from milliwatt.ir.types import DType, Quant

MAX_RANK = 8
MAX_TENSOR_BYTES = 2**31 - 1

_DTYPES = {
    "FLOAT32": DType.F32,
    "INT64": DType.S64,
    "INT32": DType.S32,
    "INT16": DType.S16,
    "INT8": DType.S8,
    "BOOL": DType.BOOL,
}
_ADVICE = {
    "UINT8": "convert the model again with int8 inputs, outputs and weights",
    "FLOAT16": "convert the model again without float16 weights",
    "INT4": "convert the model again with int8 weights",
}


@dataclass(frozen=True, eq=False)
class Tensor:
    """One tensor of the file; `data` is None for values computed or given at run time."""

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: DType
    quant: Quant | None
    data: np.ndarray | None

    def __str__(self) -> str:
        return describe(self.index, self.name)


@dataclass(frozen=True, eq=False)
class Operator:
    """One operator of the file: `inputs` holds tensor numbers, -1 for an operand left out."""

    index: int
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None
    custom: bytes = b""


def describe(index: int, name: str) -> str:
    """How error messages call a tensor: its number and its name, on one line."""
    return f"tensor {index} {name[:80]!a}"


class ModelFile:
    """The one subgraph of a .tflite file.

    `inputs` and `outputs` are tensor numbers, `operators` the operators in file order; `is_ours`
    says that milliwatt wrote the file.
    ImportFailed with the file offset where the structure is broken; UnsupportedOp for control flow.
    """

    def __init__(self, data: bytes) -> None:
        if data[4:8] != b"TFL3":
            raise ImportFailed(
                f"offset 4: identifier {bytes(data[4:8])!r}, b'TFL3' wanted; "
                "this is not a .tflite file"
            )
        self._model = FlatBuffer(data).root()
        version = self._model.integer(0, "I")
        if version != 3:
            raise ImportFailed(f"schema version {version}; version 3 wanted")
        self.is_ours = self._model.string(3) == WRITTEN_BY
        subgraphs = self._model.length(2)
        if subgraphs == 0:
            raise ImportFailed("the file has no subgraph; it holds no network")
        if subgraphs > 1:
            raise UnsupportedOp(
                f"the file has {subgraphs} subgraphs (control flow or several signatures); "
                "1 wanted, export a single signature without IF, WHILE and CALL_ONCE"
            )
        self._graph = self._model.item(2, 0)
        self._tensors: dict[int, Tensor] = {}
        self._count = self._graph.length(0)
        self._buffers = self._model.length(4)
        self.inputs = self._indices(self._graph, 1)
        self.outputs = self._indices(self._graph, 2)
        codes = [_operator_kind(code) for code in self._model.items(1)]
        self.operators = [
            self._operator(index, table, codes) for index, table in enumerate(self._graph.items(3))
        ]

    def _indices(self, table: Table, field: int) -> tuple[int, ...]:
        return tuple(int(i) for i in table.array(field, "<i4"))

    def _operator(self, index: int, table: Table, codes: list[str]) -> Operator:
        code = table.integer(0, "I")
        if code >= len(codes):
            raise ImportFailed(
                f"operator {index} at offset {table.at}: operator code {code}, "
                f"the file has {len(codes)}"
            )
        return Operator(
            index,
            codes[code],
            self._indices(table, 1),
            self._indices(table, 2),
            table.integer(3, "B"),
            table.table(4),
            table.array(5, "<u1").tobytes(),
        )

    def tensor(self, index: int) -> Tensor:
        """Tensor number `index`; ImportFailed or UnsupportedOp where it cannot be used."""
        if index not in self._tensors:
            if not 0 <= index < self._count:
                raise ImportFailed(
                    f"tensor {index} is used, the file has tensors 0 to {self._count - 1}"
                )
            self._tensors[index] = self._decode(index, self._graph.item(0, index))
        return self._tensors[index]

    def _decode(self, index: int, table: Table) -> Tensor:
        name = table.string(3)
        where = describe(index, name)
        dtype = _dtype(table, where)
        if table.integer(5, "B"):
            raise UnsupportedOp(
                f"{where} is a variable that keeps state; stateless models are supported"
            )
        if table.table(6) is not None:
            raise UnsupportedOp(
                f"{where} is stored sparse; convert the model again with dense weights"
            )
        shape = _shape(table, 0, where)
        # A file made without a fixed batch says -1; one inference at a time is what firmware runs.
        shape = tuple(1 if axis == 0 and size == -1 else size for axis, size in enumerate(shape))
        if any(size < 0 for size in shape):
            raise ImportFailed(
                f"{where} has shape {list(shape)}; export the model with fixed sizes"
            )
        nbytes = math.prod(shape) * dtype.itemsize
        if nbytes > MAX_TENSOR_BYTES:
            raise ImportFailed(
                f"{where} has shape {list(shape)}, {nbytes} bytes; {MAX_TENSOR_BYTES} bytes at most"
            )
        quantization = None if dtype in (DType.F32, DType.BOOL) else table.table(4)
        quant = None if quantization is None else _quant(quantization, shape, dtype, where)
        signature = _shape(table, 7, where)
        data = self._data(table.integer(2, "I"), shape, dtype, where)
        return Tensor(index, name, shape, signature, dtype, quant, data)

    def _data(
        self, number: int, shape: tuple[int, ...], dtype: DType, where: str
    ) -> np.ndarray | None:
        """The contents of buffer `number` as the tensor sees them, None where it holds nothing."""
        if number >= self._buffers:
            raise ImportFailed(
                f"{where} is in buffer {number}, the file has {self._buffers} buffers"
            )
        table = self._model.item(4, number)
        at, held = table.integer(1, "Q"), table.integer(2, "Q")
        if at > 1:  # the data of large models lies behind the FlatBuffer (schema 3, "offset")
            table.buffer.spend(at, held)
            raw = np.frombuffer(table.buffer.data, np.uint8, held, at)
        else:
            held = table.length(0, 1)
            raw = table.array(0, "<u1") if held else np.empty(0, np.uint8)
        wanted = math.prod(shape) * dtype.itemsize
        if held == 0 and wanted:
            return None
        if held != wanted:
            raise ImportFailed(
                f"{where} is {dtype}{list(shape)}, {wanted} bytes; "
                f"buffer {number} at offset {table.at} holds {held}"
            )
        values: np.ndarray = raw.view(dtype.numpy.newbyteorder("<")).reshape(shape)
        return values


def _operator_kind(code: Table) -> str:
    """Name of an operator code; files made before 2020 have only the narrow field 0."""
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    if not 0 <= number < len(OPERATORS):
        return f"builtin operator {number}"
    if OPERATORS[number] == "CUSTOM":
        return code.string(1, 60)
    return OPERATORS[number]


def _dtype(table: Table, where: str) -> DType:
    number = table.integer(1, "B")
    if number >= len(TENSOR_TYPES):
        raise ImportFailed(
            f"{where} has element type number {number}; 0 to {len(TENSOR_TYPES) - 1} wanted"
        )
    name = TENSOR_TYPES[number]
    if name not in _DTYPES:
        advice = _ADVICE.get(name, "export the model in float32 or int8")
        raise UnsupportedOp(f"{where} is {name}; {', '.join(_DTYPES)} are supported, {advice}")
    return _DTYPES[name]


def _shape(table: Table, field: int, where: str) -> tuple[int, ...]:
    rank = table.length(field)
    if rank > MAX_RANK:
        raise ImportFailed(f"{where} has {rank} axes; {MAX_RANK} at most")
    return tuple(int(size) for size in table.array(field, "<i4"))


def _quant(table: Table, shape: tuple[int, ...], dtype: DType, where: str) -> Quant | None:
    """Quantization of an integer tensor, None where the file gives no scale."""
    count, points = table.length(2), table.length(3, 8)
    if count == 0:
        return None
    if table.integer(4, "B"):
        raise UnsupportedOp(f"{where} has custom quantization; affine quantization is supported")
    axis = table.integer(6, "i")
    if len(shape) == 1:
        # Some converters give a bias the axis of its weights (TFLM's person_detect says 3).
        axis = 0
    if count > 1 and not (0 <= axis < len(shape) and shape[axis] == count):
        raise ImportFailed(
            f"{where} is {dtype}{list(shape)} with {count} scales on axis {axis}; "
            "1 scale or one per index of the axis wanted"
        )
    if points not in (0, 1, count):
        raise ImportFailed(f"{where} has {count} scales and {points} zero points; as many wanted")
    scales = [float(s) for s in table.array(2, "<f4")]
    zeros = [int(z) for z in table.array(3, "<i8")] or [0]
    if len(zeros) != count:
        zeros = zeros * count
    for scale in scales:
        if not (math.isfinite(scale) and scale > 0):
            raise ImportFailed(f"{where} has scale {scale}; a finite number above 0 wanted")
    low, high = dtype.limits
    for zero in zeros:
        if not low <= zero <= high:
            raise ImportFailed(f"{where} has zero point {zero}; {low} to {high} wanted for {dtype}")
    return Quant(tuple(scales), tuple(zeros), axis if count > 1 else None)
