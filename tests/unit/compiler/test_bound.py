"""Lower bounds: what a person computes from the core's manual, and that no run is below its own."""

from __future__ import annotations

import math

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler.bind import bind
from milliwatt.compiler.bound import lower_bound
from milliwatt.debug.profile import HEADS, profile_text
from milliwatt.emulate.boards import board
from milliwatt.ir.attrs import Conv2d, Softmax, Transpose
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

Q = Quant.per_tensor(0.05, -128)


def pointwise(channels: int, results: int, side: int = 8) -> Node:
    x = graph_input((1, side, side, channels), DType.S8, "x", Q)
    rng = np.random.default_rng(channels)
    values = rng.integers(-60, 60, (results, 1, 1, channels)).astype(np.int8)
    weight = constant(values, "w", Quant.per_axis(np.full(results, 0.004), 0))
    return Node(Op.CONV2D, (x, weight), Conv2d(clamp=(0.0, math.inf), quant=Q), "conv")


def test_multiplications_and_words_by_hand() -> None:
    """64 pixels, 16 to 32 channels: 32,768 MACs at two a cycle, words once, weights from flash."""
    node = pointwise(16, 32)
    call = bind(node)
    constants = sum(v.nbytes for _, v in call.fields if isinstance(v, np.ndarray))
    words = (64 * 16 + 64 * 32 + constants) / 4
    bare = lower_bound(node, call, board("cortex-m4"))
    assert bare is not None
    assert bare.cycles == round(32768 / 2 + words)
    assert (bare.limit, bare.why) == ("SMLAD", "0.5 cycles/MAC (SMLAD)")
    real = lower_bound(node, call, board("nucleo-l4r5zi"))
    assert real is not None
    assert real.cycles == round(32768 / 2 + words + constants / 16 * 5)
    dual = lower_bound(node, call, board("cortex-m7"))
    assert dual is not None
    assert dual.cycles == 32768 // 2
    plain = lower_bound(node, call, board("cortex-m3"))
    assert plain is not None
    assert plain.cycles == round(32768 * 2 + words)


def test_what_only_moves_is_bounded_by_words() -> None:
    x = graph_input((1, 40, 100, 1), DType.S8, "x", Q)
    node = Node(Op.TRANSPOSE, (x,), Transpose((0, 2, 1, 3)), "y")
    bound = lower_bound(node, bind(node), board("cortex-m4"))
    assert bound is not None
    assert bound.cycles == 2000
    assert bound.limit == "words"


def test_tables_that_are_looked_up_are_not_counted() -> None:
    """Two classes read two of some hundred exponentials."""
    x = graph_input((1, 2), DType.S8, "x", Quant.per_tensor(0.01))
    node = Node(Op.SOFTMAX, (x,), Softmax(), "y")
    call = bind(node)
    assert sum(v.nbytes for _, v in call.fields if isinstance(v, np.ndarray)) > 400
    bound = lower_bound(node, call, board("nucleo-l4r5zi"))
    assert bound is not None
    assert bound.cycles == 1  # two values in, two out


def test_no_bound_on_the_host() -> None:
    node = pointwise(4, 4)
    assert lower_bound(node, bind(node), board("host")) is None


@pytest.mark.parametrize("name", ["nucleo-l4r5zi", "disco-f746ng", "cortex-m0plus", "esp32-c3"])
def test_no_layer_is_faster_than_its_bound(name: str) -> None:
    conv = pointwise(16, 32)
    flat = Node(Op.SOFTMAX, (conv,), Softmax(), "soft")
    report = mw.build(Graph(conv.src[:1], (flat,)), board=name).profile()
    for layer in report.layers[:-1]:
        assert layer.bound_cycles is not None
        assert 0 < layer.bound_cycles <= layer.cycles
        assert layer.bound_reason
    assert report.layers[-1].bound_cycles is None
    text = profile_text(report)
    assert all(head in text for head in HEADS)
    table = text.split("latency")[0].splitlines()[1:]
    assert max(map(len, table)) <= 100
