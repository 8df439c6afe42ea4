"""The .tflite schema: a checked FlatBuffer as tensors and operators, nothing interpreted yet.

Field numbers follow schema version 3 of TensorFlow Lite (`schema.fbs`). Tensors are decoded when an
operator asks for them, so unused ones cannot break a model.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.flatbuffer import FlatBuffer, Table
from milliwatt.formats.tflite_names import OPERATORS, TENSOR_TYPES, WRITTEN_BY
from milliwatt.formats.tflite_sparse import densify
from milliwatt.ir.types import DType, Quant, Type

MAX_RANK = 8
MAX_TENSOR_BYTES = 2**31 - 1
GROWTH = 16
"""What sparse and 4-bit tensors may unpack to, in sizes of the file (and 1 MB more)."""

_DTYPES = {
    "FLOAT32": DType.F32,
    "FLOAT16": DType.F16,
    "INT64": DType.S64,
    "INT32": DType.S32,
    "INT16": DType.S16,
    "INT8": DType.S8,
    "INT4": DType.S4,
    "UINT64": DType.U64,
    "UINT32": DType.U32,
    "UINT8": DType.U8,
    "BOOL": DType.BOOL,
    "RESOURCE": DType.S32,
}
_ADVICE = {
    "STRING": "text is turned into numbers before the model",
    "FLOAT64": "convert the model again in float32",
    "BFLOAT16": "convert the model again in float32",
    "COMPLEX64": "real and imaginary part as two float32 tensors",
    "COMPLEX128": "real and imaginary part as two float32 tensors",
    "UINT16": "convert the model again with int16 or int32",
}
_NEVER_QUANTIZED = (DType.F32, DType.F16, DType.BOOL)
# Where these say scale 0 or NaN they are indices and counts, which TFLite never scales.
_COUNTS = (DType.S32, DType.S64, DType.U32, DType.U64)


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """One tensor of the file; `data` (read-only) is None for values made or given at run time.

    `is_variable`: it keeps its value from run to run. `is_handle`: it is no value, but names a
    resource variable (TFLM stores the variable's number in it, an s32).
    """

    index: int
    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    dtype: DType
    quant: Quant | None
    data: np.ndarray | None
    is_variable: bool = False
    is_handle: bool = False

    def __str__(self) -> str:
        return describe(self.index, self.name)

    @property
    def type(self) -> Type:
        """What the file says of the value."""
        return Type(self.shape, self.dtype, self.quant)


@dataclass(frozen=True, eq=False, slots=True)
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
    """A .tflite file: its subgraphs, each decoded when it is asked for.

    `is_ours` says that milliwatt wrote the file. ImportFailed with the file offset where the
    structure is broken.
    """

    def __init__(self, data: bytes) -> None:
        if data[4:8] != b"TFL3":
            raise ImportFailed(
                f"offset 4: identifier {bytes(data[4:8])!r}, b'TFL3' wanted; "
                "this is not a .tflite file"
            )
        self.size = len(data)
        self._model = FlatBuffer(data).root()
        version = self._model.integer(0, "I")
        if version != 3:
            raise ImportFailed(f"schema version {version}; version 3 wanted")
        self.is_ours = self._model.string(3) == WRITTEN_BY
        self.codes = [_operator_kind(code) for code in self._model.items(1)]
        self.subgraphs = [
            Subgraph(self, index, table) for index, table in enumerate(self._model.items(2))
        ]
        if not self.subgraphs:
            raise ImportFailed("the file has no subgraph; it holds no network")
        self._buffers = self._model.length(4)
        self._none: tuple[int, np.ndarray] | None = None
        self._growth = (1 << 20) + GROWTH * len(data)

    def grow(self, nbytes: int, where: str) -> None:
        """Count `nbytes` that the tensor `where` takes in memory beyond the file's own bytes."""
        self._growth -= nbytes
        if self._growth < 0:
            raise ImportFailed(
                f"{where} and the packed tensors before it unpack to more than {GROWTH} times "
                "the file; it is damaged or hostile"
            )

    def raw(self, number: int, where: str) -> tuple[int, np.ndarray]:
        """(offset in the file, contents as u8 [bytes]) of buffer `number`, for the tensor `where`.

        The contents are a read-only view of the file.
        """
        if number >= self._buffers:
            raise ImportFailed(
                f"{where} is in buffer {number}, the file has {self._buffers} buffers"
            )
        if number == 0 and self._none is not None:
            return self._none
        table = self._model.item(4, number)
        at, held = table.integer(1, "Q"), table.integer(2, "Q")
        if at > 1:  # the data of large models lies behind the FlatBuffer (schema 3, "offset")
            table.buffer.spend(at, held)
            return table.at, np.frombuffer(table.buffer.data, np.uint8, held, at)
        found = table.at, table.array(0, "<u1")
        if number == 0:  # of every tensor without data
            self._none = found
        return found


class Subgraph:
    """One subgraph: `inputs` and `outputs` are tensor numbers, `operators` come in file order."""

    def __init__(self, file: ModelFile, index: int, table: Table) -> None:
        self.index = index
        self._file = file
        self._graph = table
        self._tensors: dict[int, Tensor] = {}
        self._count = table.length(0)

    @cached_property
    def name(self) -> str:
        """The subgraph's name, often "main"."""
        return self._graph.string(4)

    @cached_property
    def inputs(self) -> tuple[int, ...]:
        """Numbers of the tensors that it is given."""
        return _indices(self._graph, 1)

    @cached_property
    def outputs(self) -> tuple[int, ...]:
        """Numbers of the tensors that it gives."""
        return _indices(self._graph, 2)

    @cached_property
    def operators(self) -> list[Operator]:
        """Its operators, in file order."""
        return [self._operator(index, table) for index, table in enumerate(self._graph.items(3))]

    def _operator(self, index: int, table: Table) -> Operator:
        code, codes = table.integer(0, "I"), self._file.codes
        if code >= len(codes):
            raise ImportFailed(
                f"operator {index} at offset {table.at}: operator code {code}, "
                f"the file has {len(codes)}"
            )
        return Operator(
            index,
            codes[code],
            _indices(table, 1),
            _indices(table, 2),
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
        shape = _shape(table, 0, where)
        # A file made without a fixed batch says -1; one inference at a time is what firmware runs.
        shape = tuple(1 if axis == 0 and size == -1 else size for axis, size in enumerate(shape))
        if any(size < 0 for size in shape):
            raise ImportFailed(
                f"{where} has shape {list(shape)}; export the model with fixed sizes"
            )
        # An axis of size 0 hides sizes beside it that no array has.
        nbytes = Type(tuple(max(size, 1) for size in shape), dtype).nbytes
        if nbytes > MAX_TENSOR_BYTES:
            raise ImportFailed(
                f"{where} has shape {list(shape)}, {nbytes} bytes; {MAX_TENSOR_BYTES} bytes at most"
            )
        quantization = None if dtype in _NEVER_QUANTIZED else table.table(4)
        quant = None if quantization is None else _quant(quantization, shape, dtype, where)
        signature = _shape(table, 7, where)
        is_variable = table.integer(5, "B") != 0
        is_handle = TENSOR_TYPES[table.integer(1, "B")] == "RESOURCE"
        data = None if is_handle else self._data(table, shape, dtype, where)
        return Tensor(index, name, shape, signature, dtype, quant, data, is_variable, is_handle)

    def _data(
        self, table: Table, shape: tuple[int, ...], dtype: DType, where: str
    ) -> np.ndarray | None:
        """The contents of the tensor's buffer as it sees them, None where that holds nothing."""
        number, sparsity = table.integer(2, "I"), table.table(6)
        at, raw = self._file.raw(number, where)
        wanted = Type(shape, dtype).nbytes
        if raw.size == 0 and wanted:
            return None
        if sparsity is not None:
            self._file.grow(math.prod(shape) * dtype.itemsize, where)
            if raw.size % dtype.itemsize or dtype is DType.S4:
                raise UnsupportedOp(
                    f"{where} is {raw.size} bytes of sparse {dtype}; s8, s16 or f32 wanted"
                )
            stored = raw.view(dtype.numpy.newbyteorder("<")).astype(dtype.numpy)
            return densify(sparsity, stored, shape, where)
        if raw.size != wanted:
            raise ImportFailed(
                f"{where} is {dtype}{list(shape)}, {wanted} bytes; "
                f"buffer {number} at offset {at} holds {raw.size}"
            )
        if dtype is DType.S4:
            self._file.grow(2 * wanted, where)
            return _nibbles(raw, shape)
        little = raw.view(dtype.numpy.newbyteorder("<")).reshape(shape)
        # No copy of what lies in the file as this machine wants it.
        values: np.ndarray = np.require(little, dtype.numpy, ["C", "A"])
        values.setflags(write=False)
        return values


def _nibbles(raw: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """s4 elements, two to a byte, the low nibble first, as int8 from -8 to 7."""
    pairs = np.stack([raw & 15, raw >> 4], axis=-1).astype(np.int8)
    values: np.ndarray = ((pairs ^ 8) - 8).reshape(-1)[: math.prod(shape)].reshape(shape)
    values = np.ascontiguousarray(values)
    values.setflags(write=False)
    return values


def _indices(table: Table, field: int) -> tuple[int, ...]:
    return table.integers(field)


def _operator_kind(code: Table) -> str:
    """Name of an operator code; files made before 2020 have only the narrow field 0."""
    number = max(code.integer(0, "b"), code.integer(3, "i"))
    if not 0 <= number < len(OPERATORS):
        return f"builtin operator {number}"
    if OPERATORS[number] == "CUSTOM":
        name = code.string(1, 60)
        # TFLM finds custom operators by name; one that is called ADD is not the builtin ADD.
        return name if re.fullmatch(r"\w+", name) and name not in OPERATORS else f"custom {name!a}"
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
        raise UnsupportedOp(f"{where} is {name}, which milliwatt does not have; {advice}")
    return _DTYPES[name]


def _shape(table: Table, field: int, where: str) -> tuple[int, ...]:
    shape = table.integers(field)
    if len(shape) > MAX_RANK:
        raise ImportFailed(f"{where} has {len(shape)} axes; {MAX_RANK} at most")
    return shape


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
    if dtype in _COUNTS and not all(math.isfinite(s) and s > 0 for s in scales):
        return None
    for scale in scales:
        if not (math.isfinite(scale) and scale > 0):
            raise ImportFailed(f"{where} has scale {scale}; a finite number above 0 wanted")
    low, high = dtype.limits
    for zero in zeros:
        if not low <= zero <= high:
            raise ImportFailed(f"{where} has zero point {zero}; {low} to {high} wanted for {dtype}")
    return Quant(tuple(scales), tuple(zeros), axis if count > 1 else None)
