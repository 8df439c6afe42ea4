"""C text: literals read back exactly, names are legal and unique, comments stay closed."""

import re
import struct

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from milliwatt.compiler.emit import emit
from milliwatt.compiler.emit_text import c_literal
from milliwatt.compiler.program import compile_graph, identifiers
from milliwatt.ir.attrs import (
    RELU,
    Attrs,
    ClampAttrs,
    Elementwise,
    FullyConnected,
    Quantize,
    Reshape,
)
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

IN = Quant.per_tensor(0.05, -11)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_float_literals_read_back_exactly(value: float) -> None:
    text = c_literal(value, DType.F32)
    assert re.fullmatch(r"-?\d+(\.\d+)?(e[-+]?\d+)?f", text)
    assert struct.pack("<f", float(text[:-1])) == struct.pack("<f", value)


def test_the_smallest_s32_has_no_literal_of_its_own() -> None:
    assert c_literal(-(2**31), DType.S32) == "INT32_MIN"
    assert c_literal(-(2**31) + 1, DType.S32) == "-2147483647"


@given(st.lists(st.text(max_size=80), max_size=20))
def test_identifiers_are_legal_and_unique(names: list[str]) -> None:
    idents = identifiers(names)
    assert len(set(idents)) == len(names)
    # Every use has a prefix, so a leading digit is fine; non-ASCII letters are not.
    assert all(re.fullmatch(r"[A-Za-z0-9_]{1,60}", i) for i in idents)


def small_graph(name: str = "fc") -> Graph:
    """One fully connected layer with an activation that another output shares."""
    x = graph_input((1, 4), DType.S8, "x", IN)
    weight = constant(np.arange(12, dtype=np.int8).reshape(3, 4), "w", Quant.per_tensor(0.02))
    fc = Node(Op.FULLY_CONNECTED, (x, weight), FullyConnected(RELU, IN), name)
    return Graph((x,), (fc,))


def test_comments_cannot_be_closed_by_a_name() -> None:
    graph = small_graph("a/b")
    text = emit(compile_graph(Graph(graph.inputs, graph.outputs, name="evil */ int x; /*")))
    assert "evil */" not in text["mw_model.h"]


def test_sources_are_ascii_and_short_lined() -> None:
    for path, text in emit(compile_graph(small_graph())).items():
        assert text.isascii(), path
        assert max(map(len, text.splitlines())) <= 140, path


def test_arena_size_is_a_constant_of_the_header() -> None:
    program = compile_graph(small_graph())
    header = emit(program)["mw_model.h"]
    assert f"#define MW_MODEL_ARENA_BYTES {program.arena_bytes}\n" in header
    assert program.arena_bytes >= 4 + 3


def test_a_constant_output_is_copied_from_flash() -> None:
    x = graph_input((4,), DType.S8, "x", IN)
    fixed = constant(np.arange(4, dtype=np.int8), "fixed", IN)
    program = compile_graph(Graph((x,), (fixed,)))
    assert program.steps == ()
    assert program.weight_bytes == 4
    text = emit(program)
    assert "  memcpy(model->arena + 0, mw_const_fixed, 4);\n" in text["mw_model.c"]
    assert "const int8_t mw_const_fixed[4] = {\n  0, 1, 2, 3\n};" in text["mw_weights.c"]


def test_an_input_that_is_an_output_needs_no_code() -> None:
    x = graph_input((2, 2), DType.S8, "x", IN)
    y = Node(Op.RESHAPE, (x,), Reshape((4,)), "y")
    program = compile_graph(Graph((x,), (y,)))
    assert program.steps == ()
    assert program.arena_bytes == 8


def test_quantize_at_the_edges_compiles() -> None:
    x = graph_input((5,), DType.F32, "x")
    q = Node(Op.QUANTIZE, (x,), Quantize(DType.S8, IN), "q")
    relu = Node(Op.CLAMP, (q,), ClampAttrs(RELU, IN), "relu")
    y = Node(Op.DEQUANTIZE, (relu,), Attrs(), "y")
    kernels = [s.call.kernel for s in compile_graph(Graph((x,), (y,))).steps]
    assert kernels == ["mw_quantize_f32_s8", "mw_lookup_s8", "mw_dequantize_s8_f32"]


def test_node_names_cannot_collide_with_names_of_the_library() -> None:
    """A node may be called like a kernel, a type, the model itself or a C keyword."""
    for name in ("fully_connected_s8", "model", "int", "model_run", "layer", "0", "arena"):
        text = emit(compile_graph(small_graph(name)))["mw_model.c"]
        defined = re.findall(r"^(?:MW_LAYER void|static const \w+) (\w+)", text, re.MULTILINE)
        assert len(defined) == 2
        assert all(d.startswith("mw_layer_00_") for d in defined)


def test_inputs_and_outputs_have_names_and_numbers() -> None:
    x = graph_input((1, 4), DType.S8, "input_1", IN)
    other = graph_input((1, 4), DType.S8, "x", IN)
    total = Node(Op.ADD, (x, other), Elementwise(quant=IN), "output")
    text = emit(compile_graph(Graph((x, other), (total,))))["mw_model.h"]
    assert re.findall(r"\bint8_t \*(\w+);", text) == ["input_1", "input_x", "output"]
    assert "#define MW_INPUT_X_COUNT 4\n" in text
    assert "#define MW_OUTPUT_SCALE 0.05f\n" in text
    assert "#define MW_OUTPUT_ZERO_POINT (-11)\n" in text


def test_names_that_would_collide_are_told_apart() -> None:
    x = graph_input((1, 4), DType.S8, "x", IN)
    other = graph_input((1, 4), DType.S8, "input_x", IN)
    total = Node(Op.ADD, (x, other), Elementwise(quant=IN), "y")
    text = emit(compile_graph(Graph((x, other), (total,))))["mw_model.h"]
    assert re.findall(r"\bint8_t \*(\w+);", text) == ["input_x", "input_input_x", "output_y"]
