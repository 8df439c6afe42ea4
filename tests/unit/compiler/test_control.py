"""Control flow and parts in C: the arena, the text, and what host and core compute."""

from __future__ import annotations

import re

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler import build as compiler
from milliwatt.compiler.emit import emit
from milliwatt.compiler.pipeline import run_passes
from milliwatt.compiler.program import Program, compile_graph
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Concat, Conv2d, Elementwise, Pad, Reshape, Unary
from milliwatt.ir.attrs.control import Control, If, Part, While
from milliwatt.ir.graph import Graph, Node, constant, graph_input, parts, state
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant, Type
from milliwatt.ir.verify import verify

Q = Quant.per_tensor(0.0625, -3)
X = Type((1, 6), DType.S8, Q)
FLAGS = Type((48,), DType.U8)
BOARDS = ("host", "cortex-m4")


def s8_input(name: str = "x") -> Node:
    return graph_input(X.shape, X.dtype, name, Q)


def fixed(value: int, name: str) -> Node:
    return constant(np.full(X.shape, value, np.int8), name, Q)


def add(a: Node, b: Node, name: str) -> Node:
    return Node(Op.ADD, (a, b), Elementwise(quant=Q), name)


def first_flag(flags: Node) -> Node:
    return Node(Op.PART, (flags,), Part(0, Type((1,), DType.BOOL)), "go")


def counting() -> Graph:
    """While the first flag is set: drop it, total = total + x. Flags lie eight bytes apart."""
    flags, total, x = graph_input((48,), DType.U8, "flags"), s8_input("total"), s8_input()
    condition = Graph((flags, total, x), (first_flag(flags),), name="go_on")
    rest = Node(Op.PART, (flags,), Part(8, Type((40,), DType.U8)), "rest")
    empty = constant(np.zeros(8, np.uint8), "empty")
    shifted = Node(Op.CONCAT, (rest, empty), Concat(0), "shifted")
    body = Graph((flags, total, x), (shifted, add(total, x, "more"), x), name="step")
    given, start = graph_input((48,), DType.U8, "given"), fixed(-3, "start")
    step = s8_input("step")
    loop = Node(Op.WHILE, (given, start, step), While(condition, body), "loop")
    _, sum_, _ = parts(loop, [FLAGS, X, X], ["left", "sum", "same"])
    return Graph((given, step), (add(sum_, step, "y"),), name="counting")


def flags_set(count: int) -> np.ndarray:
    """Flags of which the first `count` are set."""
    flags = np.zeros((6, 8), np.uint8)
    flags[:count, 0] = 1
    return flags.reshape(-1)


def choosing() -> Graph:
    """A choice inside a choice: one branch returns its input, one a constant, one computes."""
    flags, x = graph_input((48,), DType.U8, "flags"), s8_input()
    deep_x = s8_input()
    same = Graph((deep_x,), (deep_x,), name="same")
    other_x = s8_input()
    nothing = Graph((other_x,), (fixed(7, "seven"),), name="nothing")
    flag, inner_x = graph_input((1,), DType.BOOL, "flag"), s8_input()
    inner = Node(Op.IF, (flag, inner_x), If(same, nothing), "inner")
    (chosen,) = parts(inner, [X], ["chosen"])
    then = Graph((flag, inner_x), (chosen,), name="then")
    flag2, x2 = graph_input((1,), DType.BOOL, "flag"), s8_input()
    twice = add(x2, x2, "twice")
    otherwise = Graph((flag2, x2), (twice,), name="otherwise")
    second = Node(Op.PART, (flags,), Part(8, Type((1,), DType.BOOL)), "second")
    node = Node(Op.IF, (first_flag(flags), second, x), If(then, otherwise), "choice")
    (y,) = parts(node, [X], ["y"])
    return Graph((flags, x), (y,), name="choosing")


