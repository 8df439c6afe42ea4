"""Readers of reductions, searches and detection: forms our writer never uses, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant, Type
from support.custom_ops import custom_model
from support.oracle import LiteRt, Oracle, Tflm
from support.tflite_edit import edited
from support.tflite_ops import TfliteFile

F32, S8, S16, S32, S64, BOOL = DType.F32, DType.S8, DType.S16, DType.S32, DType.S64, DType.BOOL
X = Type((2, 3, 4), F32)
REDUCER = "ReducerOptions"


def one(
    kind: str,
    axes: object,
    out: Type,
    options: str = REDUCER,
    *,
    x: Type = X,
    axis_dtype: DType = S32,
    **fields: int | bool,
) -> bytes:
    """A file of one operator on x and constant axes; no axes for None."""
    file = TfliteFile()
    operands = [file.input(x)]
    if axes is not None:
        operands.append(file.constant(axes, axis_dtype))
    return file.data(file.operator(kind, operands, [out], options, **fields))


def check(model: bytes, oracle: Oracle, x: np.ndarray) -> None:
    """Our result is the oracle's, and the graph survives being written."""
    graph = read_tflite(model)
    (wanted,) = oracle.run_all([x])
    (got,) = run(graph, [x])
    assert (got.shape, got.dtype) == (wanted.shape, wanted.dtype)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)
    again = read_tflite(write_tflite(graph))
    np.testing.assert_array_equal(run(again, [x])[0], got)


@pytest.mark.parametrize("kind", ["SUM", "REDUCE_MAX", "REDUCE_MIN"])
@pytest.mark.parametrize(
    ("axes", "shape", "keep"),
    [
        (-1, (2, 3), False),
        ([-1], (2, 3, 1), True),
        ([2, -3], (3,), False),
        ([1, -2, 1], (2, 4), False),
        ([0, 1, 2], (), False),
        ([2, 1, 0], (1, 1, 1), True),
    ],
)
def test_axes_from_the_end_twice_and_as_a_scalar(
    kind: str, axes: object, shape: tuple[int, ...], keep: bool
) -> None:
    model = one(kind, axes, Type(shape, F32), keepDims=keep)
    x = np.random.default_rng(0).standard_normal(X.shape).astype(np.float32)
    check(model, Tflm(model), x)


@pytest.mark.parametrize("kind", ["ARG_MAX", "ARG_MIN"])
@pytest.mark.parametrize("axis", [-1, -3, 1])
def test_searches_from_the_end(kind: str, axis: int) -> None:
    shape = tuple(d for i, d in enumerate(X.shape) if i != axis % 3)
    options = "ArgMaxOptions" if kind == "ARG_MAX" else "ArgMinOptions"
    model = one(kind, axis, Type(shape, S32), options, outputType=2)
    x = np.random.default_rng(0).integers(0, 3, X.shape).astype(np.float32)
    check(model, Tflm(model), x)


def test_places_in_64_bits_are_cast() -> None:
    model = one("ARG_MAX", [-1], Type((2, 3), S64), "ArgMaxOptions", axis_dtype=S64, outputType=4)
    x = np.random.default_rng(0).integers(0, 3, X.shape).astype(np.float32)
    check(model, LiteRt(model), x)
    assert [node.op for node in read_tflite(model).nodes()][1:] == [Op.ARG_MAX, Op.CAST]


@pytest.mark.parametrize("axis", [-1, 0])
def test_cumsum_from_the_end(axis: int) -> None:
    model = one("CUMSUM", axis, X, "CumsumOptions", exclusive=True, reverse=True)
    check(model, Tflm(model), np.arange(24, dtype=np.float32).reshape(X.shape))


def test_any_is_the_largest_bool() -> None:
    model = one("REDUCE_ANY", [1], Type((2, 4), BOOL), x=Type(X.shape, BOOL))
    check(model, LiteRt(model), np.random.default_rng(0).random(X.shape) < 0.3)
    assert read_tflite(model).outputs[0].op is Op.REDUCE_MAX


