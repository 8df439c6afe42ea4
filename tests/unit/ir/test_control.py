"""Control flow in the IR: types, reference, rules, text, passes, limits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from milliwatt.errors import BadData, InvalidGraph, UnsupportedOp
from milliwatt.ir.attrs import Elementwise, Reshape, Unary
from milliwatt.ir.attrs.control import MAX_DEPTH, If, Part, While, bundle_type
from milliwatt.ir.batch import batch_size, run_samples
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import Session, run
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType
from milliwatt.ir.verify import verify

F32 = DType.F32


def branch(make: Callable[[Node], Node], name: str, shape: tuple[int, ...] = (2,)) -> Graph:
    """A graph of one f32 input and one output."""
    x = graph_input(shape, F32, "x")
    return Graph((x,), (make(x),), name=name)


def doubled(x: Node) -> Node:
    return Node(Op.ADD, (x, x), Elementwise(), "sum")


def tanh(x: Node) -> Node:
    return Node(Op.TANH, (x,), Unary(), "t")


def chosen(then: Graph, otherwise: Graph) -> Graph:
    """if flag: then(x) else: otherwise(x)."""
    flag, x = graph_input((1,), DType.BOOL, "flag"), graph_input((2,), F32, "x")
    attrs = If(then, otherwise)
    node = Node(Op.IF, (flag, x), attrs, "choice")
    return Graph((flag, x), parts(node, attrs.results, ["y"]))


def nested(levels: int) -> Graph:
    """An if inside an if, `levels` deep."""
    inner = branch(tanh, "leaf")
    for level in range(levels):
        flag = constant(np.array([True]), "flag")
        x = graph_input((2,), F32, "x")
        attrs = If(inner, branch(doubled, "twin"))
        node = Node(Op.IF, (flag, x), attrs, "choice")
        inner = Graph((x,), parts(node, attrs.results, ["y"]), name=f"level{level}")
    return inner


def counting(limit: int = 5) -> Graph:
    """while limit > 0 (a constant, so never or for ever): n, total = n + 1, total + n."""
    n, total = graph_input((1,), F32, "n"), graph_input((1,), F32, "total")
    one = constant(np.ones(1, np.float32), "one")
    more = Node(Op.ADD, (n, one), Elementwise(), "n_next")
    body = Graph((n, total), (more, Node(Op.ADD, (total, n), Elementwise(), "total_next")))
    go = constant(np.array([limit > 0]), "go")
    condition = Graph((n, total), (go,), name="go_on")
    first = graph_input((1,), F32, "first")
    zero = constant(np.zeros(1, np.float32), "zero")
    attrs = While(condition, body)
    node = Node(Op.WHILE, (first, zero), attrs, "loop")
    return Graph((first,), parts(node, attrs.results, ["last", "sum"]))


def test_if_takes_the_branch() -> None:
    graph = verify(chosen(branch(doubled, "a"), branch(tanh, "b")))
    x = np.array([1, -3], np.float32)
    np.testing.assert_array_equal(run(graph, [np.array([True]), x])[0], x + x)
    np.testing.assert_allclose(run(graph, [np.array([False]), x])[0], np.tanh(x), rtol=1e-6)


def test_while_without_a_turn_gives_its_operands() -> None:
    last, total = run(verify(counting(0)), [np.array([7], np.float32)])
    assert (last.tolist(), total.tolist()) == ([7.0], [0.0])


def test_an_endless_loop_is_bad_data(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milliwatt.ir.ops.control.MAX_ITERATIONS", 50)
    with pytest.raises(BadData, match=r"^loop \(while\): no end after 50 iterations; a condition"):
        run(counting(), [np.array([7], np.float32)])


def test_results_lie_in_one_bundle() -> None:
    graph = counting()
    bundle = graph.outputs[0].src[0]
    assert bundle.type == bundle_type(tuple(n.type for n in graph.outputs))[0]
    results = [n.attrs for n in graph.outputs]
    assert [a.offset for a in results if isinstance(a, Part)] == [0, 8]


@pytest.mark.parametrize("make", [lambda: nested(3), counting, lambda: counting(0)])
def test_text_round_trip(make: Callable[[], Graph]) -> None:
    text = print_graph(make())
    again = verify(parse_graph(text))
    assert print_graph(again) == text
    assert text.count(": graph ") == sum(1 for line in text.split("\n") if ": graph " in line) > 1


def test_text_says_which_line() -> None:
    lines = print_graph(nested(2)).split("\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("        then: graph"))
    lines[at + 1] = "          nonsense"
    with pytest.raises(InvalidGraph, match=rf"line {at + 2} does not parse: 'NAME = OP"):
        parse_graph("\n".join(lines))
    lines[at] = "        whatever"
    with pytest.raises(InvalidGraph, match=r"line \d+ is .*; 'FIELD: graph NAME' wanted"):
        parse_graph("\n".join(lines))
    deep = "\n".join(
        [
            "graph a",
            *(
                f"{'    ' * i}  y = if() {{}} : u8[8]\n{'    ' * (i + 1)}then: graph b"
                for i in range(40)
            ),
        ]
    )
    with pytest.raises(InvalidGraph, match=f"graphs {MAX_DEPTH + 1} deep; {MAX_DEPTH} allowed"):
        parse_graph(deep)


def test_graphs_are_told_apart() -> None:
    """Attributes that hold graphs are equal to themselves only."""
    one, other = If(nested(0), nested(0)), If(nested(0), nested(0))
    assert len({one, other}) == 2
    assert one != other


def test_depth_is_bounded() -> None:
    verify(nested(MAX_DEPTH))
    with pytest.raises(InvalidGraph, match=f"choice .*graphs {MAX_DEPTH + 1} deep; at most"):
        nested(MAX_DEPTH + 1)


def test_size_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that is held twice at every level would double with each."""
    monkeypatch.setattr("milliwatt.ir.ops.control.MAX_INNER_NODES", 20)
    with pytest.raises(InvalidGraph, match="graphs of 2[0-9] nodes; at most 20 wanted"):
        nested(4)


