"""Channels that are constant or unread go, and not one byte of any result changes."""

from __future__ import annotations

import functools
import time
from collections import Counter

import numpy as np
import pytest

from milliwatt.compiler.passes.drop_constant_channels import drop_constant_channels, removed
from milliwatt.compiler.passes.fold_input_offset import fold_input_offset
from milliwatt.compiler.pipeline import run_passes
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.attrs import Concat, Conv2d, FullyConnected, Reshape
from milliwatt.ir.attrs.move import Resize, StridedSlice
from milliwatt.ir.fold import fold_constants
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.intervals import intervals
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.reference import Session, run, run_all
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify
from support.ladder import started
from support.ops.core import random_inputs, random_values, same_padding, size
from support.random_graphs import Builder, grow, with_ring
from support.shared import INT8_MODELS, mlperf

SEEDS = range(160)
PARTS = 8
RANDOM_RUNS = 3


class Spoiled(Builder):
    """A network whose training went wrong: filters of zeros, saturated biases, unread inputs."""

    def parameters(self, x: Node, shape: tuple[int, ...], axis: int, fan_in: int) -> list[Node]:
        """Weight and most often bias, with some channels of every kind that the pass looks for."""
        weight, *bias = super().parameters(x, shape, axis, fan_in)
        values, count = np.moveaxis(weight.value.copy(), axis, 0), shape[axis]
        dead, kind, quant, zero = self.rng.random(count) < 0.4, DType.S8, weight.type.quant, 0
        if (choice := self.rng.random()) < 0.1:
            kind, values = DType.S4, values >> 4
        elif choice < 0.2:
            zero = size(self.rng, -20, 20)
            quant = Quant.per_tensor(0.01, zero)
        values[dead] = zero
        if axis == 0:
            values[..., self.rng.random(shape[-1]) < 0.2] = zero
        spoiled = [constant(np.moveaxis(values, 0, axis), weight.name, quant, kind)]
        if bias:
            sums = bias[0].value.copy()
            far = self.rng.random(count) < 0.2
            sums[far] = np.where(self.rng.random(count) < 0.5, 1, -1)[far] * (1 << 24)
            sums[dead & (self.rng.random(count) < 0.6)] = 0
            spoiled.append(constant(sums, bias[0].name))
        return spoiled


def _product(b: Builder, x: Node) -> Node:
    """A convolution or matrix product behind `x`: what can do without channels."""
    channels = x.type.shape[-1]
    if len(x.type.shape) != 4:
        parameters = b.parameters(x, (size(b.rng, 1, 6), channels), 0, channels)
        attrs = FullyConnected(quant=b.result_quant(x, parameters[0], channels))
        return b.add(Op.FULLY_CONNECTED, (x, *parameters), attrs)
    kernel = size(b.rng, 1, min(3, x.type.shape[1])), size(b.rng, 1, min(3, x.type.shape[2]))
    stride = (size(b.rng, 1, 2), size(b.rng, 1, 2))
    padding = size(b.rng, 0, 2), size(b.rng, 0, 2), size(b.rng, 0, 2), size(b.rng, 0, 2)
    if b.rng.random() < 0.5:
        height, width = x.type.shape[1:3]
        padding = same_padding((height, width), kernel, stride, (1, 1))
    shape = (size(b.rng, 1, 8), *kernel, channels)
    parameters = b.parameters(x, shape, 0, channels)
    quant = b.result_quant(x, parameters[0], channels)
    return b.add(Op.CONV2D, (x, *parameters), Conv2d(stride, padding, quant=quant))


def _moved(b: Builder, x: Node) -> Node:
    """An operator that the plain random networks lack, or use otherwise, behind `x`."""
    shape, choice = x.type.shape, size(b.rng, 0, 4)
    if choice == 0 and len(shape) == 4:
        op = Op.RESIZE_BILINEAR if b.rng.random() < 0.5 else Op.RESIZE_NEAREST
        return b.add(op, (x,), Resize((size(b.rng, 1, 7), size(b.rng, 1, 7))))
    if choice == 1:
        taken = tuple(size(b.rng, 1, n) for n in shape[:-1])
        cut = StridedSlice((0,) * len(shape), (*taken, shape[-1]), (1,) * len(shape))
        return b.add(Op.STRIDED_SLICE, (x,), cut)
    if choice == 2:
        row = random_values(b.rng, x.type)[..., :2]
        beside = constant(np.broadcast_to(row[:1] * 0 + 7, row.shape), b.name("c"), x.type.quant)
        src = (x, beside) if b.rng.random() < 0.5 else (beside, x)
        return b.add(Op.CONCAT, src, Concat(len(shape) - 1))
    if choice == 3:
        return b.add(Op.RESHAPE, (x,), Reshape((1, x.type.size)))
    return x


