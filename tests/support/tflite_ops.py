""".tflite files of a few operators, written by another hand than milliwatt's writer.

The tables come from LiteRT's generated schema, so that what the reader accepts is the format and
not our own writer's habits. For operators that milliwatt reads as others and never writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import pytest

from milliwatt.ir.types import DType, Quant, Type

_TENSOR_TYPE = {
    DType.F32: 0,
    DType.S32: 2,
    DType.U8: 3,
    DType.S64: 4,
    DType.BOOL: 6,
    DType.S16: 7,
    DType.S8: 9,
}


class TfliteFile:
    """A file under construction; tensors go by their number."""

    def __init__(self) -> None:
        """No tensors and no operators yet."""
        self._schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
        self._model = self._schema.ModelT()
        self._model.version = 3
        self._model.operatorCodes = []
        self._model.buffers = [self._schema.BufferT()]
        self._graph = self._schema.SubGraphT()
        self._graph.tensors, self._graph.operators, self._graph.inputs = [], [], []

    def tensor(self, kind: Type, data: np.ndarray | None = None) -> int:
        """A tensor; `data` is its value where it is a constant."""
        made = self._schema.TensorT()
        made.name = f"t{len(self._graph.tensors)}"
        made.shape, made.type, made.buffer = list(kind.shape), _TENSOR_TYPE[kind.dtype], 0
        if kind.quant is not None:
            made.quantization = self._schema.QuantizationParametersT()
            made.quantization.scale = list(kind.quant.scale)
            made.quantization.zeroPoint = list(kind.quant.zero_point)
        if data is not None:
            held = self._schema.BufferT()
            held.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            self._model.buffers.append(held)
            made.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def input(self, kind: Type) -> int:
        """An input of the model."""
        self._graph.inputs.append(self.tensor(kind))
        return int(self._graph.inputs[-1])

    def constant(self, value: object, dtype: DType = DType.S32, quant: Quant | None = None) -> int:
        """A stored tensor, a list of numbers or an array."""
        array = np.array(value, dtype.numpy)
        return self.tensor(Type(array.shape, dtype, quant), array)

    def operator(
        self,
        kind: str,
        operands: Sequence[int],
        results: Sequence[Type],
        options: str = "",
        **fields: int | bool,
    ) -> list[int]:
        """An operator of that name; `fields` are those of its `options` table. Its results."""
        number = getattr(self._schema.BuiltinOperator, kind)
        code = self._schema.OperatorCodeT()
        code.builtinCode, code.deprecatedBuiltinCode, code.version = number, min(number, 127), 1
        self._model.operatorCodes.append(code)
        made = self._schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = list(operands), [self.tensor(kind) for kind in results]
        if options:
            made.builtinOptionsType = getattr(self._schema.BuiltinOptions, options)
            made.builtinOptions = getattr(self._schema, f"{options}T")()
            for name, value in fields.items():
                assert hasattr(made.builtinOptions, name), f"{options} has no {name}"
                setattr(made.builtinOptions, name, value)
        self._graph.operators.append(made)
        return list(made.outputs)

    def data(self, outputs: Sequence[int]) -> bytes:
        """The file, with these tensors as the model's outputs."""
        self._graph.outputs = list(outputs)
        self._model.subgraphs = [self._graph]
        builder = flatbuffers.Builder(4096)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
