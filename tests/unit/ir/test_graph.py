"""Nodes and graphs: inference on construction, order, rewriting, and errors that name the node."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.errors import InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import Attrs, Concat, Conv2d, Elementwise, Reshape, Unary
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant


def diamond() -> Graph:
    """x -> (tanh, logistic) -> add; a constant is added last."""
    x = graph_input((1, 4), DType.F32, "x")
    left = Node(Op.TANH, (x,), Unary(), "left")
    right = Node(Op.LOGISTIC, (x,), Unary(), "right")
    both = Node(Op.ADD, (left, right), Elementwise(), "both")
    c = constant(np.ones(4, np.float32), "c")
    return Graph((x,), (Node(Op.MUL, (both, c), Elementwise(), "out"),), name="diamond")


def test_nodes_come_after_their_operands_once() -> None:
    """The order is inputs first, depth first along operands, each node once."""
    assert [n.name for n in diamond().nodes()] == ["x", "left", "right", "both", "c", "out"]


def test_nodes_holds_ten_thousand_deep() -> None:
    """The walk keeps its own stack, so depth is not limited by Python's."""
    x = node = graph_input((1,), DType.F32, "x")
    for i in range(10_000):
        node = Node(Op.TANH, (node,), Unary(), f"n{i}")
    assert sum(1 for _ in Graph((x,), (node,)).nodes()) == 10_001


def test_type_is_inferred() -> None:
    """A node's type follows from its operands and attributes."""
    x = graph_input((1, 8, 8, 3), DType.F32, "x")
    w = constant(np.zeros((5, 3, 3, 3), np.float32), "w")
    node = Node(Op.CONV2D, (x, w), Conv2d(stride=(2, 2), padding=(1, 1, 1, 1)), "conv")
    assert node.type.short == "f32[1,4,4,5]"


def test_infer_error_names_the_node() -> None:
    """What inference refuses is reported with name and operator."""
    x = graph_input((1, 8), DType.F32, "x")
    with pytest.raises(InvalidGraph, match=r"^flat \(reshape\): f32\[1,8\] does not reshape"):
        Node(Op.RESHAPE, (x,), Reshape((3, 3)), "flat")


def test_wrong_dtype_names_the_node() -> None:
    """An element type without a kernel is UnsupportedOp, with the node's name in front."""
    x = graph_input((1, 8), DType.S32, "x", Quant.per_tensor(1.0))
    with pytest.raises(UnsupportedOp, match=r"sig \(logistic\).*s32\[1,8\].*wanted"):
        Node(Op.LOGISTIC, (x,), Unary(), "sig")


def test_wrong_attrs_and_arity_are_refused() -> None:
    """Attributes of another operator and a wrong number of operands name the node."""
    x = graph_input((1, 8), DType.F32, "x")
    with pytest.raises(InvalidGraph, match=r"t \(tanh\): attrs are Conv2d; Unary wanted"):
        Node(Op.TANH, (x,), Conv2d(), "t")
    with pytest.raises(InvalidGraph, match=r"a \(add\): 1 operands; 2 wanted"):
        Node(Op.ADD, (x,), Elementwise(), "a")
    with pytest.raises(InvalidGraph, match=r"d \(dequantize\): 0 operands; 1 wanted"):
        Node(Op.DEQUANTIZE, (), Attrs(), "d")
    with pytest.raises(InvalidGraph, match=r"c \(concat\): 0 operands; 1 to"):
        Node(Op.CONCAT, (), Concat(0), "c")


def test_constant_is_a_read_only_copy() -> None:
    """Changing the caller's array later changes nothing, and the held one cannot be written."""
    mine = np.arange(4, dtype=np.int8)
    node = constant(mine, "c", Quant.per_tensor(1.0))
    mine[0] = 100
    assert node.value.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="read-only"):
        node.value[0] = 1


def test_value_of_a_non_constant_is_refused() -> None:
    """Only constants have a value before the program runs."""
    x = graph_input((1,), DType.F32, "x")
    with pytest.raises(InvalidGraph, match=r"x \(input\): not a constant"):
        _ = x.value


def test_rewrite_that_keeps_everything_keeps_the_nodes() -> None:
    """A rule that returns None leaves every node the same object."""
    graph = diamond()
    assert list(graph.rewrite(lambda node: None).nodes()) == list(graph.nodes())


def test_rewrite_rebuilds_only_what_depends_on_the_change() -> None:
    """Nodes above a replacement are rebuilt, nodes beside it kept; the old graph is unchanged."""
    graph = diamond()
    before = {n.name: n for n in graph.nodes()}

    def rule(node: Node) -> Node | None:
        return Node(Op.LOGISTIC, node.src, Unary(), "left") if node.name == "left" else None

    after = {n.name: n for n in graph.rewrite(rule).nodes()}
    assert after["right"] is before["right"]
    assert after["left"].op is Op.LOGISTIC
    assert after["both"] is not before["both"]
    assert after["both"].src == (after["left"], after["right"])
    assert before["left"].op is Op.TANH


def test_rewrite_carries_updates() -> None:
    """State pairs point at the rebuilt nodes."""
    state = graph_input((1, 4), DType.F32, "state")
    new = Node(Op.TANH, (state,), Unary(), "new")
    graph = Graph((state,), (new,), ((state, new),))
    fresh = graph.rewrite(
        lambda n: Node(Op.LOGISTIC, n.src, Unary(), "new") if n.op is Op.TANH else None
    )
    assert fresh.updates[0][0] is fresh.inputs[0]
    assert fresh.updates[0][1] is fresh.outputs[0]
    assert fresh.outputs[0].op is Op.LOGISTIC


def test_users_lists_every_reader() -> None:
    """Each node maps to the nodes that read it; an operand read twice is listed twice."""
    graph = diamond()
    users = {node.name: [u.name for u in readers] for node, readers in graph.users().items()}
    assert users == {
        "x": ["left", "right"],
        "left": ["both"],
        "right": ["both"],
        "both": ["out"],
        "c": ["out"],
        "out": [],
    }
    x = graph.inputs[0]
    square = Node(Op.MUL, (x, x), Elementwise(), "square")
    assert Graph((x,), (square,)).users()[x] == [square, square]


def test_repr_is_one_line() -> None:
    """A node prints as an assignment with its type."""
    assert repr(diamond().outputs[0]) == "<out = mul(both, c) : f32[1,4]>"


@pytest.mark.parametrize("op", [Op.ADD, Op.CONCAT], ids=str)
def test_empty_operands_are_refused(op: Op) -> None:
    """No interpreter of microcontrollers runs them."""
    whole = graph_input((2, 3), DType.F32, "x")
    empty = constant(np.zeros((0, 3), np.float32), "e")
    attrs = Elementwise() if op is Op.ADD else Concat(0)
    with pytest.raises(InvalidGraph, match=rf"y \({op}\): operand 1 is f32\[0,3\], which is empty"):
        Node(op, (whole, empty), attrs, "y")
