"""The text form: what it looks like, that it reads back, and that bad text names its line."""

from __future__ import annotations

import base64
import math
import random
import zlib

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph, MilliwattError
from milliwatt.ir.attrs import (
    ClampAttrs,
    Conv2d,
    ConvAdd,
    Elementwise,
    Lookup,
    Pad,
    Quantize,
    Unary,
)
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType, Quant
from support.random_graphs import random_graph

S8 = Quant.per_tensor(0.5, 3)


def small() -> Graph:
    """A quantized tanh of a padded input."""
    x = graph_input((1, 2), DType.S8, "x", S8)
    pad = Node(Op.PAD, (x,), Pad(((0, 0), (1, 0)), 3), "pad")
    return Graph((x,), (Node(Op.TANH, (pad,), Unary(), "t"),), name="small")


def test_exact_text() -> None:
    """One node a line, operands before users, defaults left out."""
    assert print_graph(small()) == (
        "graph small\n"
        '  x = input() {type=type((1, 2), "s8", q([0.5], [3], None))} : s8[1,2]\n'
        "  pad = pad(x) {paddings=((0, 0), (1, 0)), value=3} : s8[1,3]\n"
        "  t = tanh(pad) {} : s8[1,3]\n"
        "  return t\n"
    )
    assert str(small()) == print_graph(small())


def test_every_attribute_reads_back() -> None:
    """Nested attributes, infinities, tables, types and state survive the round trip."""
    x = graph_input((1, 3, 3, 2), DType.S8, "x", S8)
    weight = constant(np.full((2, 1, 1, 2), -5, np.int8), "w", Quant.per_axis(np.ones(2), 0))
    bias = constant(np.array([1, -(2**31)], np.int32), "b")
    conv = Conv2d(clamp=(0.0, math.inf), quant=S8, folded=True)
    attrs = ConvAdd(conv, Elementwise((-1.5, 6.0), S8))
    fused = Node(Op.CONV2D_ADD, (x, weight, bias, x), attrs, "fused")
    table = np.arange(-128, 128).astype(np.int8)[::-1]
    looked = Node(Op.LOOKUP, (fused,), Lookup(table, S8), "looked")
    low = Node(Op.CLAMP, (looked,), ClampAttrs((-math.inf, 0.0), S8), "low")
    wide = Node(Op.REQUANTIZE, (low,), Quantize(DType.S32, Quant.per_tensor(0.001)), "wide")
    state = graph_input((1,), DType.F32, "state")
    graph = Graph((x, state), (wide,), ((state, state),), "everything")
    again = parse_graph(print_graph(graph))
    assert print_graph(again) == print_graph(graph)
    nodes = {n.name: n for n in again.nodes()}
    assert nodes["fused"].attrs == attrs
    assert nodes["low"].attrs == low.attrs
    assert nodes["b"].value.tolist() == [1, -(2**31)]
    assert nodes["looked"].attrs.table.tolist() == table.tolist()  # type: ignore[attr-defined]
    assert again.updates[0][0] is again.inputs[1]


@pytest.mark.parametrize("dtype", [d for d in DType if d is not DType.BOOL], ids=str)
def test_constants_keep_every_bit(dtype: DType) -> None:
    """Arrays are bytes, not decimal digits."""
    bits = np.random.default_rng(1).integers(0, 256, 24, dtype=np.uint8)
    value = bits.view(dtype.numpy).copy()
    c = constant(value, "c")
    graph = Graph((), (c,))
    assert parse_graph(print_graph(graph)).outputs[0].value.tobytes() == value.tobytes()


def test_data_can_be_left_out() -> None:
    """For reading, weights are shown as dots."""
    c = constant(np.zeros(1000, np.int8), "c")
    shown = print_graph(Graph((), (c,)), data=False)
    assert 'array("int8", (1000,), "...")' in shown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 is ''; 'graph NAME' wanted"),
        ("net x\n", "line 1 is 'net x'"),
        ("graph g\n  t = tanh(x) {} : f32[1]\n", "line 2 does not parse: 'x'"),
        ("graph g\n  t = tanh(x {} : f32[1]\n", "line 2 does not parse: 'NAME = OP"),
        ("graph g\n  t = sing() {} : f32[1]\n", "line 2 does not parse: 'sing' is not a valid Op"),
        ("graph g\n  t = tanh() {loud=True} : f32[1]\n", "line 2 does not parse"),
        ("graph g\n  t = tanh() {a=} : f32[1]\n", "line 2 does not parse"),
        ("graph g\n  return x\n", "line 2 does not parse: 'x'"),
        ("graph g\n  update x\n", "line 2 does not parse"),
    ],
)
def test_bad_text_names_its_line(text: str, message: str) -> None:
    """One clear error, never a Python traceback of another kind."""
    with pytest.raises(InvalidGraph, match="^text form: ") as caught:
        parse_graph(text)
    assert message in str(caught.value)


@pytest.mark.parametrize("value", ["open('f')", "__import__('os')", "x.y", "[i for i in 'ab']"])
def test_nothing_in_the_text_is_executed(value: str) -> None:
    """Attribute values are literals and five known calls; everything else is refused."""
    text = f"graph g\n  x = input() {{type={value}}} : f32[1]\n  return x\n"
    with pytest.raises(InvalidGraph, match="is not an attribute value"):
        parse_graph(text)


def test_mutilated_text_is_refused_or_legal() -> None:
    """Random edits end in a graph or in an error of ours, never in another exception."""
    chance = random.Random(7)
    text = print_graph(random_graph(3, DType.S8))
    for _ in range(300):
        where = chance.randrange(len(text))
        edited = (
            text[:where] + chance.choice("(){},=x0\n\"'[]") + text[where + chance.randrange(4) :]
        )
        try:
            parse_graph(edited)
        except MilliwattError as error:
            assert "\n" not in str(error)


def test_an_array_cannot_unpack_to_more_than_its_shape_says() -> None:
    """A few hundred bytes of zlib can hold gigabytes of zeros."""
    bomb = base64.b64encode(zlib.compress(bytes(50_000_000))).decode()
    value = f'array("int8", (4,), "{bomb}")'
    text = f"graph g\n  c = constant() {{value={value}}} : s8[4]\n  return c\n"
    with pytest.raises(InvalidGraph, match=r"line 2 does not parse: .* 4 wanted"):
        parse_graph(text)