def test_types_of_both_branches_agree() -> None:
    twin = branch(tanh, "a")
    wide = branch(tanh, "b", (3,))
    with pytest.raises(InvalidGraph, match=r"choice \(if\): otherwise takes f32\[3\]; f32\[2\]"):
        chosen(twin, wide)
    other = branch(lambda x: Node(Op.RESHAPE, (tanh(x),), Reshape((2, 1)), "r"), "c")
    with pytest.raises(InvalidGraph, match=r"otherwise gives f32\[2,1\]; f32\[2\] wanted"):
        chosen(twin, other)
    flag = graph_input((2,), DType.BOOL, "flag")
    x = graph_input((2,), F32, "x")
    with pytest.raises(InvalidGraph, match=r"condition is bool\[2\]; one element wanted"):
        Node(Op.IF, (flag, x), If(twin, twin), "choice")
    with pytest.raises(UnsupportedOp, match=r"condition is f32\[2\]; bool wanted"):
        Node(Op.IF, (x, x), If(twin, twin), "choice")


def test_loop_values_keep_their_types() -> None:
    x = graph_input((2,), F32, "x")
    flag = branch(lambda _: constant(np.array([True]), "go"), "c")
    other = branch(lambda x: Node(Op.RESHAPE, (tanh(x),), Reshape((2, 1)), "r"), "b")
    with pytest.raises(InvalidGraph, match=r"loop \(while\): body gives f32\[2,1\]; f32\[2\]"):
        Node(Op.WHILE, (x,), While(flag, other), "loop")
    with pytest.raises(UnsupportedOp, match=r"condition is f32\[2\]; bool wanted"):
        Node(Op.WHILE, (x,), While(branch(tanh, "t"), branch(tanh, "t")), "loop")


def test_graphs_inside_keep_no_state() -> None:
    held = state(np.zeros(2, np.float32), "held")
    x = graph_input((2,), F32, "x")
    total = Node(Op.ADD, (x, held), Elementwise(), "total")
    inner = Graph((x,), (total,), ((held, total),))
    with pytest.raises(InvalidGraph, match="then keeps state; a graph without state wanted"):
        chosen(inner, branch(tanh, "b"))


def test_rules_hold_inside() -> None:
    writable = constant(np.ones(2, np.float32), "c")
    writable.value.flags.writeable = True
    inner = branch(lambda x: Node(Op.ADD, (x, writable), Elementwise(), "s"), "bad")
    with pytest.raises(InvalidGraph, match=r"^choice \(if\): then: c \(constant\): the const"):
        verify(chosen(inner, branch(tanh, "b")))


def test_samples_run_one_by_one_and_share_no_state() -> None:
    held, x = state(np.zeros((1, 2), np.float32), "held"), graph_input((1, 2), F32, "x")
    total = Node(Op.ADD, (x, held), Elementwise(), "total")
    graph = Graph((x,), (total,), ((held, total),))
    assert batch_size(graph) > batch_size(counting()) == 1
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    np.testing.assert_array_equal(run_samples(graph, [values])[0], values)
    session = Session(graph)
    np.testing.assert_array_equal(
        np.concatenate([session.run([v[None]])[0] for v in values]), np.cumsum(values, 0)
    )
