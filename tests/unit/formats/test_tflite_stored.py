"""How constants are stored: sparse, two to a byte, in 16-bit floats; and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.graph import Graph
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType
from support.oracle import litert
from support.tflite_build import File, options

INDEX_TYPES = {
    np.int32: (tflite.Int32VectorT, 1),
    np.uint16: (tflite.Uint16VectorT, 2),
    np.uint8: (tflite.Uint8VectorT, 3),
}


def level(size: int = 0, indices: tuple[list[int], list[int]] | None = None, kind: Any = np.int32):
    """A dense level of `size` indices, or a sparse one of (segments, indices)."""
    made = tflite.DimensionMetadataT()
    made.format, made.denseSize = int(indices is not None), size
    if indices is not None:
        vector, number = INDEX_TYPES[kind]
        arrays = []
        for values in indices:
            arrays.append(vector())
            arrays[-1].values = np.array(values, kind)
        made.arraySegments, made.arrayIndices = arrays
        made.arraySegmentsType = made.arrayIndicesType = number
    return made


def sparse_model(
    values: list[float], shape: list[int], order: list[int], blocks: list[int], levels: list[Any]
) -> bytes:
    """x + dense(w), w a constant stored sparse."""
    file = File("main")
    (main,) = file.parts
    x = main.tensor("x", "f32", shape)
    held = main.tensor("w", "f32", shape, value=np.float32(values))
    sparsity = tflite.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap, sparsity.dimMetadata = order, blocks, levels
    main.tree.tensors[held].sparsity = sparsity
    (dense,) = main.add("DENSIFY", [held], [main.tensor("dense", "f32", shape)], None)
    (y,) = main.add("ADD", [x, dense], [main.tensor("y", "f32", shape)], options("Add"))
    main.ends([x], [y])
    return file.write()


ROWS = np.float32([[0, 1, 0, 2], [0, 0, 0, 0], [3, 0, 0, 4]])
ROW_LEVEL = ([0, 2, 2, 4], [1, 3, 0, 3])


@pytest.mark.parametrize("kind", INDEX_TYPES)
def test_compressed_rows(kind: Any) -> None:
    levels = [level(3), level(0, ROW_LEVEL, kind)]
    model = sparse_model([1, 2, 3, 4], [3, 4], [0, 1], [], levels)
    x = np.float32(np.arange(12).reshape(3, 4))
    assert (run(read_tflite(model), [x])[0] == x + ROWS).all()
    assert (litert(model, [x]) == x + ROWS).all()


def test_columns_first() -> None:
    levels = [level(4), level(0, ([0, 1, 2, 2, 4], [2, 0, 0, 2]))]
    model = sparse_model([3, 1, 2, 4], [3, 4], [1, 0], [], levels)
    x = np.zeros((3, 4), np.float32)
    assert (run(read_tflite(model), [x])[0] == ROWS).all()


def test_blocks() -> None:
    """Blocks of 2 x 2 in a 4 x 4 matrix: the second of the first row, the first of the second."""
    levels = [level(2), level(0, ([0, 1, 2], [1, 0])), level(2), level(2)]
    model = sparse_model([1, 2, 3, 4, 5, 6, 7, 8], [4, 4], [0, 1, 2, 3], [0, 1], levels)
    wanted = np.float32([[0, 0, 1, 2], [0, 0, 3, 4], [5, 6, 0, 0], [7, 8, 0, 0]])
    x = np.zeros((4, 4), np.float32)
    assert (run(read_tflite(model), [x])[0] == wanted).all()
    assert (litert(model, [x]) == wanted).all()


BROKEN = [
    ([1, 2, 3], [3, 4], [0, 1], [], [level(3), level(0, ROW_LEVEL)], "3 values; 4 wanted"),
    ([1, 2], [3, 4], [0, 0], [], [level(3), level(4)], "each of 2 dimensions"),
    ([1, 2], [3, 4], [0, 1], [], [level(3)], "in 1 levels"),
    ([1, 2], [3, 4], [0, 1], [], [level(3), level(0)], "level of 0 indices"),
    ([1, 2], [3, 4], [0, 1], [], [level(9999), level(9999)], "sparse level of 9999"),
    ([1], [3, 4], [0, 1], [], [level(3), level(0, ([0, 1, 0, 1], [1]))], "do not rise"),
    ([1], [3, 4], [0, 1], [], [level(3), level(0, ([0, 1], [1]))], "level of 1 segments; 3"),
    ([1], [3, 4], [0, 1], [], [level(3), level(0, ([0, 0, 0, 1], [7]))], "index outside"),
    ([1], [3, 4], [0, 1], [], [level(3), level(0, ([0, 0, 0, 1], [-1]))], "index outside"),
    ([1], [3, 4], [0, 1, 2], [5], [level(3), level(4), level(1)], "blocks along"),
    ([1], [4096, 2048], [0, 1], [], [level(3), level(4)], "unpack to more than 16 times"),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case[-1])
def test_sparse_tensors_that_do_not_fit(case: Any) -> None:
    *parts, message = case
    with pytest.raises(ImportFailed, match=f"'w' .*{message}"):
        read_tflite(sparse_model(*parts))


def constant_model(kind: str, shape: list[int], data: np.ndarray) -> Graph:
    """A model whose output is a constant of the schema's type `kind`."""
    file = File("main")
    (main,) = file.parts
    held = main.tensor("w", "s8", shape, value=data, quant=(0.5, 0))
    main.tree.tensors[held].type = getattr(tflite.TensorType, kind)
    main.ends([], [held])
    return read_tflite(file.write())


def test_four_bits_low_nibble_first() -> None:
    graph = constant_model("INT4", [5], np.uint8([0x21, 0xF8, 0x07]))
    (node,) = graph.outputs
    assert node.type.dtype is DType.S4
    assert node.value.tolist() == [1, 2, -8, -1, 7]


@pytest.mark.parametrize(
    ("kind", "dtype", "data"),
    [
        ("FLOAT16", DType.F16, np.float16([1.5, -2])),
        ("UINT32", DType.U32, np.uint32([1, 2**32 - 1])),
        ("UINT64", DType.U64, np.uint64([1, 2**64 - 1])),
        ("INT64", DType.S64, np.int64([1, -(2**63)])),
        ("BOOL", DType.BOOL, np.array([True, False])),
        ("INT16", DType.S16, np.int16([1, -32768])),
    ],
)
def test_element_types(kind: str, dtype: DType, data: np.ndarray) -> None:
    (node,) = constant_model(kind, [2], data).outputs
    assert node.type.dtype is dtype
    assert (node.value == data).all()
    assert node.value.dtype == data.dtype


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        ("STRING", "text is turned into numbers"),
        ("FLOAT64", "in float32"),
        ("COMPLEX64", "two float32 tensors"),
        ("UINT16", "int16 or int32"),
        ("VARIANT", "float32 or int8"),
    ],
)
def test_element_types_that_are_refused(kind: str, advice: str) -> None:
    with pytest.raises(UnsupportedOp, match=f"'w' is {kind}, .*{advice}"):
        constant_model(kind, [2], np.zeros(2, np.int64))


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf")])
def test_scales_of_counts_are_ignored(scale: float) -> None:
    file = File("main")
    (main,) = file.parts
    held = main.tensor("w", "s32", [2], value=np.int32([1, 2]), quant=(scale, 0))
    main.ends([], [held])
    (node,) = read_tflite(file.write()).outputs
    assert node.type.quant is None