@pytest.mark.parametrize("board", BOARDS)
def test_while_equals_the_reference(board: str) -> None:
    graph = verify(counting())
    firmware = mw.build(graph, board=board)
    x = np.arange(-3, 3, dtype=np.int8).reshape(1, 6)
    for count in (0, 1, 5):
        (wanted,) = run(graph, [flags_set(count), x])
        (found,) = firmware.run((flags_set(count), x)).outputs
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(found, (count + 1) * (x + 3) - 3)


@pytest.mark.parametrize("board", BOARDS)
def test_if_inside_if_equals_the_reference(board: str) -> None:
    graph = verify(choosing())
    firmware = mw.build(graph, board=board)
    x = np.arange(-3, 3, dtype=np.int8).reshape(1, 6)
    for pattern, wanted in (((0, 0), 2 * (x + 3) - 3), ((1, 0), np.full_like(x, 7)), ((1, 1), x)):
        flags = np.zeros(48, np.uint8)
        flags[0], flags[8] = pattern
        (found,) = firmware.run((flags, x)).outputs
        np.testing.assert_array_equal(found, wanted)
        assert firmware.check((flags, x))


def test_a_loop_is_one_layer() -> None:
    """Cycles of everything inside count for the loop, and grow with its turns."""
    firmware = mw.build(counting(), board="cortex-m4")
    x = np.zeros((1, 6), np.int8)
    traces = [firmware.run((flags_set(count), x)) for count in (1, 5)]
    names = [layer.name for layer in traces[0].layers]
    assert names == ["loop", "y", "(runtime)"]
    loops = [trace.layers[0] for trace in traces]
    assert loops[1].cycles > 3 * loops[0].cycles > 300
    assert loops[0].calls == loops[1].calls == 1
    assert loops[0].kernel == "mw_while"