_Q = Quant.per_tensor(0.5, 3)
REFUSED: dict[str, tuple[bytes, str]] = {
    "axis": (one("SUM", [3], Type((2, 3), F32)), "axis 3 of a value with 3 axes; -3 to 2 wanted"),
    "arg axis": (
        one("ARG_MAX", [-4], Type((2, 3), S32), "ArgMaxOptions"),
        "axis -4 of a value with 3 axes",
    ),
    "two axes": (
        one("ARG_MAX", [0, 1], Type((4,), S32), "ArgMaxOptions"),
        "operand 1 holds 2 numbers; 1 wanted",
    ),
    "cumsum axes": (one("CUMSUM", [0, 1], X, "CumsumOptions"), "holds 2 numbers; 1 wanted"),
    "scales": (
        one(
            "REDUCE_MAX", [2], Type((2, 3), S8, Quant.per_tensor(0.25, 3)), x=Type(X.shape, S8, _Q)
        ),
        "TFLite specification wants them equal",
    ),
    "any of numbers": (one("REDUCE_ANY", [1], Type((2, 4), F32)), r"input is f32\[2,3,4\]; bool"),
    "all of numbers": (one("REDUCE_ALL", [1], Type((2, 4), F32)), r"input is f32\[2,3,4\]; bool"),
    "activation": (
        one("L2_NORMALIZATION", None, X, "L2NormOptions", fusedActivationFunction=1),
        r"\(L2_NORMALIZATION\): a fused activation; NONE wanted",
    ),
    "unit": (
        one(
            "L2_NORMALIZATION",
            None,
            Type(X.shape, S8, _Q),
            "L2NormOptions",
            x=Type(X.shape, S8, _Q),
        ),
        "result is quantized .* wants them equal",
    ),
    "pool rank": (one("L2_POOL_2D", None, X, "Pool2DOptions"), r"f32\[2,3,4\]; 4 axes"),
    "pool kernel": (
        one(
            "L2_POOL_2D", None, Type((1, 2, 2, 1), F32), "Pool2DOptions", x=Type((1, 2, 2, 1), F32)
        ),
        "1 or more",
    ),
    "sum type": (one("SUM", [0], Type((3, 4), S32), x=Type(X.shape, S32)), "input is s32"),
    "unsigned norm": (
        one(
            "L2_NORMALIZATION",
            None,
            Type(X.shape, DType.U8, _Q),
            "L2NormOptions",
            x=Type(X.shape, DType.U8, _Q),
        ),
        "on uint8 it computes other results",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    model, message = REFUSED[name]
    with pytest.raises((ImportFailed, UnsupportedOp), match=message) as caught:
        read_tflite(model)
    assert "\n" not in str(caught.value)


OPTIONS: dict[str, int | float | bool] = {
    "max_detections": 4,
    "max_classes_per_detection": 1,
    "nms_score_threshold": 0.25,
    "nms_iou_threshold": 0.5,
    "num_classes": 2,
    "y_scale": 10.0,
    "x_scale": 10.0,
    "h_scale": 5.0,
    "w_scale": 5.0,
}
RESULTS = (((1, 4, 4), "float32"), ((1, 4), "float32"), ((1, 4), "float32"), ((1,), "float32"))


def detection(options: dict[str, int | float | bool], classes: int = 3) -> bytes:
    """A file of one detection step of 6 boxes."""
    inputs = [((1, 6, 4), "float32"), ((1, 6, classes), "float32"), ((6, 4), "float32")]
    return custom_model("TFLite_Detection_PostProcess", inputs, RESULTS, options)


def test_detection_without_the_optional_options() -> None:
    node = read_tflite(detection(OPTIONS)).outputs[0].src[0]
    assert (node.attrs.regular, node.attrs.per_class) == (False, 100)
    regular = {**OPTIONS, "use_regular_nms": True, "max_classes_per_detection": 3}
    node = read_tflite(detection(regular)).outputs[0].src[0]
    assert (node.attrs.regular, node.attrs.per_class) == (True, 100)


WRONG: dict[str, tuple[dict[str, int | float | bool | str], str]] = {
    "several classes": ({"max_classes_per_detection": 2}, "2 classes of each detection; 1 wanted"),
    "classes": ({"num_classes": 5}, r"scores are f32\[1,6,3\]; \[1,6,5\] wanted"),
    "no class": ({"num_classes": 0}, "0 classes"),
    "overlap": ({"nms_iou_threshold": 0.0}, "threshold of overlap is 0; more than 0"),
    "scale": ({"h_scale": 0.0}, "scales are .*; none of 0"),
    "text": ({"w_scale": "wide"}, "option w_scale is 'wide'; a number wanted"),
    "negative": ({"max_detections": -1}, "option max_detections is -1; an integer"),
    "none": ({"max_detections": 0}, "at most 0 detections"),
    "results": ({"max_detections": 5}, r"result is f32\[1,5,4\], the file declares"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_detection_refused(name: str) -> None:
    change, message = WRONG[name]
    with pytest.raises((ImportFailed, UnsupportedOp), match=message):
        read_tflite(detection({**OPTIONS, **change}))


def test_detection_lacks_an_option() -> None:
    short = {name: value for name, value in OPTIONS.items() if name != "num_classes"}
    with pytest.raises(ImportFailed, match="option num_classes is None; an integer"):
        read_tflite(detection(short))


def test_detection_on_uint8_computes_on_real_values() -> None:
    """As TensorFlow Lite does; TFLM refuses it."""
    options = {**OPTIONS, "use_regular_nms": True}
    model = detection(options)
    points = ((0.05, 128), (1 / 256, 0), (1 / 128, 3))

    def unsigned(tree: Any) -> None:
        for index, (scale, point) in zip(tree.subgraphs[0].inputs, points, strict=True):
            tensor = tree.subgraphs[0].tensors[index]
            tensor.type = 3
            tensor.quantization = QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [scale], [point]

    pytest.importorskip("ai_edge_litert")
    from ai_edge_litert.schema_py_generated import QuantizationParametersT

    model = edited(model, unsigned)
    graph = read_tflite(model)
    for seed in range(5):
        rng = np.random.default_rng(seed)
        inputs = [rng.integers(1, 256, node.type.shape).astype(np.uint8) for node in graph.inputs]
        inputs[2][:, 2:] |= 64
        for got, wanted in zip(run(graph, inputs), LiteRt(model).run_all(inputs, 4), strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
    again = read_tflite(write_tflite(graph))
    assert [node.op for node in again.nodes()] == [node.op for node in graph.nodes()]
