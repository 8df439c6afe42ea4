"""fully_connected, pooling and transposes on the emulated core: same bytes, few cycles.

What a firmware computes is compared with the reference; tests/kernels compares the C body of the
same kernels, and the portable kernels, with it.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest

from kernels.cases_matrix_dsp import CASES, connected
from milliwatt.compiler.bind import bind
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.target import DSP, Target
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.attrs import Lookup, Pool2d, Softmax, Transpose
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as reference
from milliwatt.ir.types import DType, Quant
from support.compilers import want_compiler

BOARD = "nucleo-l4r5zi"
FIRST = functools.partial(bind, target=Target(frozenset({DSP})))
TOOLCHAINS = ("zig", "gcc")


def whole(nodes: list[Node]) -> Graph:
    """One graph of all of these, each with an input of its own."""
    inputs: list[Node] = []
    outputs = []
    for number, node in enumerate(nodes):
        x, *constants = node.src
        inputs.append(graph_input(x.type.shape, x.type.dtype, f"x{number}", x.type.quant))
        outputs.append(Node(node.op, (inputs[-1], *constants), node.attrs, f"{node.op}{number}"))
    return Graph(tuple(inputs), tuple(outputs))


def trace(nodes: list[Node], toolchain: str, name: str = BOARD) -> Trace:
    """Run the nodes, in one firmware of the first matching rows, and compare every result."""
    want_compiler(toolchain)
    graph = whole(nodes)
    rng = np.random.default_rng(3)
    given = [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in graph.inputs]
    got = run(link(bind_program(graph, FIRST), board(name), toolchain=toolchain), given)
    for node, value, wanted in zip(nodes, got.outputs, reference(graph, given), strict=True):
        np.testing.assert_array_equal(value, wanted, err_msg=f"{node!r} {node.attrs}")
    return got


@pytest.mark.parametrize(
    ("toolchain", "name", "step"),
    [("zig", BOARD, 1), ("gcc", BOARD, 3), ("zig", "cortex-m7", 5), ("zig", "cortex-m33", 5)],
)
def test_same_bytes_on_the_core(toolchain: str, name: str, step: int) -> None:
    """Every remainder of blocks and steps, rows at any address, sums in parts."""
    got = trace([node for _, node in CASES[::step]], toolchain, name)
    kernels = [layer.kernel for layer in got.layers[:-1]]
    for stem in ("fully_connected", "average_pool2d", "max_pool2d", "mean"):
        assert kernels.count(f"mw_{stem}_s8_dsp") > 10 // step


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
@pytest.mark.parametrize(
    ("shape", "outputs", "most"),
    [((1, 640), 128, 1.50), ((1, 128), 128, 1.60), ((1, 8), 128, 3.4), ((1, 128), 8, 2.4)],
)
def test_cycles_of_a_product(
    shape: tuple[int, int], outputs: int, most: float, toolchain: str
) -> None:
    """Layers of the autoencoder, flash included: 0.31 of the cycles are weights' wait states."""
    layer = trace([connected(shape, outputs, out_zero=-128)], toolchain).layers[0]
    assert layer.cycles <= most * shape[1] * outputs


def pool(op: Op, shape: tuple[int, ...], kernel: tuple[int, int], stride: tuple[int, int]) -> Node:
    """One pooling without padding."""
    x = graph_input(shape, DType.S8, "x", Quant.per_tensor(0.05, -128))
    return Node(op, (x,), Pool2d(kernel, stride, (0, 0, 0, 0)), "y")


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
@pytest.mark.parametrize(
    ("node", "most"),
    [
        (pool(Op.AVERAGE_POOL2D, (1, 25, 5, 64), (25, 5), (1, 1)), 1.6),
        (pool(Op.AVERAGE_POOL2D, (1, 32, 32, 16), (2, 2), (2, 2)), 3.6),
        (pool(Op.MAX_POOL2D, (1, 32, 32, 16), (2, 2), (2, 2)), 1.9),
        (pool(Op.MAX_POOL2D, (1, 32, 32, 16), (3, 3), (2, 2)), 6.5),
    ],
    ids=repr,
)
def test_cycles_of_a_cell(node: Node, most: float, toolchain: str) -> None:
    """Pooling, by values of the input."""
    layer = trace([node], toolchain).layers[0]
    assert layer.cycles <= most * node.src[0].type.size


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_cycles_of_a_byte(toolchain: str) -> None:
    """A transposed plane in 3.7 cycles a byte, a table in 4.7, softmax of 12 classes in 1,300."""
    x = graph_input((64, 64), DType.S8, "x", Quant.per_tensor(0.05, 0))
    classes = graph_input((1, 12), DType.S8, "x", Quant.per_tensor(0.05, 10))
    table = np.arange(-128, 128, dtype=np.int8)[::-1].copy()
    for node, most in (
        (Node(Op.TRANSPOSE, (x,), Transpose((1, 0)), "y"), 3.7 * x.type.size),
        (Node(Op.LOOKUP, (x,), Lookup(table), "y"), 4.7 * x.type.size),
        (Node(Op.SOFTMAX, (classes,), Softmax(1.0), "y"), 1300),
    ):
        assert trace([node], toolchain).layers[0].cycles <= most
