"""Random .tflite files of moving operators that milliwatt reads as others.

A draw gives the bytes; shapes of results come from NumPy doing the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from milliwatt.ir.types import DType, Type
from support.ops.core import Rng, size, some_quant, some_shape
from support.tflite_ops import TfliteFile

FileDraw = Callable[[Rng, DType], bytes]
S8, S16, S32, S64, F32 = DType.S8, DType.S16, DType.S32, DType.S64, DType.F32
U8, BOOL = DType.U8, DType.BOOL


def _input(rng: Rng, dtype: DType, shape: tuple[int, ...]) -> Type:
    return Type(shape, dtype, some_quant(rng, dtype))


def _like(kind: Type, shape: Sequence[int]) -> Type:
    return Type(tuple(shape), kind.dtype, kind.quant)


def _axis(rng: Rng, rank: int) -> int:
    return size(rng, -rank, rank - 1)


def _slice(rng: Rng, dtype: DType) -> bytes:
    x = _input(rng, dtype, some_shape(rng, (1, 5)))
    begin = [size(rng, 0, dim - 1) for dim in x.shape]
    count = [size(rng, 1, dim - first) for dim, first in zip(x.shape, begin, strict=True)]
    said = [
        -1 if first + n == dim and rng.random() < 0.7 else n
        for dim, first, n in zip(x.shape, begin, count, strict=True)
    ]
    wide = S64 if rng.random() < 0.3 else S32
    file = TfliteFile()
    operands = [file.input(x), file.constant(begin, wide), file.constant(said, wide)]
    return file.data(file.operator("SLICE", operands, [_like(x, count)], "SliceOptions"))


def _entry(rng: Rng, dim: int) -> tuple[int, int, int]:
    """begin, end and stride that take something, bounds also from the back and beyond."""
    while True:
        begin, end = size(rng, -dim - 1, dim + 1), size(rng, -dim - 2, dim + 2)
        stride = int(rng.choice([1, 1, 2, 3, -1, -2]))
        if len(range(dim)[begin:end:stride]):
            return begin, end, stride


def _strided(rng: Rng, dtype: DType, shape: tuple[int, ...], *, extended: bool) -> bytes:
    """`extended`: what TFLM lacks: ellipses, new axes, fewer entries than axes."""
    x = _input(rng, dtype, shape)
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0, "ellipsisMask": 0, "newAxisMask": 0}
    entries: list[tuple[int, int, int]] = []
    index: list[object] = []
    kept = size(rng, 1, len(shape)) if extended else len(shape)
    # LiteRT lets an ellipsis that stands for no axis take one; TensorFlow and NumPy do not.
    gap = size(rng, 0, kept) if kept < len(shape) and rng.random() < 0.6 else None
    for at in range(kept):
        bit = 1 << len(entries)
        if at == gap:
            masks["ellipsisMask"] |= bit
            entries.append((0, 0, 1))
            index.append(...)
            bit = 1 << len(entries)
        if extended and rng.random() < 0.3:
            masks["newAxisMask"] |= bit
            entries.append((0, 1, 1))
            index.append(None)
            bit = 1 << len(entries)
        dim = shape[at if gap is None or at < gap else at + len(shape) - kept]
        begin, end, stride = _entry(rng, dim)
        if rng.random() < 0.25:
            begin, stride = size(rng, -dim, dim - 1), 1
            masks["shrinkAxisMask"] |= bit
            index.append(begin)
        else:
            open_begin, open_end = rng.random() < 0.3, rng.random() < 0.3
            cut = slice(None if open_begin else begin, None if open_end else end, stride)
            masks["beginMask"] |= bit * open_begin
            masks["endMask"] |= bit * open_end
            index.append(cut)
        entries.append((begin, end, stride))
    result = np.empty(shape, np.int8)[tuple(index)]
    if result.size == 0:
        return _strided(rng, dtype, shape, extended=extended)
    columns = zip(*entries, strict=True)
    file = TfliteFile()
    operands = [file.input(x), *(file.constant(column) for column in columns)]
    kinds = [_like(x, result.shape)]
    return file.data(
        file.operator("STRIDED_SLICE", operands, kinds, "StridedSliceOptions", **masks)
    )


def _strided_slice(rng: Rng, dtype: DType) -> bytes:
    return _strided(rng, dtype, some_shape(rng), extended=False)


def _strided_slice_extended(rng: Rng, dtype: DType) -> bytes:
    return _strided(rng, dtype, some_shape(rng, (1, 3)), extended=True)


def _strided_slice_offset(rng: Rng, dtype: DType) -> bytes:
    """The end is a distance from the begin."""
    x = _input(rng, dtype, some_shape(rng))
    begin = [size(rng, 0, dim - 1) for dim in x.shape]
    count = [size(rng, 1, dim - first) for dim, first in zip(x.shape, begin, strict=True)]
    file = TfliteFile()
    lists = (begin, count, [1] * len(begin))
    operands = [file.input(x), *(file.constant(values) for values in lists)]
    kinds = [_like(x, count)]
    return file.data(
        file.operator("STRIDED_SLICE", operands, kinds, "StridedSliceOptions", offset=True)
    )


def _split(rng: Rng, dtype: DType) -> bytes:
    count, shape = size(rng, 1, 4), list(some_shape(rng))
    axis = _axis(rng, len(shape))
    piece = tuple(shape)
    shape[axis] *= count
    x = _input(rng, dtype, tuple(shape))
    file = TfliteFile()
    operands = [file.constant(axis), file.input(x)]
    kinds = [_like(x, piece)] * count
    return file.data(file.operator("SPLIT", operands, kinds, "SplitOptions", numSplits=count))


def _split_v(rng: Rng, dtype: DType) -> bytes:
    sizes, shape = [size(rng, 1, 4) for _ in range(size(rng, 1, 4))], list(some_shape(rng))
    axis = _axis(rng, len(shape))
    pieces = []
    for piece in sizes:
        shape[axis] = piece
        pieces.append(tuple(shape))
    shape[axis] = sum(sizes)
    if rng.random() < 0.5:
        sizes[size(rng, 0, len(sizes) - 1)] = -1
    x = _input(rng, dtype, tuple(shape))
    file = TfliteFile()
    operands = [file.input(x), file.constant(sizes), file.constant(axis)]
    kinds = [_like(x, piece) for piece in pieces]
    return file.data(
        file.operator("SPLIT_V", operands, kinds, "SplitVOptions", numSplits=len(sizes))
    )


def _unpack(rng: Rng, dtype: DType) -> bytes:
    shape = some_shape(rng, (2, 4))
    axis = _axis(rng, len(shape))
    rest = list(shape)
    count = rest.pop(axis)
    x = _input(rng, dtype, shape)
    file = TfliteFile()
    kinds = [_like(x, rest)] * count
    operands = [file.input(x)]
    return file.data(
        file.operator("UNPACK", operands, kinds, "UnpackOptions", num=count, axis=axis)
    )


def _pack(rng: Rng, dtype: DType) -> bytes:
    x = _input(rng, dtype, some_shape(rng, (1, 3)))
    count, axis = size(rng, 1, 4), _axis(rng, len(x.shape) + 1)
    shape = np.stack([np.empty(x.shape, np.int8)] * count, axis).shape
    file = TfliteFile()
    operands = [file.input(x) for _ in range(count)]
    kinds = [_like(x, shape)]
    options = {"valuesCount": count, "axis": axis}
    return file.data(file.operator("PACK", operands, kinds, "PackOptions", **options))


def _reverse(rng: Rng, dtype: DType) -> bytes:
    """Neighbouring axes: TFLM has no others."""
    x = _input(rng, dtype, some_shape(rng))
    rank = len(x.shape)
    first = size(rng, 0, rank - 1)
    axes = list(range(first, size(rng, first, rank - 1) + 1))
    said = [axis - rank if rng.random() < 0.3 else axis for axis in axes]
    file = TfliteFile()
    operands = [file.input(x), file.constant(said)]
    return file.data(file.operator("REVERSE_V2", operands, [x], "ReverseV2Options"))


def _tile(rng: Rng, dtype: DType) -> bytes:
    x = _input(rng, dtype, some_shape(rng))
    times = [size(rng, 1, 3) for _ in x.shape]
    shape = [dim * n for dim, n in zip(x.shape, times, strict=True)]
    file = TfliteFile()
    operands = [file.input(x), file.constant(times)]
    return file.data(file.operator("TILE", operands, [_like(x, shape)], "TileOptions"))


def _space_to_depth(rng: Rng, dtype: DType) -> bytes:
    n, h, w, c = some_shape(rng, (4, 4))
    block = size(rng, 1, 3)
    wide, deep = (n, h * block, w * block, c), (n, h, w, c * block * block)
    x = _input(rng, dtype, wide)
    file = TfliteFile()
    kinds = [_like(x, deep)]
    return file.data(
        file.operator(
            "SPACE_TO_DEPTH", [file.input(x)], kinds, "SpaceToDepthOptions", blockSize=block
        )
    )


def _depth_to_space(rng: Rng, dtype: DType) -> bytes:
    n, h, w, c = some_shape(rng, (4, 4))
    block = size(rng, 1, 3)
    wide, deep = (n, h * block, w * block, c), (n, h, w, c * block * block)
    x = _input(rng, dtype, deep)
    file = TfliteFile()
    kinds = [_like(x, wide)]
    return file.data(
        file.operator(
            "DEPTH_TO_SPACE", [file.input(x)], kinds, "DepthToSpaceOptions", blockSize=block
        )
    )


def _batches(rng: Rng, kind: str, dtype: DType, most_padding: int) -> bytes:
    """SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: [N,H,C] and [N,H,W,C], cells cut off or added."""
    spatial = size(rng, 1, 2)
    blocks = [size(rng, 1, 3) for _ in range(spatial)]
    batch, channels = size(rng, 1, 3), size(rng, 1, 4)
    counts = [size(rng, 1, 4) for _ in range(spatial)]
    sizes = [count * block for count, block in zip(counts, blocks, strict=True)]
    cut = []
    for total in sizes:
        before = size(rng, 0, min(most_padding, total - 1))
        cut.append((before, size(rng, 0, min(most_padding, total - 1 - before))))
    inner = [total - sum(pair) for total, pair in zip(sizes, cut, strict=True)]
    space = (batch, *inner, channels)
    batched = (batch * int(np.prod(blocks)), *counts, channels)
    to_batch = kind == "SPACE_TO_BATCH_ND"
    x = _input(rng, dtype, space if to_batch else batched)
    file = TfliteFile()
    operands = [file.input(x), file.constant(blocks), file.constant(cut)]
    options = "SpaceToBatchNDOptions" if to_batch else "BatchToSpaceNDOptions"
    kinds = [_like(x, batched if to_batch else space)]
    return file.data(file.operator(kind, operands, kinds, options))


def _space_to_batch(rng: Rng, dtype: DType) -> bytes:
    return _batches(rng, "SPACE_TO_BATCH_ND", dtype, 0)


def _space_to_batch_padded(rng: Rng, dtype: DType) -> bytes:
    return _batches(rng, "SPACE_TO_BATCH_ND", dtype, 3)


def _batch_to_space(rng: Rng, dtype: DType) -> bytes:
    return _batches(rng, "BATCH_TO_SPACE_ND", dtype, 3)


def _embedding(rng: Rng, dtype: DType, result: DType) -> bytes:
    """The table is the input: rows of it are known, TFLM stops at one outside."""
    shape = some_shape(rng, (2, 3))
    scale = some_quant(rng, dtype)
    quant = None if scale is None else type(scale)(scale.scale, (0,))
    rows = rng.integers(0, shape[0], size(rng, 1, 6))
    kind = Type((len(rows), *shape[1:]), result, None if result is F32 else quant)
    file = TfliteFile()
    operands = [file.constant(rows), file.input(Type(shape, dtype, quant))]
    return file.data(file.operator("EMBEDDING_LOOKUP", operands, [kind]))


def _embedding_lookup(rng: Rng, dtype: DType) -> bytes:
    return _embedding(rng, dtype, dtype)


def _embedding_lookup_hybrid(rng: Rng, dtype: DType) -> bytes:
    return _embedding(rng, dtype, F32)


def _fill(rng: Rng, dtype: DType) -> bytes:
    shape = some_shape(rng)
    value = _input(rng, dtype, ())
    file = TfliteFile()
    operands = [file.constant(shape), file.input(value)]
    return file.data(file.operator("FILL", operands, [_like(value, shape)], "FillOptions"))


def _zeros_like(rng: Rng, dtype: DType) -> bytes:
    x = _input(rng, dtype, some_shape(rng))
    file = TfliteFile()
    return file.data(file.operator("ZEROS_LIKE", [file.input(x)], [x], "ZerosLikeOptions"))


def _shape(rng: Rng, dtype: DType) -> bytes:
    x = _input(rng, dtype, some_shape(rng))
    file = TfliteFile()
    kinds = [Type((len(x.shape),), S32)]
    return file.data(file.operator("SHAPE", [file.input(x)], kinds, "ShapeOptions", outType=2))


def _rank(rng: Rng, dtype: DType) -> bytes:
    x = _input(rng, dtype, some_shape(rng))
    file = TfliteFile()
    return file.data(file.operator("RANK", [file.input(x)], [Type((), S32)], "RankOptions"))


def _broadcast_args(rng: Rng, dtype: DType) -> bytes:
    full = some_shape(rng)
    thin = [1 if rng.random() < 0.5 else dim for dim in full][size(rng, 0, len(full) - 1) :]
    file = TfliteFile()
    operands = [file.constant(full, dtype), file.constant(thin, dtype)]
    kinds = [Type((len(full),), dtype)]
    return file.data(file.operator("BROADCAST_ARGS", operands, kinds))


# name -> (draw, judge, element types). RANGE is in the tests: TFLite gives it no fixed shape.
FILES: dict[str, tuple[FileDraw, str, tuple[DType, ...]]] = {
    "SLICE": (_slice, "tflm", (S8, F32, S16, S32, BOOL)),
    "STRIDED_SLICE": (_strided_slice, "tflm", (S8, F32, S16, S32, BOOL)),
    "STRIDED_SLICE-extended": (_strided_slice_extended, "litert", (S8, F32, U8)),
    "STRIDED_SLICE-offset": (_strided_slice_offset, "litert", (S8,)),
    "SPLIT": (_split, "tflm", (S8, F32, S16, S32)),
    "SPLIT_V": (_split_v, "tflm", (S8, F32, S16, S32)),
    "UNPACK": (_unpack, "tflm", (S8, F32, S16, S32)),
    "PACK": (_pack, "tflm", (S8, F32, S16, S32, S64)),
    "REVERSE_V2": (_reverse, "tflm", (S8, F32, S16, S32, S64, U8, BOOL)),
    "TILE": (_tile, "litert", (S8, F32, S16, S32)),
    "SPACE_TO_DEPTH": (_space_to_depth, "tflm", (S8, F32)),
    "DEPTH_TO_SPACE": (_depth_to_space, "tflm", (S8, F32)),
    "SPACE_TO_BATCH_ND": (_space_to_batch, "tflm", (S8, F32)),
    "SPACE_TO_BATCH_ND-padded": (_space_to_batch_padded, "litert", (S8, F32)),
    "BATCH_TO_SPACE_ND": (_batch_to_space, "tflm", (S8, F32)),
    "EMBEDDING_LOOKUP": (_embedding_lookup, "tflm", (S8, F32)),
    "EMBEDDING_LOOKUP-hybrid": (_embedding_lookup_hybrid, "tflm", (S8,)),
    "FILL": (_fill, "tflm", (S8, F32, S32)),
    "ZEROS_LIKE": (_zeros_like, "tflm", (S8, F32, S32)),
    "SHAPE": (_shape, "tflm", (S8, F32)),
    "RANK": (_rank, "litert", (F32,)),
    "BROADCAST_ARGS": (_broadcast_args, "tflm", (S32, S64)),
}
