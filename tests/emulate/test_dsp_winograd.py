"""Winograd convolutions on the emulated core: same bytes as the reference, few cycles.

tests/kernels compares the C body of the same kernels, and the portable kernel, with the reference.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from kernels.cases_winograd_dsp import CASES, convolution
from milliwatt.compiler.bind import Call, call_of
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.rows import winograd_dsp
from milliwatt.compiler.rows.row import Row
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.reference import run as reference

BOARD = "nucleo-l4r5zi"
ROWS = {row.kernel: row for row in winograd_dsp.ROWS}


def trace(pairs: list[tuple[Node, Row]], toolchain: str, name: str = BOARD) -> Trace:
    """Run each node by its row, all in one firmware, and compare every result."""
    if toolchain == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi")
    calls: dict[Node, Call] = {}
    for number, (node, row) in enumerate(pairs):
        x, *constants = node.src
        own = graph_input(x.type.shape, x.type.dtype, f"x{number}", x.type.quant)
        again = Node(node.op, (own, *constants), node.attrs, f"y{number}")
        calls[again] = call_of(again, row)
    graph = Graph(tuple(node.src[0] for node in calls), tuple(calls))
    rng = np.random.default_rng(3)
    given = [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in graph.inputs]
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
    every = [(node, row) for _, node in CASES for row in ROWS.values()]
    pairs = [(node, row) for node, row in every if row.predicate(node)]
    assert {row.kernel for _, row in pairs} == set(ROWS)
    steps = {s.steps for node, _ in pairs if (s := winograd_dsp.steps_of(node, winograd_dsp.F2))}
    assert steps == {1, 2}
    trace(pairs, toolchain, name)


@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
def test_fewer_cycles_than_macs(toolchain: str) -> None:
    """A layer of 16 channels costs less than a cycle for each MAC that it saves."""
    node = convolution((1, 32, 32, 16), 16, (1, 1, 1, 1))
    got = trace([(node, row) for row in ROWS.values()], toolchain)
    per_mac = {layer.kernel: layer.cycles / (32 * 32 * 16 * 144) for layer in got.layers[:2]}
    assert per_mac["mw_conv2d_winograd4_s8_dsp"] < 0.69
    assert per_mac["mw_conv2d_winograd2_s8_dsp"] < 1.04
