"""Depthwise convolution for the DSP extension on the emulated core: bytes, cycles, RAM.

tests/kernels compares the C body of the same kernels, and the portable kernels, with the reference.
"""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cases_depthwise_dsp import CASES, layer
from milliwatt.compiler.bind import Call, call_of
from milliwatt.compiler.build import link
from milliwatt.compiler.program import Program, bind_program
from milliwatt.compiler.rows import depthwise_dsp
from milliwatt.compiler.rows.row import Row
from milliwatt.compiler.target import DSP, Target
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as reference
from support.compilers import want_compiler

BOARD = "nucleo-l4r5zi"
TARGET = Target(frozenset({DSP}))
TOOLCHAINS = ("zig", "gcc")


def own_operands(node: Node, number: int) -> tuple[Node, ...]:
    """The node's operands under names of their own."""
    return tuple(
        constant(s.value, f"{s.name}_{number}", s.type.quant)
        if s.is_constant
        else graph_input(s.type.shape, s.type.dtype, f"{s.name}_{number}", s.type.quant)
        for s in node.src
    )


def trace(
    pairs: list[tuple[Node, Row]], toolchain: str, name: str = BOARD
) -> tuple[Program, Trace]:
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
    return program, got


@pytest.mark.parametrize(
    ("toolchain", "name"), [("zig", BOARD), ("gcc", BOARD), ("zig", "cortex-m33")]
)
def test_same_bytes_on_the_core(toolchain: str, name: str) -> None:
    """Odd and tiny sizes, channels that start at any address, one block and several; in place."""
    rows = depthwise_dsp.ROWS
    pairs = [(node, row) for _, node in CASES for row in rows if row.matches(node, TARGET)]
    assert {row.kernel for _, row in pairs} == {row.kernel for row in rows}
    assert len(pairs) >= 100
    trace(pairs, toolchain, name)


# Cycles a MAC, requantization and widening included, and bytes of workspace.
GATES = {
    "25x5x64": (layer((25, 5, 64), 1), 2.35, 2048),
    "48x48x8": (layer((48, 48, 8), 1), 2.2, 6144),
    "24x24x32": (layer((24, 24, 32), 1), 2.25, 6144),
    "12x12x64": (layer((12, 12, 64), 1), 2.4, 2252),
    "6x6x128": (layer((6, 6, 128), 1), 2.95, 2252),
    "6x6x58": (layer((6, 6, 58), 1), 3.25, 2252),
    "3x3x31": (layer((3, 3, 31), 1), 6.8, 2252),
    "48x48x16, stride 2": (layer((48, 48, 16), 2), 3.6, 12288),
    "24x24x32, stride 2": (layer((24, 24, 32), 2), 3.85, 6144),
    "30x1x40, 3 taps": (layer((30, 1, 40), 1, (3, 1), (0, 0, 0, 0), NO_CLAMP), 6.2, 2252),
    "28x1x128, 5 taps": (layer((28, 1, 128), 1, (5, 1), (0, 0, 0, 0), NO_CLAMP), 3.95, 2252),
    "24x1x128, 10 taps": (layer((24, 1, 128), 1, (10, 1), (0, 0, 0, 0), NO_CLAMP), 3.45, 2252),
}


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_cycles(toolchain: str) -> None:
    """The best commercial engine has 3.0 cycles a MAC at stride 1, and 4.8 at stride 2."""
    pairs = [
        (node, next(row for row in depthwise_dsp.ROWS if row.matches(node, TARGET)))
        for node, _, _ in GATES.values()
    ]
    program, got = trace(pairs, toolchain)
    found = {
        name: (step.cycles / step.macs, call.call.workspace_bytes)
        for name, step, call in zip(GATES, got.layers, program.steps, strict=False)
    }
    over = {
        name: value
        for name, value in found.items()
        if value[0] > GATES[name][1] or value[1] > GATES[name][2]
    }
    assert not over


def test_narrow_buffers() -> None:
    """Without a wide buffer 48 x 48 x 8 takes 2.2 KiB, and the result lies where the input lies."""
    node = layer((48, 48, 8), 1)
    rows = [row for row in depthwise_dsp.ROWS if row.matches(node, TARGET)]
    calls = [call_of(node, row) for row in rows]
    small = next(c for c in calls if c.workspace_bytes <= 2252)
    assert small.inplace == (0,)
    program, _ = trace([(node, rows[calls.index(small)])], "zig")
    assert program.arena_bytes <= node.type.nbytes + 2252 + 16
