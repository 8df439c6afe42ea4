"""add, sub, mul and conv2d + add for the DSP extension on the emulated core: bytes, cycles.

tests/kernels compares the C body of the same kernels, and the portable kernels, with the reference.
"""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cases_conv_dsp import conv
from kernels.cases_elementwise_dsp import CASES, fused
from milliwatt.compiler.bind import Call, call_of
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.rows import conv_add_dsp, conv_dsp, elementwise_dsp
from milliwatt.compiler.rows.row import Row
from milliwatt.compiler.target import DSP, Target
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as reference
from milliwatt.ir.types import DType, Quant
from support.compilers import want_compiler

BOARD = "nucleo-l4r5zi"
ROWS = (*elementwise_dsp.ROWS, *conv_add_dsp.ROWS)
TARGET = Target(frozenset({DSP}))
SCALES = (0.0233183745, 0.0417741537, 0.0455103219)
"""Of two operands and a result."""
SIZE = (1, 32, 32, 16)
TOOLCHAINS = ("zig", "gcc")


def trace(pairs: list[tuple[Node, Row]], toolchain: str, name: str = BOARD) -> Trace:
    """Run each node by its row, all in one firmware, and compare every result."""
    want_compiler(toolchain)
    calls: dict[Node, Call] = {}
    for number, (node, row) in enumerate(pairs):
        again = Node(node.op, own_operands(node, number), node.attrs, f"y{number}")
        calls[again] = call_of(again, row)
    inputs = tuple(s for node in calls for s in node.src if s.op is Op.INPUT)
    graph = Graph(inputs, tuple(calls))
    rng = np.random.default_rng(3)
    given = [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in inputs]
    program = bind_program(graph, calls.__getitem__)
    got = run(link(program, board(name), toolchain=toolchain), given)
    for node, value, wanted in zip(calls, got.outputs, reference(graph, given), strict=True):
        np.testing.assert_array_equal(value, wanted, err_msg=f"{calls[node].kernel} {node!r}")
    return got


def own_operands(node: Node, number: int) -> tuple[Node, ...]:
    """The node's operands under names of their own."""
    return tuple(
        constant(s.value, f"{s.name}_{number}", s.type.quant)
        if s.is_constant
        else graph_input(s.type.shape, s.type.dtype, f"{s.name}_{number}", s.type.quant)
        for s in node.src
    )


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB, Op.MUL, Op.CONV2D_ADD], ids=str)
@pytest.mark.parametrize(
    ("toolchain", "name"), [("zig", BOARD), ("gcc", BOARD), ("zig", "cortex-m33")]
)
def test_same_bytes_on_the_core(op: Op, toolchain: str, name: str) -> None:
    """Every form of every shape, odd lengths and starts at any address; every copy and band."""
    nodes = [node for _, node in CASES if node.op is op]
    pairs = [(node, row) for node in nodes for row in ROWS if row.matches(node, TARGET)]
    if op is Op.CONV2D_ADD:
        pairs = pairs[-50:]  # the large ones
    assert len(pairs) >= 30
    trace(pairs, toolchain, name)


def element(op: Op, zero: int) -> Node:
    """One node of two inputs."""
    x, y = (
        graph_input(SIZE, DType.S8, name, Quant.per_tensor(scale, offset))
        for name, scale, offset in (("a", SCALES[0], -5), ("b", SCALES[1], 11))
    )
    return Node(op, (x, y), Elementwise(quant=Quant.per_tensor(SCALES[2], zero)), "y")


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
@pytest.mark.parametrize(
    ("op", "zero", "most"), [(Op.ADD, 3, 6.5), (Op.MUL, -128, 6.5), (Op.MUL, 3, 9)], ids=str
)
def test_cycles_of_a_result(op: Op, zero: int, most: float, toolchain: str) -> None:
    """[1,32,32,16]; the best commercial engine adds in 9 cycles a result."""
    node = element(op, zero)
    row = next(row for row in ROWS if row.matches(node, TARGET))
    assert trace([(node, row)], toolchain).layers[0].cycles <= most * 32 * 32 * 16


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_cycles_of_a_sum_without_a_plane(toolchain: str) -> None:
    """A third of the portable kernel's."""
    x, y = (
        graph_input(SIZE, DType.S8, name, Quant.per_tensor(scale, 7))
        for name, scale in (("a", 0.031), ("b", 0.047))
    )
    node = Node(Op.ADD, (x, y), Elementwise(quant=Quant.per_tensor(0.05, 3)), "y")
    row = next(row for row in ROWS if row.matches(node, TARGET))
    assert row.kernel == "add_steps_s8_dsp"
    assert trace([(node, row)], toolchain).layers[0].cycles <= 18.5 * 32 * 32 * 16


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_cycles_of_a_fused_sum(toolchain: str) -> None:
    """What a residual sum adds to the convolution before it: no more than as a layer of its own."""
    hidden = conv((32, 32), 16, 16, (3, 3), padding="same")
    node = fused(hidden, 0)
    alone = next(row for row in conv_dsp.ROWS if row.matches(hidden, TARGET))
    both = next(row for row in conv_add_dsp.ROWS if row.matches(node, TARGET))
    layers = trace([(hidden, alone), (node, both)], toolchain).layers
    assert layers[1].cycles - layers[0].cycles <= 7.5 * 32 * 32 * 16
