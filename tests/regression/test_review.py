"""What a review of the first release found: hostile names and sizes, empty programs, state."""

from __future__ import annotations

import math

import numpy as np
import pytest

from milliwatt.compiler.build import build
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.errors import DoesNotFit, InvalidGraph
from milliwatt.ir.attrs import (
    Conv2d,
    Elementwise,
    FullyConnected,
    Pool2d,
    Reshape,
)
from milliwatt.ir.fold import fold_constants
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.common import clip
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType, Quant, Type
from milliwatt.ir.verify import verify

Q = Quant.per_tensor(0.05, -11)


def x_input(*shape: int) -> Node:
    """An s8 input."""
    return graph_input(shape, DType.S8, "x", Q)


@pytest.mark.parametrize(
    "name", ["/" + "x" + "/y", "../../x", "a/b", "a\nb", "x" * 500, "*/ evil", "", "é"]
)
def test_graph_names_are_safe_in_file_names_and_comments(name: str) -> None:
    x = x_input(4)
    graph = Graph((x,), (Node(Op.RESHAPE, (x,), Reshape((2, 2)), "y"),), name=name)
    assert set(graph.name) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
    )
    assert 1 <= len(graph.name) <= 64
    assert not graph.name.startswith(".")
    assert parse_graph(print_graph(graph)).name == graph.name


@pytest.mark.parametrize("target", ["host", "cortex-m4"])
def test_a_program_without_steps_builds_and_runs(target: str) -> None:
    x = x_input(4)
    graph = Graph((x,), (Node(Op.RESHAPE, (x,), Reshape((2, 2)), "y"),))
    values = np.array([1, -2, 3, -4], np.int8)
    found = run_firmware(build(graph, board(target)), [values]).outputs[0]
    np.testing.assert_array_equal(found, values.reshape(2, 2))


def test_an_updated_input_is_refused_by_name() -> None:
    """What is remembered is a state, which nobody passes."""
    x, state = x_input(4), graph_input((4,), DType.S8, "state", Q)
    new = Node(Op.ADD, (x, state), Elementwise(quant=Q), "new")
    graph = Graph((x, state), (new,), updates=((state, new),))
    with pytest.raises(InvalidGraph, match=r"^state \(input\): updated from run to run; op state"):
        build(graph, board("host"))


def test_values_beyond_any_memory_are_refused() -> None:
    with pytest.raises(InvalidGraph, match=r"x \(input\): s8\[100000,100000\] takes"):
        x_input(100_000, 100_000)


def test_geometry_beyond_any_memory_is_refused() -> None:
    x = x_input(1, 8, 8, 1)
    weight = constant(np.ones((1, 2, 2, 1), np.int8), "w", Quant.per_tensor(0.1))
    wide = Conv2d(padding=(50_000,) * 4, dilation=(100_000, 100_000), quant=Q)
    with pytest.raises(InvalidGraph, match="padded input of"):
        Node(Op.CONV2D, (x, weight), wide, "conv")
    with pytest.raises(InvalidGraph, match="padded input of"):
        Node(Op.MAX_POOL2D, (x,), Pool2d((60_000, 60_000), (1, 1), (50_000,) * 4), "pool")


def test_constants_are_not_folded_into_something_much_larger() -> None:
    a = constant(np.ones((4096, 1), np.int8), "a", Q)
    b = constant(np.ones((1, 4096), np.int8), "b", Q)
    product = Node(Op.ADD, (a, b), Elementwise(quant=Q), "sum")
    x = x_input(4096, 4096)
    graph = Graph((x,), (Node(Op.ADD, (x, product), Elementwise(quant=Q), "y"),))
    assert [str(n.op) for n in fold_constants(graph).nodes()].count("add") == 2


def test_constants_larger_than_the_flash_are_refused_before_compiling() -> None:
    x = x_input(1, 20_000)
    weight = constant(np.ones((1000, 20_000), np.int8), "w", Quant.per_tensor(0.1))
    fc = Node(Op.FULLY_CONNECTED, (x, weight), FullyConnected(quant=Q), "fc")
    with pytest.raises(DoesNotFit, match=r"bytes of flash are missing .*largest tensors: w s8"):
        build(Graph((x,), (fc,)), board("bluepill-f103"))


def test_constants_must_be_finite() -> None:
    x = graph_input((2,), DType.F32, "x")
    bad = constant(np.array([1.0, np.nan], np.float32), "bad")
    graph = Graph((x,), (Node(Op.ADD, (x, bad), Elementwise(), "y"),))
    with pytest.raises(InvalidGraph, match=r"bad \(constant\): the constant holds NaN or infinity"):
        verify(graph)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("(1, 8, 8, 3)", "(1, 8.5, 8, 3)"),
        ("stride=(2, 2)", "stride=(2, 2.0)"),
        ("stride=(2, 2)", "stride=(2, 4294967296)"),
        ("stride=(2, 2)", "stride=2"),
        ("clamp=(0.0, 6.0)", 'clamp=("a", inf)'),
        ("clamp=(0.0, 6.0)", "clamp=(0.0,)"),
        ("padding=(1, 1, 1, 1)", "padding=(1, 1)"),
        ("padding=(1, 1, 1, 1)", "padding=" + "(" * 500 + "1" + ",)" * 500),
    ],
)
def test_damaged_attributes_name_their_line(good: str, bad: str) -> None:
    x = graph_input((1, 8, 8, 3), DType.F32, "x")
    weight = constant(np.ones((4, 3, 3, 3), np.float32), "w")
    attrs = Conv2d(stride=(2, 2), padding=(1, 1, 1, 1), clamp=(0.0, 6.0))
    text = print_graph(Graph((x,), (Node(Op.CONV2D, (x, weight), attrs, "conv"),)))
    assert good in text
    with pytest.raises(InvalidGraph, match=r"line \d does not parse"):
        parse_graph(text.replace(good, bad))


@pytest.mark.parametrize(
    ("clamp", "wanted"),
    [
        ((math.inf, math.inf), 127),
        ((1e38, 3e38), 127),
        ((-3e38, -1e38), -128),
        ((-math.inf, -math.inf), -128),
    ],
)
def test_infinite_and_huge_clamps_saturate(clamp: tuple[float, float], wanted: int) -> None:
    out = Type((1,), DType.S8, Quant.per_tensor(1e-30, 5))
    assert clip(np.array([0]), clamp, out).item() == wanted