def test_a_wrong_loop_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The layer is the loop, whatever goes wrong inside; bytes between parts do not count."""
    built = mw.build(counting(), board="host")
    values = (flags_set(3), np.arange(6, dtype=np.int8).reshape(1, 6))
    assert built.first_divergence(values) is None

    def without_call(program: Program) -> dict[str, str]:
        call = "    mw_layer_00_loop_body_01(inner);"
        assert call in emit(program)["mw_model.c"]
        wrong = "    (void)mw_layer_00_loop_body_01;"
        return {k: v.replace(call, wrong) for k, v in emit(program).items()}

    monkeypatch.setattr(compiler, "emit", without_call)
    found = built.first_divergence(values)
    assert found is not None
    assert (found.layer, found.op, found.kernel) == ("loop", "while", "mw_while")


def test_an_endless_loop_is_stopped() -> None:
    graph = counting()
    x = graph_input((48,), DType.U8, "flags")
    for_ever = Graph((x,), (constant(np.array([True]), "true"),), name="ever")
    same = Graph((x,), (x,), name="same")
    loop = Node(Op.WHILE, (graph.inputs[0],), While(for_ever, same), "loop")
    (y,) = parts(loop, [FLAGS], ["y"])
    firmware = mw.build(Graph((graph.inputs[0],), (y,)), board="cortex-m4")
    with pytest.raises(mw.MachineFault, match=r"did not end within 50,000 cycles; .*layer loop"):
        firmware.run(flags_set(0), limit_cycles=50_000)


def test_a_part_is_no_copy() -> None:
    """Parts lie in their bundle; what may overwrite its operand may overwrite a part."""
    packet = graph_input((32,), DType.U8, "packet")
    low = Node(Op.PART, (packet,), Part(0, X), "low")
    high = Node(Op.PART, (packet,), Part(24, X), "high")
    total = add(low, fixed(1, "one"), "total")
    program = compile_graph(Graph((packet,), (high,)))
    assert program.plan.outputs == (program.plan.offset(packet) + 24,)
    assert (program.steps, program.arena_bytes) == ((), 32)
    program = compile_graph(Graph((packet,), (total,)))
    assert program.plan.offset(total) == program.plan.offset(packet)
    assert program.arena_bytes == 32
    # A second reader of the bundle keeps it whole.
    program = compile_graph(Graph((packet,), (total, high)))
    assert program.plan.offset(total) != program.plan.offset(packet)
    flat = Node(Op.RESHAPE, (high,), Reshape((6,)), "flat")
    assert program.plan.offset(high) == compile_graph(Graph((packet,), (flat,))).plan.outputs[0]


def test_inner_arenas_are_workspace() -> None:
    program = compile_graph(counting())
    loop = program.steps[0]
    assert loop.call.workspace_bytes == max(inner.arena_bytes for inner in loop.inner)
    assert [inner.symbol for inner in loop.inner] == [
        "mw_layer_00_loop_condition",
        "mw_layer_00_loop_body",
    ]
    assert loop.weight_bytes >= 8  # the constant of the body


def test_the_text_holds_no_recursion() -> None:
    """Each function is defined once, before anything calls it."""
    text = emit(compile_graph(choosing()))["mw_model.c"]
    defined = [
        (m.start(), m[1]) for m in re.finditer(r"^(?:MW_LAYER|static) void (\w+)\(", text, re.M)
    ]
    assert len({name for _, name in defined}) == len(defined) >= 2
    for at, name in defined:
        assert all(at < m.start() for m in re.finditer(rf"\b{name}\((?:inner|model)", text))


def test_float_kernels_inside_widen_the_error_bar() -> None:
    """The layer is called by what runs in it: cycles of float kernels are less certain."""
    flag, x = graph_input((1,), DType.BOOL, "flag"), graph_input((2,), DType.F32, "x")
    inner_x = graph_input((2,), DType.F32, "x")
    tanh = Graph((inner_x,), (Node(Op.TANH, (inner_x,), Unary(), "t"),))
    node = Node(Op.IF, (flag, x), If(tanh, tanh), "choice")
    graph = Graph((flag, x), parts(node, [Type((2,), DType.F32)], ["y"]))
    assert compile_graph(graph).steps[0].call.kernel == "mw_if_f32"


def test_s4_is_for_constants() -> None:
    x = graph_input((4,), DType.S4, "x", Quant.per_tensor(0.5))
    y = Node(Op.RESHAPE, (x,), Reshape((2, 2)), "y")
    with pytest.raises(UnsupportedOp, match=r"x \(input\): s4\[4\] is computed or kept; s4 is for"):
        compile_graph(Graph((x,), (y,)))
    held = state(np.zeros(4, np.int8), "held", Quant.per_tensor(0.5), DType.S4)
    with pytest.raises(UnsupportedOp, match=r"held \(state\): s4\[4\] is computed or kept"):
        compile_graph(Graph((), (held,), ((held, held),)))


def padded(name: str) -> Graph:
    """conv(pad(x)): what fold_pad looks for."""
    x = graph_input((1, 2, 1, 1), DType.F32, "x")
    pad = Node(Op.PAD, (x,), Pad(((0, 0), (1, 1), (0, 0), (0, 0))), "pad")
    weight = constant(np.ones((1, 3, 1, 1), np.float32), "w")
    return Graph((x,), (Node(Op.CONV2D, (pad, weight), Conv2d(), "conv"),), name=name)


def test_passes_run_inside() -> None:
    flag, x = graph_input((1,), DType.BOOL, "flag"), graph_input((1, 2, 1, 1), DType.F32, "x")
    attrs = If(padded("a"), padded("b"))
    node = Node(Op.IF, (flag, x), attrs, "choice")
    graph = verify(Graph((flag, x), parts(node, attrs.results, ["y"])))
    lowered = verify(run_passes(graph))
    inside = next(n.attrs for n in lowered.nodes() if n.op is Op.IF)
    assert isinstance(inside, Control)
    assert not any(n.op is Op.PAD for _, each in inside.graphs() for n in each.nodes())
    values = [np.array([True]), np.array([0.5, 2], np.float32).reshape(1, 2, 1, 1)]
    np.testing.assert_array_equal(run(lowered, values)[0], run(graph, values)[0])
