"""The generated files of a fuzz corpus: every operator and type, and every way of storing them.

What milliwatt's writer never says (uint8, sparse and compressed constants, operators that are read
as others) is put together by hand in the schema's object form.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as tflite

from bench.common import HERE
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.types import DType

sys.path.insert(0, str(HERE.parent / "tests"))  # the draws are the tests'

from support.move_files import FILES
from support.random_graphs import random_graph
from support.single_ops import GRID, single_op
from support.tflite_build import File, Part, options
from support.tflite_edit import edited

DRAWS = 3
NETWORKS = 20
_SHAPE = (4, 6)


def generated(draws: int = DRAWS, networks: int = NETWORKS) -> list[bytes]:
    """`draws` files of each operator and type, and files of several; always the same."""
    made = [*_single(draws), *_stored()]
    for seed in range(networks):
        dtype = (DType.S8, DType.F32)[seed % 2]
        made.append(write_tflite(random_graph(seed, dtype, steps=2 + seed % 5)))
    return made


def _single(draws: int) -> Iterator[bytes]:
    for seed in range(draws):
        for name, dtype in GRID:
            model = write_tflite(single_op(name, dtype, seed))
            yield model
            if dtype is DType.S8:
                yield edited(model, _as_unsigned)
        for draw, _, dtypes in FILES.values():
            for dtype in dtypes:
                yield draw(np.random.default_rng(seed), dtype)


def _as_unsigned(tree: Any) -> None:
    """Turn the quantized int8 tensors into the uint8 tensors of the same values."""
    shifted: set[int] = set()
    for tensor in (t for graph in tree.subgraphs for t in graph.tensors):
        quant = tensor.quantization
        if tensor.type != tflite.TensorType.INT8 or quant is None or quant.scale is None:
            continue
        tensor.type = tflite.TensorType.UINT8
        quant.zeroPoint = np.array(quant.zeroPoint, np.int64) + 128
        held = tree.buffers[tensor.buffer]
        if held.data is not None and tensor.buffer not in shifted:
            shifted.add(tensor.buffer)
            held.data = np.array(held.data, np.uint8) ^ 0x80


def _stored() -> Iterator[bytes]:
    """Constants that are sparse, or compressed in each of TFLM's ways."""
    dense, rows = [(4, None), (6, None)], ([0, 1, 3, 3, 4], [5, 0, 2, 1])
    blocks = [(2, None), (3, None), (2, None), (2, None)]
    yield _sparse(np.arange(24), [0, 1], [], dense)
    yield _sparse(np.arange(4), [0, 1], [], [(4, None), (0, rows)])
    yield _sparse(np.arange(24), [0, 1, 2, 3], [0, 1], blocks)
    floats = np.arange(16, dtype="<f4").tobytes()
    codes = np.arange(24, dtype=np.uint8).tobytes()
    yield _compressed(codes, bytes((0, 1, 0, 0, 1, 4, 16)).ljust(16, b"\0") + floats)
    tree = np.array([0x8805, 0x8805, 0x90FA, 0x0001, 0x8807, 0x8809], "<u2").tobytes()
    yield _compressed(codes, bytes((1, 1, 0, 0, 1, 2)).ljust(16, b"\0") + tree)
    yield _compressed(b"\xf0\x0f\x33", bytes((2, 1, 0, 0, 1)).ljust(16, b"\0") + floats[:48])


def _sum(part: Part, held: int) -> None:
    """The network x + held."""
    x, y = (part.tensor(name, "f32", _SHAPE) for name in "xy")
    part.ends([x], part.add("ADD", [x, held], [y], options("Add")))


def _sparse(values: np.ndarray, order: list[int], blocks: list[int], levels: Any) -> bytes:
    file = File("main")
    (main,) = file.parts
    held = main.tensor("w", "f32", _SHAPE, value=values.astype(np.float32))
    sparsity = tflite.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap = order, blocks
    sparsity.dimMetadata = [_level(*level) for level in levels]
    main.tree.tensors[held].sparsity = sparsity
    (dense,) = main.add("DENSIFY", [held], [main.tensor("dense", "f32", _SHAPE)])
    _sum(main, dense)
    return file.write()


def _level(size: int, indices: tuple[list[int], list[int]] | None) -> Any:
    """A level that is dense, or one of (segments, indices)."""
    made = tflite.DimensionMetadataT()
    made.format, made.denseSize = int(indices is not None), size
    if indices is not None:
        made.arraySegments, made.arrayIndices = tflite.Int32VectorT(), tflite.Uint8VectorT()
        made.arraySegments.values = np.array(indices[0], np.int32)
        made.arrayIndices.values = np.array(indices[1], np.uint8)
        made.arraySegmentsType, made.arrayIndicesType = 1, 3
    return made


def _compressed(codes: bytes, tables: bytes) -> bytes:
    file = File("main")
    (main,) = file.parts
    held = [
        main.tensor(name, "s8", (len(data),), value=np.frombuffer(data, np.int8))
        for name, data in (("codes", codes), ("tables", tables))
    ]
    (made,) = main.add("TFLM_DECODE", held, [main.tensor("w", "f32", _SHAPE)])
    _sum(main, made)
    return file.write()
