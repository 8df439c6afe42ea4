"""Two windowed operators run row by row give what they give one after the other."""

from __future__ import annotations

import functools
import itertools

import numpy as np
import pytest

from milliwatt.compiler.bind import bind
from milliwatt.compiler.build import link
from milliwatt.compiler.emit import emit
from milliwatt.compiler.memory import plan_memory
from milliwatt.compiler.passes.fuse_rows import fuse_rows
from milliwatt.compiler.program import bind_program, compile_graph
from milliwatt.compiler.target import DSP, PORTABLE, Target
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.errors import InvalidGraph
from milliwatt.ir.attrs import NO_CLAMP, RELU, Attrs, Conv2d, Pool2d
from milliwatt.ir.attrs.by_rows import ByRows
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify

S8, F32 = DType.S8, DType.F32
DSP_TARGET = Target(frozenset({DSP}))

# (operator, kernel, stride, padding): windows that meet, overlap and leave rows out.
STAGES = (
    (Op.CONV2D, (1, 1), (1, 1), (0, 0, 0, 0)),
    (Op.CONV2D, (3, 3), (1, 1), (1, 1, 1, 1)),
    (Op.CONV2D, (3, 2), (2, 1), (0, 1, 0, 1)),
    (Op.CONV2D, (1, 3), (3, 2), (0, 0, 1, 1)),
    (Op.DEPTHWISE_CONV2D, (3, 3), (1, 1), (1, 1, 1, 1)),
    (Op.DEPTHWISE_CONV2D, (3, 3), (2, 2), (0, 1, 0, 1)),
    (Op.DEPTHWISE_CONV2D, (4, 1), (1, 1), (2, 1, 0, 0)),
    (Op.MAX_POOL2D, (2, 2), (2, 2), (0, 0, 0, 0)),
    (Op.MAX_POOL2D, (3, 3), (2, 2), (1, 1, 1, 1)),
    (Op.AVERAGE_POOL2D, (3, 2), (1, 1), (1, 1, 0, 1)),
)
PAIRS = list(itertools.product(STAGES, STAGES))


def stage(x: Node, kind: tuple, name: str, seed: int, channels: int = 4) -> Node:
    """One operator with random weights; every integer result has a scale of its own."""
    op, kernel, stride, padding = kind
    rng = np.random.default_rng([seed, 3])
    if op in (Op.MAX_POOL2D, Op.AVERAGE_POOL2D):
        return Node(op, (x,), Pool2d(kernel, stride, padding), name)
    wide = op is Op.DEPTHWISE_CONV2D
    count = x.type.shape[3]
    shape = (1, *kernel, count) if wide else (channels, *kernel, count)
    made = count if wide else channels
    clamp = RELU if seed % 2 else NO_CLAMP
    if x.type.dtype is F32:
        w = constant(rng.normal(size=shape).astype(np.float32), f"{name}_w")
        b = constant(rng.normal(size=made).astype(np.float32), f"{name}_b")
        return Node(op, (x, w, b), Conv2d(stride, padding, clamp=clamp), name)
    scales = Quant.per_axis(rng.uniform(0.002, 0.02, made), 3 if wide else 0)
    w = constant(rng.integers(-127, 128, shape).astype(np.int8), f"{name}_w", scales)
    b = constant(rng.integers(-2000, 2000, made).astype(np.int32), f"{name}_b")
    out = Quant.per_tensor(float(rng.uniform(0.1, 0.4)), -128 if seed % 2 else 9)
    attrs = Conv2d(stride, padding, clamp=clamp, quant=out)
    return Node(op, (x, w, b), attrs, name)


def chain(first: tuple, second: tuple, seed: int, dtype: DType = S8, height: int = 9) -> Graph:
    quant = Quant.per_tensor(0.1, -4) if dtype is S8 else None
    x = graph_input((1, height, 6, 4), dtype, f"x{seed}", quant)
    hidden = stage(x, first, f"first{seed}", seed, 8)
    return Graph((x,), (stage(hidden, second, f"second{seed}", seed + 1),))


def by_rows(graph: Graph) -> Node:
    """The two operators of `chain` as one."""
    (second,) = graph.outputs
    first = second.src[0]
    assert isinstance(first.attrs, Conv2d | Pool2d)
    assert isinstance(second.attrs, Conv2d | Pool2d)
    attrs = ByRows(str(first.op), first.attrs, len(first.src) - 1, str(second.op), second.attrs)
    return Node(Op.BY_ROWS, (*first.src, *second.src[1:]), attrs, second.name)


def together(dtype: DType) -> tuple[Graph, Graph]:
    """All pairs as they are, and row by row, as one graph each."""
    plain = [chain(a, b, seed, dtype, 5 + seed % 8) for seed, (a, b) in enumerate(PAIRS)]
    inputs = tuple(graph.inputs[0] for graph in plain)
    fused = tuple(by_rows(graph) for graph in plain)
    return Graph(inputs, tuple(g.outputs[0] for g in plain)), Graph(inputs, fused)


def values(graph: Graph, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, n.type.shape).astype(np.int8)
        if n.type.dtype is S8
        else rng.normal(size=n.type.shape).astype(np.float32)
        for n in graph.inputs
    ]


