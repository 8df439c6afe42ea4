"""Winograd convolutions on the emulated core: same bytes as the reference, few cycles.

tests/kernels compares the C body of the same kernels, and the portable kernel, with the reference.
"""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cases_winograd_dsp import CASES, convolution
from milliwatt.compiler.bind import Call, call_of
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.rows import winograd_add_dsp, winograd_dsp
from milliwatt.compiler.rows.row import Row
from milliwatt.compiler.target import DSP, Target
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as reference
from milliwatt.ir.types import DType
from support.compilers import want_compiler

BOARD = "nucleo-l4r5zi"
TARGET = Target(frozenset({DSP}))
S8 = DType.S8
ROWS = (*winograd_dsp.ROWS, *winograd_add_dsp.ROWS)


def trace(pairs: list[tuple[Node, Row]], toolchain: str, name: str = BOARD) -> Trace:
    """Run each node by its row, all in one firmware, and compare every result."""
    want_compiler(toolchain)
    calls: dict[Node, Call] = {}
    for number, (node, row) in enumerate(pairs):
        own = [
            s if s.is_constant else graph_input(s.type.shape, S8, f"{s.name}{number}", s.type.quant)
            for s in node.src
        ]
        again = Node(node.op, tuple(own), node.attrs, f"y{number}")
        calls[again] = call_of(again, row)
    inputs = tuple(s for node in calls for s in node.src if not s.is_constant)
    graph = Graph(inputs, tuple(calls))
    rng = np.random.default_rng(3)
    # Every second input holds extremes only, so that transformed cells reach theirs.
    given = [
        rng.choice(np.array([-128, 127]) if i % 2 else np.arange(-128, 128), x.type.shape)
        for i, x in enumerate(graph.inputs)
    ]
    given = [value.astype(np.int8) for value in given]
    program = bind_program(graph, calls.__getitem__)
    got = run(link(program, board(name), toolchain=toolchain), given)
    for node, value, wanted in zip(calls, got.outputs, reference(graph, given), strict=True):
        np.testing.assert_array_equal(value, wanted, err_msg=f"{calls[node].kernel} {node!r}")
    return got


@pytest.mark.parametrize(
    ("toolchain", "name"), [("zig", BOARD), ("gcc", BOARD), ("zig", "cortex-m33")]
)
def test_same_bytes_on_the_core(toolchain: str, name: str) -> None:
    """Every size around whole tiles and blocks, both kinds of requantization, all remainders."""
    pairs = [(node, row) for _, node in CASES for row in ROWS if row.matches(node, TARGET)]
    assert {id(row) for _, row in pairs} == set(map(id, ROWS))
    found = [winograd_dsp.steps_of(n, winograd_dsp.F2) for _, n in CASES if n.op is Op.CONV2D]
    assert {known.steps for known in found if known} == {1, 2}
    # Four rows a node: a stride of 3 or 7 meets all of them.
    trace(pairs[::3] if (toolchain, name) == ("zig", BOARD) else pairs[::7], toolchain, name)


@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
def test_fewer_cycles_than_macs(toolchain: str) -> None:
    """A layer of 16 channels, where transforms weigh most: F(4x4) first, groups of four first."""
    node = convolution((1, 32, 32, 16), 16, (1, 1, 1, 1))
    got = trace([(node, row) for row in winograd_dsp.ROWS], toolchain)
    per_mac = [layer.cycles / (32 * 32 * 16 * 144) for layer in got.layers[:4]]
    assert [layer.kernel[10:19] for layer in got.layers[:4]] == 2 * ["winograd4"] + 2 * [
        "winograd2"
    ]
    assert all(is_ < most for is_, most in zip(per_mac, (0.68, 0.695, 0.98, 1.08), strict=True))
