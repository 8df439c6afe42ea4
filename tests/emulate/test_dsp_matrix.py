"""fully_connected and pooling for the DSP extension on the emulated core: same bytes, few cycles.

What a firmware computes is compared with the reference; tests/kernels compares the C body of the
same kernels, and the portable kernels, with it.
"""

from __future__ import annotations

import functools
import shutil

import numpy as np
import pytest

from kernels.cases_matrix_dsp import CASES, connected
from milliwatt.compiler.bind import bind
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.target import DSP, Target
from milliwatt.emulate.boards import board
from milliwatt.emulate.machine import Trace, run
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.reference import run as reference

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
    if toolchain == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi")
    graph = whole(nodes)
    rng = np.random.default_rng(3)
    given = [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in graph.inputs]
    got = run(link(bind_program(graph, FIRST), board(name), toolchain=toolchain), given)
    for node, value, wanted in zip(nodes, got.outputs, reference(graph, given), strict=True):
        np.testing.assert_array_equal(value, wanted, err_msg=f"{node!r} {node.attrs}")
    return got


@pytest.mark.parametrize(
    ("toolchain", "name"), [("zig", BOARD), ("gcc", BOARD), ("zig", "cortex-m7")]
)
def test_same_bytes_on_the_core(toolchain: str, name: str) -> None:
    """Every remainder of blocks and steps, rows at any address, sums in parts."""
    got = trace([node for _, node in CASES], toolchain, name)
    assert {layer.kernel for layer in got.layers[:-1]} == {"mw_fully_connected_s8_dsp"}


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
