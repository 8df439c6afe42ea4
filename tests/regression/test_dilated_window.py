"""Nine channels in a dilated 3 x 3 window: three runs of nine bytes whose tail is a strip's."""

from __future__ import annotations

import numpy as np
import pytest

from milliwatt.compiler.bind import choices
from milliwatt.compiler.build import link
from milliwatt.compiler.program import bind_program
from milliwatt.compiler.target import target_of
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.ir.attrs import RELU, Conv2d
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify


@pytest.mark.parametrize("kernel", [(3, 3), (3, 2)])
@pytest.mark.parametrize("dilation", [(2, 2), (1, 2), (2, 1), (1, 1)])
@pytest.mark.parametrize("channels", [3, 9])
def test_every_kernel_gives_the_reference(
    kernel: tuple[int, int], dilation: tuple[int, int], channels: int
) -> None:
    """All candidates on the emulated Cortex-M4; the portable one is among them."""
    rng = np.random.default_rng(9)
    x = graph_input((1, 9, 10, channels), DType.S8, "x", Quant.per_tensor(0.1, 3))
    shape = (6, *kernel, channels)
    scales = Quant.per_axis(rng.uniform(0.002, 0.02, 6), 0)
    w = constant(rng.integers(-127, 128, shape).astype(np.int8), "w", scales)
    b = constant(rng.integers(-2000, 2000, 6).astype(np.int32), "b")
    attrs = Conv2d((1, 1), (2, 2, 2, 2), dilation, RELU, Quant.per_tensor(0.3, -128))
    node = Node(Op.CONV2D, (x, w, b), attrs, "y")
    graph = verify(Graph((x,), (node,)))
    value = rng.integers(-128, 128, x.type.shape).astype(np.int8)
    (wanted,) = run(graph, [value])
    target = find_board("cortex-m4")
    calls = choices(node, target_of(target))
    assert len(calls) > 1
    for call in calls:
        firmware = link(bind_program(graph, {node: call}.__getitem__), target)
        found = run_firmware(firmware, [value]).outputs[0]
        np.testing.assert_array_equal(found, wanted, err_msg=call.kernel)
