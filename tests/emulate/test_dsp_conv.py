"""conv2d for the DSP extension on the emulated core: bytes against the reference, cycles.

tests/kernels compares the C body of the same kernels, and the portable kernels, with the reference.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from kernels.cases_conv_dsp import CASES, conv
from milliwatt.compiler.bind import TABLE, Call, call_of
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.rows import conv_dsp
from milliwatt.compiler.rows.row import Row
from milliwatt.compiler.target import DSP, PORTABLE, Target
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run as reference
from support.compilers import want_compiler

BOARD = "nucleo-l4r5zi"
TARGET = Target(frozenset({DSP}))
TOOLCHAINS = ("zig", "gcc")
Pair = tuple[Node, Row]


def own(node: Node, number: int) -> Node:
    """The node again, its operands under names of their own."""
    operands = tuple(
        constant(s.value, f"{s.name}_{number}", s.type.quant)
        if s.is_constant
        else graph_input(s.type.shape, s.type.dtype, f"{s.name}_{number}", s.type.quant)
        for s in node.src
    )
    return Node(node.op, operands, node.attrs, f"y{number}")


def trace(pairs: list[Pair], toolchain: str, name: str = BOARD) -> Trace:
    """Run each node by its row, all in one firmware, and compare every result."""
    want_compiler(toolchain)
    calls: dict[Node, Call] = {}
    for number, (node, row) in enumerate(pairs):
        again = own(node, number)
        calls[again] = call_of(again, row)
    inputs = tuple(s for node in calls for s in node.src if s.op is Op.INPUT)
    graph = Graph(inputs, tuple(calls))
    rng = np.random.default_rng(5)
    given = [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in inputs]
    program = bind_program(graph, calls.__getitem__)
    got = run(link(program, board(name), toolchain=toolchain), given)
    for node, value, wanted in zip(calls, got.outputs, reference(graph, given), strict=True):
        np.testing.assert_array_equal(value, wanted, err_msg=f"{calls[node].kernel} {node!r}")
    return got


def rows_of(node: Node) -> list[Row]:
    """Every row of this kernel that runs the node."""
    return [row for row in conv_dsp.ROWS if row.matches(node, TARGET)]


SMALL = [node for name, node in CASES if "copies" not in name]
LARGE = [node for name, node in CASES if "copies" in name]


@pytest.mark.parametrize(
    ("toolchain", "name"), [("zig", BOARD), ("gcc", BOARD), ("zig", "cortex-m33")]
)
def test_same_bytes_on_the_core(toolchain: str, name: str) -> None:
    """Odd, prime and tiny sizes, strides, dilations, paddings, batches; both requantizations."""
    pairs = [(node, rows[-1]) for node in SMALL if (rows := rows_of(node))]
    assert len(pairs) >= 90
    trace(pairs, toolchain, name)


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_every_copy_of_weights(toolchain: str) -> None:
    """Weights copied whole, in chunks of each size, and not at all; in place is a row of its own.

    The portable kernel of the same operator agrees."""
    pairs = [(node, row) for node in LARGE for row in rows_of(node)]
    assert {row for _, row in pairs} == set(conv_dsp.ROWS)
    twins = [next(row for row in TABLE if row.matches(node, PORTABLE)) for node in LARGE]
    trace([*pairs, *zip(LARGE, twins, strict=True)], toolchain)


def test_what_is_refused() -> None:
    """One product, weights that pairs cannot hold, sums beyond 2^23."""
    assert not rows_of(conv((4, 4), 1, 8))
    fits = conv((4, 4), 4, 2)
    assert rows_of(fits)
    weight = fits.src[1].value.copy()
    weight[0, 0, 0, 0], weight[1, 0, 0, 0] = -128, -1
    worst = constant(weight, "w", fits.src[1].type.quant)
    assert not rows_of(Node(fits.op, (fits.src[0], worst, fits.src[2]), fits.attrs, "y"))
    huge = constant(np.array([2**23, 0], np.int32), "b")
    assert not rows_of(Node(fits.op, (fits.src[0], fits.src[1], huge), fits.attrs, "y"))
    late = constant(np.array([0, 2**23], np.int32), "b")
    assert rows_of(Node(fits.op, (fits.src[0], fits.src[1], late), fits.attrs, "y"))


def gate(*args: Any, **options: Any) -> Node:
    """A layer of one scale: every channel is requantized in one step, as in the models."""
    return conv(*args, per_axis=False, **options)


# Layers of MLPerf Tiny's nets: node, bytes of RAM for weights, whether all columns are kept, most
# cycles a MAC.
THREE = (3, 3)
GATES = {
    "kws 1x1": (gate((25, 5), 64, 64), 8192, False, 1.145),
    "kws 1x1, two steps": (conv((25, 5), 64, 64), 8192, False, 1.222),
    "kws first": (gate((49, 10), 1, 64, (10, 4), padding="same", stride=(2, 2)), 4096, False, 1.33),
    "sww 1x1": (gate((6, 4), 128, 128), 16384, False, 1.107),
    "sww 1x1, columns kept": (gate((6, 4), 128, 128), 2048, True, 1.115),
    "ic 3x3": (gate((16, 16), 32, 32, THREE, padding="same"), 16384, False, 1.107),
    "ic first": (gate((32, 32), 3, 16, THREE, padding="same"), 2048, False, 1.56),
    "vww first": (gate((96, 96), 3, 8, THREE, padding="same", stride=(2, 2)), 2048, False, 1.80),
    "vww 1x1, short": (gate((24, 24), 16, 32), 2048, False, 1.585),
    "vww 1x1, a channel left over": (gate((6, 6), 106, 57), 8192, False, 1.152),
    "three channels left over": (gate((6, 6), 32, 7), 2048, False, 2.45),
}


@pytest.mark.parametrize("toolchain", TOOLCHAINS)
def test_cycles(toolchain: str) -> None:
    """No layer gets slower: cycles a MAC, flash stalls and requantization included."""
    pairs = []
    for node, copy, keep, _ in GATES.values():
        pairs.append((node, next(r for r in rows_of(node) if variant(r) == (copy, keep))))
    layers = trace(pairs, toolchain).layers
    for (name, (*_, most)), layer in zip(GATES.items(), layers, strict=False):
        assert layer.cycles <= most * layer.macs, f"{name}: {layer.cycles / layer.macs:.3f}"


def variant(row: Row) -> tuple[int, bool]:
    """Bytes of RAM for weights of a row, and whether all columns are kept."""
    assert isinstance(row.work, partial)
    return row.work.keywords["copy"], row.work.keywords.get("keep", False)