@functools.cache
def spoiled_graph(seed: int) -> Graph:
    """Random network number `seed`: products between random steps, and one behind every end."""
    b = Spoiled(seed, DType.S8)
    for _ in range(3):
        y = _moved(b, _product(b, b.pick()))
        grow(b, 2)
        b.values.append(y)
    plain = b.graph("ends")
    for end in plain.outputs:
        if end.type.shape and b.rng.random() < 0.8:
            _product(b, _moved(b, end))
    return verify(b.graph(f"spoiled_{seed}"))


def some_inputs(graph: Graph, seed: int) -> list[list[np.ndarray]]:
    """Random inputs over the whole range, and the two ends of it."""
    rng = np.random.default_rng(seed)
    drawn = [[random_values(rng, n.type) for n in graph.inputs] for _ in range(RANDOM_RUNS)]
    ends = [[np.full(n.type.shape, v, np.int8) for n in graph.inputs] for v in (-128, 127)]
    return drawn + ends


def assert_same(before: Graph, after: Graph, seed: int) -> None:
    """Equal input and output types, and equal bytes."""
    for nodes in ("inputs", "outputs"):
        wanted, have = getattr(before, nodes), getattr(after, nodes)
        assert [n.type for n in have] == [n.type for n in wanted]
    for values in some_inputs(before, seed):
        results = [run_all(graph, values) for graph in (before, after)]
        for ours, theirs in zip(after.outputs, before.outputs, strict=True):
            np.testing.assert_array_equal(results[1][ours], results[0][theirs], before.name)


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    each = ((n, [s.type for s in n.src]) for n in graph.nodes())
    return sum(OPS[n.op].macs(n.attrs, n.type, types) for n, types in each)


@pytest.mark.parametrize("part", range(PARTS))
def test_results_stay(part: int) -> None:
    """Before the zero points are folded into the biases, and after: bit for bit."""
    for seed in SEEDS[part::PARTS]:
        graph = spoiled_graph(seed)
        assert_same(graph, verify(drop_constant_channels(graph)), seed)
        folded = fold_input_offset(graph)
        assert_same(graph, verify(drop_constant_channels(folded)), seed)


@pytest.mark.parametrize("part", range(PARTS))
def test_intervals_hold(part: int) -> None:
    """No value of any layer leaves its interval, and most constants are seen to be constant."""
    for seed in SEEDS[part::PARTS]:
        for graph in (spoiled_graph(seed), fold_input_offset(spoiled_graph(seed))):
            known = intervals(graph)
            for values in some_inputs(graph, seed):
                for node, value in run_all(graph, values).items():
                    if node in known:
                        rows = value.reshape(-1, known[node].low.size)
                        assert (rows.min(axis=0) >= known[node].low).all(), node
                        assert (rows.max(axis=0) <= known[node].high).all(), node


def _renamed(graph: Graph, prefix: str) -> Graph:
    return graph.rewrite(lambda node: Node(node.op, node.src, node.attrs, prefix + node.name))


def test_kernels_take_what_is_left() -> None:
    """C on the host, after all passes, against the graph as it was."""
    own = [_renamed(spoiled_graph(seed), f"{seed}/") for seed in SEEDS[:24]]
    inputs, outputs = ([n for g in own for n in getattr(g, k)] for k in ("inputs", "outputs"))
    together = Graph(tuple(inputs), tuple(outputs))
    session = started(together, "host")
    for values in some_inputs(together, 3):
        for have, want in zip(session.run(values).outputs, run(together, values), strict=True):
            np.testing.assert_array_equal(have, want)


