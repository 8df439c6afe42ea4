"""Small .tflite files of several subgraphs, put together by hand in the schema's object form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as tflite

TYPES = {
    "f32": tflite.TensorType.FLOAT32,
    "s32": tflite.TensorType.INT32,
    "s8": tflite.TensorType.INT8,
    "bool": tflite.TensorType.BOOL,
    "resource": tflite.TensorType.RESOURCE,
}


class Part:
    """One subgraph: tensors are numbers, operators are added in order."""

    def __init__(self, file: File, name: str) -> None:
        self.file, self.tree = file, tflite.SubGraphT()
        self.tree.name, self.tree.tensors, self.tree.operators = name.encode(), [], []
        self.tree.inputs, self.tree.outputs = [], []

    def tensor(
        self,
        name: str,
        dtype: str = "f32",
        shape: Sequence[int] = (1,),
        *,
        value: Any = None,
        quant: tuple[float, int] | None = None,
        variable: bool = False,
    ) -> int:
        """A new tensor's number; `value` is its stored data."""
        entry = tflite.TensorT()
        entry.name, entry.type, entry.shape = name.encode(), TYPES[dtype], list(shape)
        entry.isVariable = variable
        if value is not None:
            entry.buffer = self.file.buffer(np.ascontiguousarray(value).tobytes())
        if quant is not None:
            entry.quantization = tflite.QuantizationParametersT()
            entry.quantization.scale, entry.quantization.zeroPoint = [quant[0]], [quant[1]]
        self.tree.tensors.append(entry)
        return len(self.tree.tensors) - 1

    def add(
        self, kind: str, ins: Sequence[int], outs: Sequence[int], options: Any = None
    ) -> Sequence[int]:
        """Add an operator; `options` is the schema's options object."""
        entry = tflite.OperatorT()
        entry.opcodeIndex, entry.inputs, entry.outputs = self.file.code(kind), [*ins], [*outs]
        if options is not None:
            table = type(options).__name__.removesuffix("T")
            entry.builtinOptionsType = getattr(tflite.BuiltinOptions, table)
            entry.builtinOptions = options
        self.tree.operators.append(entry)
        return outs

    def handle(self, name: str, container: str = "") -> int:
        """A VAR_HANDLE operator; its result's number."""
        options = tflite.VarHandleOptionsT()
        options.container, options.sharedName = container.encode(), name.encode()
        return self.add("VAR_HANDLE", [], [self.tensor(f"{name}/handle", "resource", ())], options)[
            0
        ]

    def ends(self, ins: Sequence[int], outs: Sequence[int]) -> None:
        """Say what the subgraph takes and gives."""
        self.tree.inputs, self.tree.outputs = [*ins], [*outs]


class File:
    """A model; `parts` are its subgraphs, the first one the network."""

    def __init__(self, *names: str) -> None:
        self.tree = tflite.ModelT()
        self.tree.version, self.tree.operatorCodes = 3, []
        self.tree.buffers = [tflite.BufferT()]
        self.parts = [Part(self, name) for name in names]

    def buffer(self, data: bytes) -> int:
        """The number of a buffer that holds `data`."""
        entry = tflite.BufferT()
        entry.data = np.frombuffer(data, np.uint8)
        self.tree.buffers.append(entry)
        return len(self.tree.buffers) - 1

    def code(self, kind: str) -> int:
        """The number of an operator code; a name that is no builtin one is a custom operator's."""
        entry = tflite.OperatorCodeT()
        number = getattr(tflite.BuiltinOperator, kind, tflite.BuiltinOperator.CUSTOM)
        entry.builtinCode, entry.deprecatedBuiltinCode, entry.version = number, min(number, 127), 1
        if number == tflite.BuiltinOperator.CUSTOM:
            entry.customCode = kind.encode()
        self.tree.operatorCodes.append(entry)
        return len(self.tree.operatorCodes) - 1

    def write(self) -> bytes:
        """The file's bytes."""
        self.tree.subgraphs = [part.tree for part in self.parts]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.tree.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def options(kind: str, **values: Any) -> Any:
    """The schema's options object of that name with some fields set."""
    made = getattr(tflite, f"{kind}OptionsT")()
    for name, value in values.items():
        assert hasattr(made, name), name
        setattr(made, name, value)
    return made
