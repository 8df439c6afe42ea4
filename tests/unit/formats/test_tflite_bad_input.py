"""Files that are damaged, hostile or ask for too much: one clear line, quickly."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from milliwatt.errors import ImportFailed, MilliwattError, UnsupportedOp
from milliwatt.formats.flatbuffer import FlatBuffer
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_names import OPERATORS
from milliwatt.formats.tflite_read import READERS
from milliwatt.formats.tflite_read.refusals import NEAREST, nearest
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import Concat, Conv2d, Transpose, Unary
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.effort import cpu_seconds
from support.tflite_edit import Edit, become, edited, kind_of, operator, small_model, store, tensor


def refusal(model: bytes) -> MilliwattError:
    """The error `model` ends in: one line that names the file, within half a second."""

    def read() -> MilliwattError:
        with pytest.raises((ImportFailed, UnsupportedOp)) as caught:
            read_tflite(model)
        return caught.value

    seconds, error = cpu_seconds(read, 0.5)
    assert seconds < 0.5
    assert "\n" not in str(error)
    assert str(error).startswith("model.tflite: ")
    return error


def setting(path: str, value: object) -> Edit:
    """An edit that sets `path`, such as `dense.quantization.scale`, of a tensor or of the model."""

    def edit(tree: Any) -> None:
        start, *steps, last = path.split(".")
        owner = tree if start == "model" else tensor(tree, start.replace("/", "."))
        for step in steps:
            owner = owner[int(step)] if step.isdigit() else getattr(owner, step)
        if last.isdigit():
            owner[int(last)] = value
        else:
            setattr(owner, last, value)

    return edit


def both(*edits: Edit) -> Edit:
    """All edits, one after the other."""

    def edit(tree: Any) -> None:
        for step in edits:
            step(tree)

    return edit


def option(result: str, name: str, value: object) -> Edit:
    """An edit that sets one option of the operator that makes `result`."""
    return lambda tree: setattr(operator(tree, result).builtinOptions, name, value)


def input_of(result: str, index: int, value: int) -> Edit:
    """An edit that replaces one operand of the operator that makes `result`."""

    def edit(tree: Any) -> None:
        inputs = list(operator(tree, result).inputs)
        inputs[index] = value
        operator(tree, result).inputs = inputs

    return edit


def swap_first_operators(tree: Any) -> None:
    operators = tree.subgraphs[0].operators
    operators[0], operators[1] = operators[1], operators[0]


def make_twice(tree: Any) -> None:
    tree.subgraphs[0].operators.append(tree.subgraphs[0].operators[0])


def own_result(tree: Any) -> None:
    op = operator(tree, "flat")
    op.inputs = [op.outputs[0], *list(op.inputs)[1:]]


def custom_named(name: bytes) -> Edit:
    """An edit that turns softmax into a custom operator."""

    def edit(tree: Any) -> None:
        become(tree, "soft", "CUSTOM")
        tree.operatorCodes[-1].customCode = name

    return edit


def unknown_number(tree: Any) -> None:
    kind_of(tree, "soft").builtinCode = 4000


def two_results(tree: Any) -> None:
    op = operator(tree, "soft")
    op.outputs = [*op.outputs, 0]


def new_result(tree: Any) -> None:
    op, tensors = operator(tree, "soft"), tree.subgraphs[0].tensors
    tensors.append(tensor(tree, "soft"))
    op.outputs = [*op.outputs, len(tensors) - 1]


def sparse(tree: Any) -> None:
    tensor(tree, "dense.weight").sparsity = tflite.SparsityParametersT()


def custom_quantization(tree: Any) -> None:
    quantization = tensor(tree, "x").quantization
    quantization.detailsType, quantization.details = 1, tflite.CustomQuantizationT()


NOT_SUPPORTED: dict[str, tuple[Edit, str]] = {
    "unknown operator": (
        lambda tree: become(tree, "soft", "HASHTABLE_FIND"),
        r"soft \(HASHTABLE_FIND\) on s8: not supported; the nearest that is: none; compute it in",
    ),
    "operator with advice": (
        lambda tree: become(tree, "soft", "POW"),
        r"soft \(POW\) on s8: not supported; the nearest that is: SQUARE, SQRT or MUL",
    ),
    "custom operator": (
        custom_named(b"Fancy\nOp"),
        r"soft \(custom 'Fancy\\nOp'\) on s8: not supported",
    ),
    "operator of TensorFlow": (
        custom_named(b"FlexErf"),
        r"soft \(FlexErf\) on s8: not supported; a TensorFlow operator; convert the model again",
    ),
    "operator of an accelerator": (
        custom_named(b"ethos-u"),
        r"soft \(custom 'ethos-u'\) on s8: not supported; compiled for one accelerator",
    ),
    "custom operator called as a builtin one": (
        custom_named(b"SOFTMAX"),
        r"soft \(custom 'SOFTMAX'\) on s8: not supported",
    ),
    "operator of the future": (unknown_number, r"soft \(builtin operator 4000\)"),
    "string": (setting("x.type", 5), "'x' is STRING"),
    "custom quantization": (custom_quantization, "'x' has custom quantization"),
    "fused tanh": (
        option("conv", "fusedActivationFunction", 4),
        r"conv \(CONV_2D\): fused .* TANH",
    ),
    "shuffled weights": (option("dense", "weightsFormat", 1), r"dense .*shuffled"),
}


def test_advice_names_what_can_be_read() -> None:
    """An operator that is read needs no stand-in, and most stand-ins are read."""
    assert not set(NEAREST) & set(READERS)
    assert set(NEAREST) < set(OPERATORS)
    given = [kind for kind in NEAREST if nearest(kind, READERS) == NEAREST[kind]]
    assert len(given) >= 15


BROKEN: dict[str, tuple[Edit, str]] = {
    "schema version": (setting("model.version", 2), "schema version 2; version 3 wanted"),
    "no subgraph": (setting("model.subgraphs", []), "no subgraph"),
    "NaN scale": (setting("dense.quantization.scale", [math.nan]), "'dense' has scale nan"),
    "zero scale": (setting("dense.quantization.scale", [0.0]), "'dense' has scale 0.0"),
    "negative scale": (setting("dense.quantization.scale", [-1.0]), "'dense' has scale -1.0"),
    "infinite scale": (setting("dense.quantization.scale", [math.inf]), "'dense' has scale inf"),
    "zero point": (setting("dense.quantization.zeroPoint", [300]), "'dense' has zero point 300"),
    "huge zero point": (
        setting("dense.quantization.zeroPoint", [2**62]),
        "'dense' has zero point 4611686018427387904",
    ),
    "too many zero points": (
        setting("dense.quantization.zeroPoint", [0, 0]),
        "1 scales and 2 zero points",
    ),
    "scales per axis, wrong number": (
        setting("conv/weight.quantization.scale", [0.5, 0.5]),
        r"conv.weight' is s8\[3, 3, 3, 2\] with 2 scales on axis 0",
    ),
    "scales per axis, axis outside": (
        setting("conv/weight.quantization.quantizedDimension", 4),
        "3 scales on axis 4",
    ),
    "scales per axis, negative axis": (
        setting("conv/weight.quantization.quantizedDimension", -1),
        "3 scales on axis -1",
    ),
    "scales on the wrong axis": (
        setting("conv/weight.quantization.quantizedDimension", 2),
        r"conv \(conv2d\): weight has 3 scales on axis 2",
    ),
    "no quantization": (setting("x.quantization", None), "no quantization"),
    "element type number": (setting("x.type", 99), "'x' has element type number 99"),
    "nine axes": (setting("x.shape", [1] * 9), "'x' has 9 axes; 8 at most"),
    "dynamic height": (setting("x.shape", [1, -1, 5, 2]), "export the model with fixed sizes"),
    "dynamic width in the signature": (
        setting("x.shapeSignature", [-1, 6, -1, 2]),
        "only the batch may be free",
    ),
    "huge shape": (setting("x.shape", [1, 2**31 - 1, 2**31 - 1, 2**31 - 1]), "bytes at most"),
    "huge axes beside an empty one": (
        setting("dense/weight.shape", [0, 2**31 - 1, 2**31 - 1, 2**31 - 1]),
        "bytes at most",
    ),
    "empty shape": (setting("x.shape", [1, 0, 5, 2]), "size below 1"),
    "weights too large for their buffer": (
        setting("dense/weight.shape", [4, 300]),
        "dense.weight' is s8.* 1200 bytes; buffer .* holds 12",
    ),
    "buffer outside": (setting("x.buffer", 999), "'x' is in buffer 999"),
    "tensor outside": (input_of("dense", 0, 77), "tensor 77 is used"),
    "tensor number negative": (input_of("dense", 0, -2), "tensor -2 is used"),
    "operand left out": (input_of("dense", 0, -1), r"dense \(FULLY_CONNECTED\): operand 0 is miss"),
    "operator code outside": (
        lambda tree: setattr(operator(tree, "dense"), "opcodeIndex", 50),
        "operator 3 at offset .* operator code 50",
    ),
    "model input outside": (setting("model.subgraphs.0.inputs", [55]), "tensor 55 is used"),
    "model input twice": (setting("model.subgraphs.0.inputs", [0, 0]), "'x' is an input .* twice"),
    "model input stored": (setting("model.subgraphs.0.inputs", [0, 1]), "has stored data"),
    "model output outside": (setting("model.subgraphs.0.outputs", [-1]), "tensor -1 is used"),
    "no outputs": (setting("model.subgraphs.0.outputs", []), "declares no outputs"),
    "tensor without producer": (
        setting("model.subgraphs.0.inputs", []),
        "'x', operand of conv, is made by no operator",
    ),
    "cycle": (swap_first_operators, "'conv', operand of pool, is used before it is made"),
    "operator reads its result": (own_result, "'flat', operand of flat, is used before"),
    "made twice": (make_twice, r"conv_2 \(CONV_2D\): .*'conv' already has a value"),
    "result made before": (two_results, r"soft \(SOFTMAX\): tensor 0 'x' already has a value"),
    "two results": (new_result, r"soft \(SOFTMAX\): 2 results; 1 wanted"),
    "no results": (
        lambda tree: setattr(operator(tree, "conv"), "outputs", []),
        r"conv_2d \(CONV_2D\): no results",
    ),
    "options of another operator": (
        lambda tree: setattr(operator(tree, "conv"), "builtinOptionsType", 5),
        r"conv \(CONV_2D\): options of type 5; 1 wanted",
    ),
    "stride 0": (option("conv", "strideH", 0), r"conv \(CONV_2D\): stride \[0, 1\]"),
    "negative dilation": (option("conv", "dilationWFactor", -1), r"dilation \[1, -1\]"),
    "pool of 0": (option("pool", "filterHeight", 0), r"pool \(AVERAGE_POOL_2D\): .* kernel \[0, 5"),
    "padding scheme": (option("conv", "padding", 7), r"conv \(CONV_2D\): padding number 7"),
    "kernel larger than input": (option("pool", "filterWidth", 30), "larger than the input"),
    "declared shape": (setting("conv.shape", [1, 3, 5, 4]), r"result is s8\[1,3,5,3\], the file"),
    "declared quantization": (
        setting("pool.quantization.scale", [2.0]),
        r"pool \(AVERAGE_POOL_2D\): result is quantized q\(\[4.0\].* wants them equal",
    ),
    "softmax scale": (setting("soft.quantization.scale", [0.5]), r"soft \(SOFTMAX\): result is"),
    "reshape to another size": (
        lambda tree: store(tree, "flat.parameter0", [2, 2]),
        r"flat \(RESHAPE\): s8\[1,1,1,3\] cannot become \[2, 2\]",
    ),
    "NaN beta": (option("soft", "beta", math.nan), r"soft \(SOFTMAX\): beta is nan"),
}


@pytest.mark.parametrize("case", NOT_SUPPORTED)
def test_what_milliwatt_does_not_have(case: str) -> None:
    edit, message = NOT_SUPPORTED[case]
    error = refusal(edited(small_model(), edit))
    assert isinstance(error, UnsupportedOp)
    assert re.search(message, str(error)), error


@pytest.mark.parametrize("case", BROKEN)
def test_what_breaks_the_format(case: str) -> None:
    edit, message = BROKEN[case]
    error = refusal(edited(small_model(), edit))
    assert isinstance(error, ImportFailed)
    assert re.search(message, str(error)), error


def test_depth_multiplier_that_is_not_the_weights() -> None:
    x = graph_input((1, 4, 4, 2), DType.F32, "x")
    weight = constant(np.ones((1, 1, 1, 2), np.float32), "w")
    graph = Graph((x,), (Node(Op.DEPTHWISE_CONV2D, (x, weight), Conv2d(), "dw"),))
    error = refusal(edited(write_tflite(graph), option("dw", "depthMultiplier", 2)))
    assert "depth multiplier 2 on 2 channels, the weight has 2; 4 wanted" in str(error)


@pytest.mark.parametrize("perm", [[0, 0], [0, 2], [1], [-3, 0]])
def test_permutation_that_is_none(perm: list[int]) -> None:
    x = graph_input((2, 3), DType.F32, "x")
    graph = Graph((x,), (Node(Op.TRANSPOSE, (x,), Transpose((1, 0)), "t"),))
    model = edited(write_tflite(graph), lambda tree: store(tree, "t.parameter0", perm))
    assert f"permutation {perm}" in str(refusal(model))


def test_concat_axis_outside() -> None:
    x = graph_input((2, 3), DType.F32, "x")
    graph = Graph((x,), (Node(Op.CONCAT, (x, x), Concat(1), "c"),))
    assert "axis 2 of a value" in str(refusal(edited(write_tflite(graph), option("c", "axis", 2))))


BYTES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda model: b"", "offset 4: identifier b''"),
    "magic": (lambda model: model[:4] + b"ONNX" + model[8:], "offset 4: identifier b'ONNX'"),
    "header alone": (lambda model: model[:8], "offset"),
    "root outside": (lambda model: struct.pack("<I", 1 << 30) + model[4:], "the file ends at"),
    "root at itself": (lambda model: bytes(4) + model[4:], "offset 0: an offset of 0"),
    "half": (lambda model: model[: len(model) // 2], "offset"),
    "last byte missing": (lambda model: model[:-1], "offset"),
    "all ones": (lambda model: b"\xff" * 4 + b"TFL3" + b"\xff" * 4000, "offset"),
    "all zeros": (lambda model: b"\x08\0\0\0TFL3" + bytes(4000), "offset"),
}


@pytest.mark.parametrize("case", BYTES)
def test_damaged_bytes(case: str) -> None:
    spoil, message = BYTES[case]
    assert message in str(refusal(spoil(small_model())))


def test_every_truncation() -> None:
    model = small_model()
    for length in range(len(model)):
        refusal(model[:length])


def test_random_bytes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        refusal(struct.pack("<I", int(rng.integers(8, 64))) + b"TFL3" + rng.bytes(2000))


def test_one_buffer_read_again_and_again() -> None:
    """Thousands of tensors on one large buffer would fill the memory of a reader that copies."""
    x = graph_input((1, 1 << 16), DType.S8, "x", None)
    big = constant(np.zeros((1, 1 << 16), np.float32), "big")
    real = graph_input((1, 1 << 16), DType.F32, "y")
    graph = Graph((x, real), (Node(Op.CONCAT, (real, big), Concat(0), "c"),))

    def edit(tree: Any) -> None:
        operator(tree, "c").inputs = [*operator(tree, "c").inputs, *range(4, 104)]
        tree.subgraphs[0].tensors += [tensor(tree, "big")] * 100

    assert "more than 8 times over" in str(refusal(edited(write_tflite(graph), edit)))


@pytest.mark.parametrize("vector", ["operators", "operator codes"])
def test_a_quarter_million_copies_of_one_table(vector: str) -> None:
    """A vector of offsets that all lead to one table is small to write and slow to believe."""
    model, count = small_model(), 250_000
    root = FlatBuffer(model).root()
    owner, field = (root, 1) if vector == "operator codes" else (root.item(2, 0), 3)
    # Offsets only lead forward: the vector, then a second copy of the model to point into.
    head = model + bytes(-len(model) % 4)
    start = len(head)
    behind = start + 4 + 4 * count
    goal = behind + owner.item(field, 0).at
    offsets = (goal - (start + 4 + 4 * np.arange(count))).astype("<u4").tobytes()
    spoiled = bytearray(head + struct.pack("<I", count) + offsets + model)
    vtable = owner.at - struct.unpack_from("<i", model, owner.at)[0]
    slot = owner.at + struct.unpack_from("<H", model, vtable + 4 + 2 * field)[0]
    struct.pack_into("<I", spoiled, slot, start - slot)
    assert "is the table of an earlier one" in str(refusal(bytes(spoiled)))


def test_names_cannot_break_the_line() -> None:
    model = edited(small_model(), both(setting("dense.quantization.scale", [math.nan])))
    model = model.replace(b"dense\0", b"d\n\xff\x1be\0")
    assert r"'d\n\ufffd\x1be' has scale nan" in str(refusal(model))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "none.tflite", "does not exist"),
        (lambda folder: folder, "is a directory"),
    ],
)
def test_paths(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    with pytest.raises(ImportFailed, match=message):
        read_tflite(make(tmp_path))


def test_file_names_are_in_the_message(tmp_path: Path) -> None:
    path = tmp_path / "half.tflite"
    path.write_bytes(small_model()[:100])
    with pytest.raises(ImportFailed, match=r"^half\.tflite: offset"):
        read_tflite(path)


def test_unary_with_two_operands() -> None:
    x = graph_input((2, 3), DType.F32, "x")
    graph = Graph((x,), (Node(Op.TANH, (x,), Unary(), "t"),))
    model = edited(write_tflite(graph), lambda tree: setattr(operator(tree, "t"), "inputs", []))
    assert "t (TANH): operand 0 is missing" in str(refusal(model))
