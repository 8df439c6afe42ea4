"""One-operator .tflite files of custom operators, written by another hand than milliwatt's writer.

The tables come from LiteRT's generated schema, the options from the FlexBuffers package, so that
what the reader accepts is the format and not our own writer's habits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import pytest
from flatbuffers import flexbuffers

TENSOR_TYPE = {
    "float32": 0,
    "int32": 2,
    "uint8": 3,
    "bool": 6,
    "int16": 7,
    "int8": 9,
    "uint64": 12,
    "uint32": 15,
}
Kind = tuple[tuple[int, ...], str]
"""Shape and NumPy element type."""


def custom_model(
    name: str,
    inputs: Sequence[Kind],
    outputs: Sequence[Kind],
    options: dict[str, int | bool],
    constants: Sequence[np.ndarray] = (),
    variables: bool = False,
) -> bytes:
    """A file of one custom operator `name`: inputs, then constants, to `outputs`, all returned.

    `variables`: the outputs are variable tensors.
    """
    schema: Any = pytest.importorskip("ai_edge_litert.schema_py_generated")
    model = schema.ModelT()
    model.version = 3
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.customCode = 32, 32, name
    model.operatorCodes = [code]
    empty = schema.BufferT()
    empty.data = []
    model.buffers = [empty]
    graph = schema.SubGraphT()
    graph.name, graph.tensors = "main", []

    def tensor(label: str, shape: Sequence[int], dtype: str, data: np.ndarray | None) -> int:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = label, list(shape), TENSOR_TYPE[dtype], 0
        if data is not None:
            held = schema.BufferT()
            held.data = np.frombuffer(data.tobytes(), np.uint8)
            model.buffers.append(held)
            made.buffer = len(model.buffers) - 1
        graph.tensors.append(made)
        return len(graph.tensors) - 1

    graph.inputs = [tensor(f"x{i}", *kind, None) for i, kind in enumerate(inputs)]
    stored = [tensor(f"c{i}", a.shape, str(a.dtype), a) for i, a in enumerate(constants)]
    graph.outputs = [tensor(f"y{i}", *kind, None) for i, kind in enumerate(outputs)]
    for number in graph.outputs:
        graph.tensors[number].isVariable = variables
    operator = schema.OperatorT()
    operator.opcodeIndex = 0
    operator.inputs, operator.outputs = [*graph.inputs, *stored], graph.outputs
    operator.customOptions = list(flexbuffers.Dumps(options))
    graph.operators = [operator]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