def test_channels_go_through_every_operator() -> None:
    """The networks above lose channels in each operator that the pass knows."""
    shrunk: Counter[str] = Counter()
    for seed in SEEDS:
        before = spoiled_graph(seed)
        widths = {n.name: (n.op, n.type.shape[-1:]) for n in before.nodes() if n.src}
        for node in drop_constant_channels(before).nodes():
            op, width = widths.get(node.name, (None, ()))
            if op is node.op and width != node.type.shape[-1:]:
                shrunk[str(op)] += 1
    wanted = (
        "conv2d depthwise_conv2d fully_connected add sub mul clamp requantize dequantize quantize "
        "max_pool2d average_pool2d mean concat pad reshape transpose strided_slice "
        "resize_bilinear resize_nearest logistic tanh"
    )
    assert {op: shrunk[op] for op in wanted.split() if shrunk[op] < 3} == {}


def test_once_is_enough() -> None:
    """A second round finds nothing, with or without the other passes."""
    for seed in SEEDS:
        once = drop_constant_channels(spoiled_graph(seed))
        assert removed(once, drop_constant_channels(once)) == "", seed
        lowered = run_passes(spoiled_graph(seed))
        assert removed(lowered, drop_constant_channels(lowered)) == "", seed


def test_work_never_grows() -> None:
    """Less to multiply, and as a rule fewer constants."""
    saved = 0
    for seed in SEEDS:
        before = fold_constants(spoiled_graph(seed))
        after = drop_constant_channels(before)
        assert macs(after) <= macs(before)
        saved += macs(after) < macs(before)
    assert saved > len(SEEDS) // 2


def test_states_keep_their_channels() -> None:
    """Networks with a ring buffer behind one result: several runs of each."""
    for seed in range(40):
        graph = with_ring(spoiled_graph(seed), seed)
        after = verify(drop_constant_channels(graph))
        assert [s.type for s, _ in after.updates] == [s.type for s, _ in graph.updates]
        sessions = Session(graph), Session(after)
        for frame in range(3):
            values = random_inputs(graph, 100 * seed + frame)
            results = (session.run(values) for session in sessions)
            for want, have in zip(*results, strict=True):
                np.testing.assert_array_equal(have, want, graph.name)


@pytest.mark.parametrize("model", INT8_MODELS.values(), ids=INT8_MODELS)
def test_models_stay(model: str) -> None:
    """The MLPerf Tiny models, bit for bit; the pass takes a moment."""
    graph = fold_constants(read_tflite(mlperf(model)))
    took = []
    for _ in range(3):
        began = time.process_time()
        after = drop_constant_channels(graph)
        took.append(time.process_time() - began)
    assert min(took) < 0.3
    assert_same(graph, verify(after), 5)


def test_half_of_vww_goes() -> None:
    """As counted by hand from the file: filters of zeros and what follows from them."""
    graph = read_tflite(mlperf(INT8_MODELS["vww"]))
    after = drop_constant_channels(graph)
    weights = {n.src[1] for n in after.nodes() if n.op in (Op.CONV2D, Op.DEPTHWISE_CONV2D)}
    weights |= {n.src[1] for n in after.nodes() if n.op is Op.FULLY_CONNECTED}
    assert macs(graph) == 7_489_664
    assert macs(after) == 3_727_313
    assert sum(weight.type.nbytes for weight in weights) == 29_066
    assert "7,489,664 -> 3,727,313 MACs" in removed(graph, after)


def test_effort_is_linear() -> None:
    """Thousands of layers, each of which loses a channel; a chain that loses one after another."""
    quant, scales = Quant.per_tensor(0.05, 3), Quant.per_axis(np.full(8, 0.01), 0)
    x = y = graph_input((1, 2, 2, 8), DType.S8, "x", quant)
    for i in range(2000):
        weight = np.eye(8, dtype=np.int8).reshape(8, 1, 1, 8) * 90
        weight[i % 8] = 0
        y = Node(Op.CONV2D, (y, constant(weight, f"w{i}", scales)), Conv2d(quant=quant), f"c{i}")
    graph = Graph((x,), (y,))
    began = time.process_time()
    after = drop_constant_channels(graph)
    assert time.process_time() - began < 2.5
    assert macs(after) < 100
