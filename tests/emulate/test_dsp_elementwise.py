"""add, sub and mul for the DSP extension on the emulated core: same bytes, few cycles.

What a firmware computes is compared with the reference; tests/kernels compares the C body of the
same kernels, and the portable kernels, with it.
"""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import milliwatt as mw
from kernels.cases_elementwise_dsp import CASES
from milliwatt.compiler.bind import candidates
from milliwatt.compiler.target import DSP, Target
from milliwatt.ir.attrs import Elementwise
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

BOARD = "nucleo-l4r5zi"
SCALES = (0.0233183745, 0.0417741537, 0.0455103219)


def special(node: Node) -> bool:
    """Whether a kernel for the DSP extension runs it."""
    first = candidates(node, Target(frozenset({DSP})))[0]
    return first.kernel.endswith("_dsp")


def whole(nodes: list[Node]) -> Graph:
    """One graph of all of these, each with inputs of its own."""
    inputs: list[Node] = []
    outputs = []
    for number, node in enumerate(nodes):
        sources = []
        for source in node.src:
            if source.is_constant:
                sources.append(source)
                continue
            kind, name = source.type, f"{source.name}{number}"
            sources.append(graph_input(kind.shape, DType.S8, name, kind.quant))
            inputs.append(sources[-1])
        outputs.append(Node(node.op, tuple(sources), node.attrs, f"{node.op}{number}"))
    return Graph(tuple(inputs), tuple(outputs))


def values(graph: Graph) -> list[np.ndarray]:
    """Bytes over their whole range for every input."""
    rng = np.random.default_rng(3)
    return [rng.integers(-128, 128, x.type.shape).astype(np.int8) for x in graph.inputs]


@pytest.mark.parametrize("op", ["add", "sub", "mul"])
@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
def test_same_bytes_on_the_core(op: str, toolchain: str) -> None:
    """Every form of every shape, odd lengths and starts at any address among them."""
    if toolchain == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi")
    nodes = [node for _, node in CASES if str(node.op) == op and special(node)]
    assert len(nodes) > 20
    graph = whole(nodes)
    firmware = mw.build(graph, board=BOARD, toolchain=toolchain)
    kernels = [layer.kernel for layer in firmware.profile(values(graph)).layers]
    wanted = "mw_mul_s8_dsp" if op == "mul" else "mw_add_s8_dsp"
    assert kernels.count(wanted) == len(nodes)
    firmware.check(values(graph))


def pair(op: Op, shape: tuple[int, ...], out: Quant) -> Graph:
    """One node of two inputs."""
    x, y = (
        graph_input(shape, DType.S8, name, Quant.per_tensor(scale, zero))
        for name, scale, zero in (("a", SCALES[0], -5), ("b", SCALES[1], 11))
    )
    return Graph((x, y), (Node(op, (x, y), Elementwise(quant=out), "y"),))


@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
@pytest.mark.parametrize(
    ("op", "zero", "most"), [(Op.ADD, 3, 6.5), (Op.MUL, -128, 6.5), (Op.MUL, 3, 10)], ids=str
)
def test_cycles_of_a_result(op: Op, zero: int, most: float, toolchain: str) -> None:
    """[1,32,32,16]; the best commercial engine adds in 9 cycles a result."""
    if toolchain == "gcc" and shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed; apt-get install gcc-arm-none-eabi")
    graph = pair(op, (1, 32, 32, 16), Quant.per_tensor(SCALES[2], zero))
    firmware = mw.build(graph, board=BOARD, toolchain=toolchain)
    layer = firmware.profile(values(graph)).layers[0]
    assert layer.cycles <= most * 32 * 32 * 16