@pytest.mark.parametrize(
    ("board", "target", "dtype"),
    [
        ("host", PORTABLE, S8),
        ("host", PORTABLE, F32),
        ("host", DSP_TARGET, S8),
        ("cortex-m4", PORTABLE, S8),
        ("cortex-m4", DSP_TARGET, S8),
    ],
)
def test_every_pair_of_stages(board: str, target: Target, dtype: DType) -> None:
    """100 pairs of windows, heights 5 to 12: the reference's results on host and device."""
    plain, fused = together(dtype)
    given = values(plain, 4)
    wanted = run(plain, given)
    for a, b in zip(wanted, run(fused, given), strict=True):
        np.testing.assert_array_equal(a, b)
    firmware = link(
        bind_program(verify(fused), functools.partial(bind, target=target)), find_board(board)
    )
    for a, b in zip(wanted, run_firmware(firmware, given).outputs, strict=True):
        reach = 0 if dtype is S8 else 1e-5 * np.abs(a).max()
        np.testing.assert_allclose(b, a, rtol=0, atol=reach)


def inverted_bottleneck() -> Graph:
    """A pointwise expansion by 8, a depthwise and a pointwise reduction, as in MobileNetV2."""
    x = graph_input((1, 24, 24, 8), S8, "x", Quant.per_tensor(0.1, -4))
    wide = stage(x, STAGES[0], "expand", 1, 64)
    deep = stage(wide, STAGES[4], "depthwise", 3)
    return Graph((x,), (stage(deep, STAGES[0], "reduce", 4, 8),))


def test_the_wide_tensor_of_a_bottleneck_never_exists() -> None:
    """The peak falls from two wide tensors to one and three of its rows; all results stay."""
    graph = inverted_bottleneck()
    fused = fuse_rows(graph)
    ops = [n.op for n in fused.nodes() if n.op not in (Op.INPUT, Op.CONSTANT)]
    assert Op.BY_ROWS in ops
    wide = 24 * 24 * 64
    before, after = plan_memory(graph).arena_bytes, plan_memory(fused).arena_bytes
    assert before >= 2 * wide
    assert after < 0.7 * before
    given = values(graph, 2)
    np.testing.assert_array_equal(run(fused, given)[0], run(graph, given)[0])
    firmware = link(compile_graph(fused), find_board("cortex-m4"))
    np.testing.assert_array_equal(run_firmware(firmware, given).outputs[0], run(graph, given)[0])
    assert "expand;depthwise" in [layer.name for layer in firmware.layers]


def test_a_convolution_and_its_pool() -> None:
    """The image between a convolution and a max pool is two rows."""
    x = graph_input((1, 32, 32, 4), S8, "x", Quant.per_tensor(0.1, -4))
    hidden = stage(x, STAGES[1], "conv", 1, 16)
    graph = Graph((x,), (stage(hidden, STAGES[7], "pool", 2),))
    fused = fuse_rows(graph)
    assert fused.outputs[0].op is Op.BY_ROWS
    plan = plan_memory(fused)
    assert plan.arena_bytes < x.type.nbytes + fused.outputs[0].type.nbytes + 4 * 32 * 16


def test_equal_steps_are_one_loop_and_weights_are_kept_once() -> None:
    """Neither the code nor the flash grows with the image's height."""
    sizes, weights = [], []
    for height in (12, 60):
        fused = Graph((), (by_rows(chain(STAGES[1], STAGES[4], 1, S8, height)),))
        fused = Graph(fused.outputs[0].src[:1], fused.outputs)
        program = bind_program(fused)
        sizes.append(len(emit(program)["mw_model.c"].splitlines()))
        weights.append(program.weight_bytes)
    assert sizes[0] == sizes[1]
    plain = bind_program(chain(STAGES[1], STAGES[4], 1)).weight_bytes
    assert weights == [plain, plain]


def test_what_others_read_is_not_fused() -> None:
    """A hidden value that is an output as well, and rows that are no whole words."""
    graph = chain(STAGES[1], STAGES[7], 1)
    hidden = graph.outputs[0].src[0]
    kept = Graph(graph.inputs, (*graph.outputs, hidden))
    assert fuse_rows(kept) is kept
    x = graph_input((1, 32, 31, 3), S8, "x", Quant.per_tensor(0.1, -4))
    odd = Graph((x,), (stage(stage(x, STAGES[1], "a", 1, 16), STAGES[7], "b", 2),))
    assert fuse_rows(odd) is odd


def test_text_and_refusals() -> None:
    """The text form reads back; other operators and batches are refused by name."""
    node = by_rows(chain(STAGES[1], STAGES[4], 1))
    graph = Graph(node.src[:1], (node,), name="pair")
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)
    attrs = node.attrs
    assert isinstance(attrs, ByRows)
    wrong: Attrs = ByRows("softmax", attrs.first, 2, attrs.second_op, attrs.second)
    with pytest.raises(InvalidGraph, match="softmax does not run by rows"):
        Node(Op.BY_ROWS, node.src, wrong, "y")
    two = graph_input((2, 9, 6, 4), S8, "x", Quant.per_tensor(0.1, -4))
    with pytest.raises(InvalidGraph, match="a batch of 1 wanted"):
        Node(Op.BY_ROWS, (two, *node.src[1:]), attrs, "y")
