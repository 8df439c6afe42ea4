"""Every rule of `verify` fails when it is broken, and names the node that breaks it."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import Attrs, Constant, FullyConnected, Unary
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type
from milliwatt.ir.verify import verify

S8 = Quant.per_tensor(0.5, 3)


def tanh(x: Node, name: str = "t") -> Node:
    """A node to hang rules on."""
    return Node(Op.TANH, (x,), Unary(), name)


def dense(bias: Node) -> Graph:
    """A quantized fully_connected with input scale 0.5 and weight scales 0.25 and 0.125."""
    x = graph_input((1, 3), DType.S8, "x", S8)
    weight = constant(np.ones((2, 3), np.int8), "w", Quant.per_axis(np.array([0.25, 0.125]), 0))
    attrs = FullyConnected(quant=Quant.per_tensor(1.0))
    return Graph((x,), (Node(Op.FULLY_CONNECTED, (x, weight, bias), attrs, "fc"),))


def test_a_good_graph_is_returned_itself() -> None:
    """Nothing is copied or changed."""
    x = graph_input((1, 3), DType.F32, "x")
    graph = Graph((x,), (tanh(x),))
    assert verify(graph) is graph


def test_outputs_are_wanted() -> None:
    """A graph computes something."""
    x = graph_input((1, 3), DType.F32, "x")
    with pytest.raises(InvalidGraph, match="^net: no outputs; one or more wanted"):
        verify(Graph((x,), (), name="net"))


@pytest.mark.parametrize("name", ["", "two words", "brace{", "naïve", "a(b)"])
def test_names_use_known_characters(name: str) -> None:
    """Names end up in text, C comments and reports, so their characters are limited."""
    x = graph_input((1, 3), DType.F32, "x")
    with pytest.raises(InvalidGraph, match="the name holds characters outside"):
        verify(Graph((x,), (tanh(x, name),)))


def test_names_are_unique() -> None:
    """A name in an error means one node."""
    x = graph_input((1, 3), DType.F32, "x")
    with pytest.raises(InvalidGraph, match=r"^t \(tanh\): the name is taken by <t = tanh\(x\)"):
        verify(Graph((x,), (tanh(tanh(x)),)))


def test_inputs_are_listed() -> None:
    """An input that is reachable but not listed would have no value."""
    x, y = (graph_input((1, 3), DType.F32, name) for name in "xy")
    with pytest.raises(InvalidGraph, match=r"^y \(input\): reachable but not among the graph's"):
        verify(Graph((x,), (tanh(y),)))


def test_listed_inputs_are_inputs() -> None:
    """Only nodes of op `input` take values from the caller."""
    c = constant(np.ones(3, np.float32), "c")
    with pytest.raises(InvalidGraph, match=r"^c \(constant\): listed as an input; op input wanted"):
        verify(Graph((c,), (tanh(c),)))


def test_types_agree_with_inference() -> None:
    """A type that was forced onto a node is found."""
    x = graph_input((1, 3), DType.F32, "x")
    node = tanh(x)
    object.__setattr__(node, "type", Type((1, 4), DType.F32))
    with pytest.raises(InvalidGraph, match=r"^t \(tanh\): type is f32\[1,4\]; f32\[1,3\] inferred"):
        verify(Graph((x,), (node,)))


def test_constants_are_read_only() -> None:
    """A constant that someone could write to is no constant."""
    c = Node(Op.CONSTANT, (), Constant(np.ones(3, np.float32)), "c")
    with pytest.raises(InvalidGraph, match=r"^c \(constant\): the constant can be written to"):
        verify(Graph((), (tanh(c),)))


def test_bias_scale_is_input_times_weight() -> None:
    """A bias that says it is scaled otherwise would be added in the wrong unit."""
    good = constant(np.zeros(2, np.int32), "b", Quant.per_axis(np.array([0.125, 0.0625]), 0))
    verify(dense(good))
    verify(dense(constant(np.zeros(2, np.int32), "b")))
    twice = Quant.per_axis(np.array([0.125, 0.125]), 0)
    verify(dense(constant(np.zeros(2, np.int32), "b", twice)))  # zeros have no unit
    bad = constant(np.ones(2, np.int32), "b", twice)
    with pytest.raises(
        InvalidGraph, match=r"^fc \(fully_connected\): bias scale is 0.125; .*0.0625"
    ):
        verify(dense(bad))
    few = constant(np.zeros(2, np.int32), "b", Quant.per_tensor(0.125))
    with pytest.raises(InvalidGraph, match=r"^fc \(fully_connected\): bias has 1 scales, weight 2"):
        verify(dense(few))


def test_updates_pair_a_state_with_its_own_type() -> None:
    """A state is updated once, by a value of its type; nothing else is updated."""
    held = state(np.zeros((1, 3), np.float32), "held")
    out = tanh(held)
    verify(Graph((), (out,), ((held, out),)))
    x = graph_input((1, 3), DType.F32, "x")
    with pytest.raises(InvalidGraph, match=r"^x \(input\): updated from run to run; op state"):
        verify(Graph((x,), (tanh(x),), ((x, x),)))
    with pytest.raises(InvalidGraph, match=r"^held \(state\): updated twice; one update wanted"):
        verify(Graph((), (out,), ((held, out), (held, held))))
    with pytest.raises(InvalidGraph, match=r"^held \(state\): never updated; a constant or"):
        verify(Graph((), (out,)))
    wide = state(np.zeros((1, 4), np.float32), "wide")
    with pytest.raises(InvalidGraph, match=r"^wide \(state\): state is f32\[1,4\], its update f32"):
        verify(Graph((), (out,), ((held, out), (wide, out))))


def test_dequantized_detour_is_legal() -> None:
    """Types may change along the way; the rules are about agreement only."""
    x = graph_input((1, 3), DType.S8, "x", S8)
    real = Node(Op.DEQUANTIZE, (x,), Attrs(), "real")
    assert verify(Graph((x,), (tanh(real),))).outputs[0].type.dtype is DType.F32
