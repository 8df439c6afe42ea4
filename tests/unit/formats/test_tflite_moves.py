"""What readers of moving operators refuse, and what becomes of constants."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_read.moves import MOST_KNOWN
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant, Type
from support.tflite_ops import TfliteFile

X = Type((1, 4, 6, 2), DType.S8, Quant.per_tensor(0.5, 3))


def one(
    kind: str,
    parameters: Sequence[object],
    shape: tuple[int, ...] = (1, 4, 6, 2),
    options: str = "",
    *,
    x: Type = X,
    first: bool = False,
    results: int = 1,
    **fields: int | bool,
) -> bytes:
    """A file of one operator on x and constant parameters, in front of x where `first`."""
    file = TfliteFile()
    source, lists = file.input(x), [file.constant(values) for values in parameters]
    operands = [*lists, source] if first else [source, *lists]
    kinds = [Type(shape, x.dtype, x.quant)] * results
    return file.data(file.operator(kind, operands, kinds, options, **fields))


_ONES, _FULL = [1, 1, 1, 1], [1, 4, 6, 2]
_SS = "StridedSliceOptions"
REFUSED: dict[str, tuple[bytes, str]] = {
    "slice count": (one("SLICE", [[0, 0], [1, 1]]), r"operand 1 holds 2 numbers; 4 wanted"),
    "slice outside": (
        one("SLICE", [[0, 2, 0, 0], [1, 3, 6, 2]]),
        r"axis 1 from 2, 3 elements; a part of 4 wanted",
    ),
    "slice from behind": (
        one("SLICE", [[0, -1, 0, 0], [1, 1, 6, 2]]),
        r"axis 1 from -1, 1 elements; a part of 4",
    ),
    "slice nothing": (one("SLICE", [[0] * 4, [1, 0, 6, 2]]), "takes no element of axis 1"),
    "stride 0": (one("STRIDED_SLICE", [[0] * 4, _FULL, [1, 0, 1, 1]], (), _SS), "stride 0;"),
    "two ellipses": (
        one("STRIDED_SLICE", [[0] * 2, _ONES[:2], _ONES[:2]], (), _SS, ellipsisMask=3),
        "2 ellipses; 1 at most",
    ),
    "too many indices": (
        one("STRIDED_SLICE", [[0] * 5, [1] * 5, [1] * 5], (), _SS),
        r"5 indices into s8\[1,4,6,2\]; 4 at most",
    ),
    "ends missing": (
        one("STRIDED_SLICE", [[0] * 4, [1] * 3, [1] * 4], (), _SS),
        "operand 2 holds 3 numbers; 4 wanted",
    ),
    "index outside": (
        one("STRIDED_SLICE", [[0, 4], [1, 5], [1, 1]], (), _SS, shrinkAxisMask=2),
        "index 4 of an axis of 4; -4 to 3 wanted",
    ),
    "index backwards": (
        one("STRIDED_SLICE", [[0, 1], [1, 0], [1, -1]], (), _SS, shrinkAxisMask=2),
        "a single index with stride -1",
    ),
    "empty": (
        one("STRIDED_SLICE", [[0, 3], [1, 1], [1, 1]], (), _SS),
        "takes no element of axis 1; 1 or more wanted",
    ),
    "split unevenly": (
        one("SPLIT", [[1]], first=True, results=3),
        r"axis 1 of s8\[1,4,6,2\] in 3 parts; equal parts wanted",
    ),
    "split axis": (one("SPLIT", [[4]], first=True), "axis 4 of a value with 4 axes"),
    "split sizes": (
        one("SPLIT_V", [[1, 2], [1]], results=2),
        r"pieces of \[1, 2\] along axis 1 of s8\[1,4,6,2\]",
    ),
    "split results": (one("SPLIT_V", [[1, 3], [1]], results=3), "3 results; 2 wanted"),
    "unpack results": (
        one("UNPACK", [], (1, 6, 2), "UnpackOptions", results=3, axis=1, num=3),
        r"3 results of s8\[1,4,6,2\]; 4 wanted",
    ),
    "pack axis": (one("PACK", [], (), "PackOptions", axis=6), "axis 6 of a value with 5 axes"),
    "reverse twice": (one("REVERSE_V2", [[1, -3]]), r"axes \[1, 1\]; each once"),
    "tile nothing": (one("TILE", [[1, 0, 1, 1]]), r"multiples \[1, 0, 1, 1\]; 1 or more"),
    "broadcast": (one("BROADCAST_TO", [[1, 5, 6, 2]]), r"does not broadcast to \[1, 5, 6, 2\]"),
    "blocks": (
        one("SPACE_TO_DEPTH", [], (), "SpaceToDepthOptions", blockSize=3),
        "blocks of 3 in s8",
    ),
    "no blocks": (one("DEPTH_TO_SPACE", [], ()), "blocks of 0; 1 or more"),
    "channels": (
        one("DEPTH_TO_SPACE", [], (), "DepthToSpaceOptions", blockSize=2),
        "channels in 4 parts",
    ),
    "block axes": (one("SPACE_TO_BATCH_ND", [[2] * 4, [[0, 0]] * 4]), r"blocks \[2, 2, 2, 2\]"),
    "block 0": (one("SPACE_TO_BATCH_ND", [[0, 2], [[0, 0]] * 2]), r"blocks \[0, 2\]"),
    "paddings": (one("SPACE_TO_BATCH_ND", [[2, 2], [[0, -1]] * 2]), "2 pairs of 0 or more"),
    "ragged": (one("SPACE_TO_BATCH_ND", [[3, 2], [[0, 0]] * 2]), r"blocks \[3, 2\] of \[4, 6\]"),
    "batches": (one("BATCH_TO_SPACE_ND", [[2, 2], [[0, 0]] * 2]), "a batch in 4 parts"),
    "crops": (
        one("BATCH_TO_SPACE_ND", [[1, 1], [[3, 1], [0, 0]]]),
        r"crops \[\(3, 1\), \(0, 0\)\] of \[4, 6\]",
    ),
    "gather outside": (
        one("GATHER", [[0, 4]], (), "GatherOptions", axis=1),
        "index 4 of an axis of 4; 0 to 3 wanted",
    ),
    "gather from behind": (one("GATHER", [[-1]], (), "GatherOptions"), "index -1 of an axis of 1"),
    "gather axis": (one("GATHER", [[0]], (), "GatherOptions", axis=4), "axis 4 of a value with 4"),
    "gather batches": (
        one("GATHER", [[0]], (), "GatherOptions", axis=1, batchDims=2),
        "2 batch axes of s8",
    ),
    "gather_nd outside": (one("GATHER_ND", [[[0, 3, 6]]]), "index 6 of an axis of 6"),
    "gather_nd depth": (one("GATHER_ND", [[[0] * 5]]), "a last axis of 1 to 4 wanted"),
    "rows": (one("EMBEDDING_LOOKUP", [[[0]]], first=True), r"s32\[1,1\] of s8\[1,4,6,2\]"),
    "mirror": (
        one("MIRROR_PAD", [[[0, 0], [4, 0], [0, 0], [0, 0]]], (), "MirrorPadOptions"),
        r"axis 1 is padded by \[4, 0\], it has 4 elements; 0 to 3 wanted",
    ),
    "mirror pairs": (one("MIRROR_PAD", [[[0, 0]]], (), "MirrorPadOptions"), "4 pairs wanted"),
    "mirror mode": (
        one("MIRROR_PAD", [[[0, 0]] * 4], (), "MirrorPadOptions", mode=2),
        "mode number 2; 0",
    ),
    "resize": (one("RESIZE_BILINEAR", [[0, 3]]), r"to \[0, 3\]; heights and widths of 1"),
    "resize size": (one("RESIZE_BILINEAR", [[3]]), "operand 1 holds 1 numbers; 2 wanted"),
    "both corners": (
        one(
            "RESIZE_BILINEAR",
            [[3, 3]],
            (),
            "ResizeBilinearOptions",
            alignCorners=True,
            halfPixelCenters=True,
        ),
        "align_corners and half_pixel_centers; one of them wanted",
    ),
    "update": (one("DYNAMIC_UPDATE_SLICE", [[1], [0]]), "one type and quantization wanted"),
    "fill": (one("FILL", [[2, 2]], (2, 2), first=True), r"value is s8\[1,4,6,2\]; one number"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    """One line that names the node, what was found and what is wanted."""
    model, message = REFUSED[name]
    with pytest.raises((ImportFailed, UnsupportedOp), match=message) as caught:
        read_tflite(model)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("model.tflite: t")


def test_bilinear_of_a_type_without_a_kernel_is_refused_by_name() -> None:
    x = Type(X.shape, DType.S32)
    model = one("RESIZE_BILINEAR", [[3, 3]], (1, 3, 3, 2), x=x)
    with pytest.raises(UnsupportedOp, match=r"input is s32\[1,4,6,2\]; s8 or s16 or f32 wanted"):
        read_tflite(model)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 5, 0), "finite steps wanted"),
        ((0, -5, 1), "0 numbers; 1 to 65536 wanted"),
        ((0, 1 << 30, 1), "1073741824 numbers; 1 to 65536 wanted"),
    ],
)
def test_ranges_that_are_refused(numbers: tuple[int, ...], message: str) -> None:
    file = TfliteFile()
    operands = [file.constant(n) for n in numbers]
    model = file.data(file.operator("RANGE", operands, [Type((5,), DType.S32)]))
    with pytest.raises((ImportFailed, UnsupportedOp), match=message):
        read_tflite(model)


def test_range_of_computed_numbers_is_refused() -> None:
    file = TfliteFile()
    operands = [file.input(Type((), DType.S32)), file.constant(5), file.constant(1)]
    model = file.data(file.operator("RANGE", operands, [Type((5,), DType.S32)]))
    with pytest.raises(UnsupportedOp, match="computed at run time; a constant wanted"):
        read_tflite(model)


def test_shapes_that_do_not_broadcast() -> None:
    file = TfliteFile()
    operands = [file.constant([2, 3]), file.constant([2])]
    model = file.data(file.operator("BROADCAST_ARGS", operands, [Type((2,), DType.S32)]))
    with pytest.raises(ImportFailed, match=r"shapes \[2, 3\] and \[2\] do not broadcast"):
        read_tflite(model)


@pytest.mark.parametrize("count", [MOST_KNOWN, MOST_KNOWN + 1])
def test_large_constants_stay_operators(count: int) -> None:
    """A file of a few bytes cannot ask for gigabytes: beyond a bound FILL is computed later."""
    file = TfliteFile()
    operands = [file.constant([count]), file.constant(7)]
    model = file.data(file.operator("FILL", operands, [Type((count,), DType.S32)]))
    graph = read_tflite(model)
    assert graph.outputs[0].is_constant == (count <= MOST_KNOWN)
    assert (run(graph, [])[0] == np.full(count, 7, np.int32)).all()


def test_slices_that_take_everything() -> None:
    """x[:, newaxis] is a reshape; a SLICE of the whole stays one: written and read it is itself."""
    lists = ([0, 0, 0], [1, 1, 4], [1, 1, 1])
    model = one("STRIDED_SLICE", lists, (1, 1, 4, 6, 2), _SS, newAxisMask=2)
    (node,) = read_tflite(model).outputs
    assert (node.op, node.src[0].op) == (Op.RESHAPE, Op.INPUT)
    (same,) = read_tflite(one("SLICE", [[0] * 4, [-1] * 4])).outputs
    assert (same.op, same.src[0].op) == (Op.STRIDED_SLICE, Op.INPUT)
