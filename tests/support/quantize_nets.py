"""Small float networks for the tests of quantization."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.attrs import (
    RELU,
    RELU6,
    Clamp,
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pool2d,
    Reshape,
    Softmax,
)
from milliwatt.ir.batch import run_samples
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.reference import Session
from milliwatt.ir.types import DType
from support.ladder import started
from support.oracle import LiteRt, Tflm


def conv(
    rng: np.random.Generator, x: Node, channels: int, name: str, clamp: Clamp = RELU, side: int = 3
) -> Node:
    """Same-size conv2d with random weights of unit gain."""
    shape = (channels, side, side, x.type.shape[3])
    weight = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
    bias = 0.1 * rng.standard_normal(channels)
    operands = (x, _f32(weight, f"{name}.w"), _f32(bias, f"{name}.b"))
    return Node(Op.CONV2D, operands, Conv2d(padding=(side // 2,) * 4, clamp=clamp), name)


def dense(weight: np.ndarray, x: Node, name: str, clamp: Clamp = RELU) -> Node:
    """fully_connected with the given weight [O,I] and bias 0."""
    bias = np.zeros(len(weight))
    operands = (x, _f32(weight, f"{name}.w"), _f32(bias, f"{name}.b"))
    return Node(Op.FULLY_CONNECTED, operands, FullyConnected(clamp), name)


def _f32(value: np.ndarray, name: str) -> Node:
    return constant(value.astype(np.float32), name)


def small_cnn(seed: int = 0) -> Graph:
    """conv, depthwise, residual add, concat, pools, mean, fully connected, softmax."""
    rng = np.random.default_rng(seed)
    x = graph_input((1, 8, 8, 3), DType.F32, "x")
    first = conv(rng, x, 8, "first", RELU6)
    taps = _f32(rng.standard_normal((1, 3, 3, 8)) / 3, "depth.w")
    attrs = Conv2d(padding=(1, 1, 1, 1), clamp=RELU)
    depth = Node(Op.DEPTHWISE_CONV2D, (first, taps, _f32(np.zeros(8), "depth.b")), attrs, "depth")
    added = Node(Op.ADD, (first, depth), Elementwise(), "added")
    joined = Node(Op.CONCAT, (added, conv(rng, added, 4, "side")), Concat(3), "joined")
    pooled = Node(Op.MAX_POOL2D, (joined,), Pool2d((2, 2), (2, 2)), "pooled")
    mean = Node(Op.MEAN, (pooled,), Mean((1, 2)), "mean")
    head = dense(rng.standard_normal((5, 12)), mean, "head", clamp=(-np.inf, np.inf))
    return Graph((x,), (Node(Op.SOFTMAX, (head,), Softmax(), "prob"),), name="small")


def samples(graph: Graph, count: int, seed: int = 1) -> np.ndarray:
    """Standard normal samples of the first input, f32 [count, ...]."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, *graph.inputs[0].type.shape[1:])).astype(np.float32)


@cache
def digits() -> tuple[Graph, np.ndarray, np.ndarray, np.ndarray]:
    """A net for scikit-learn's digits, (graph, train x, test x, test labels).

    Two random convolutions whose batch norm and ReLU are still nodes of their own, and a last layer
    fitted by ridge regression on the 1,200 training digits.
    """
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    images = (data.images[order, :, :, None] / 16).astype(np.float32)
    labels = data.target[order]
    rng = np.random.default_rng(4)
    x = graph_input((1, 8, 8, 1), DType.F32, "x")
    value = x
    for index, channels in enumerate((8, 16)):
        name = f"conv{index}"
        value = conv(rng, value, channels, name, clamp=(-np.inf, np.inf))
        factor = _f32(rng.uniform(0.5, 2, channels), f"{name}.gamma")
        offset = _f32(rng.uniform(-0.1, 0.1, channels), f"{name}.beta")
        value = Node(Op.MUL, (value, factor), Elementwise(), f"{name}.mul")
        value = Node(Op.ADD, (value, offset), Elementwise(), f"{name}.add")
        value = Node(Op.CLAMP, (value,), ClampAttrs(RELU), f"{name}.relu")
    value = Node(Op.MAX_POOL2D, (value,), Pool2d((2, 2), (2, 2)), "pool")
    flat = Node(Op.RESHAPE, (value,), Reshape((1, value.type.size)), "flat")
    features = run_samples(Graph((x,), (flat,)), [images[:1200]])[0].astype(np.float64)
    targets = np.eye(10)[labels[:1200]] - 0.1
    gram = features.T @ features + 10 * np.eye(features.shape[1])
    weight = np.linalg.solve(gram, features.T @ targets).T
    head = dense(weight, flat, "head", clamp=(-np.inf, np.inf))
    graph = Graph((x,), (head,), name="digits")
    return graph, images[:1200], images[1200:], labels[1200:].astype(np.int64)


def assert_same_everywhere(
    graph: Graph,
    sequences: Sequence[np.ndarray],
    *,
    boards: Sequence[str] = ("host", "cortex-m4"),
    oracle: str | None = None,
    tolerance: float = 0.0,
) -> list[tuple[np.ndarray, ...]]:
    """The reference's outputs frame by frame; every board and the oracle give the same.

    `sequences`: for every input f32 [frames, ...], a frame a run, states kept. Integers are equal
    bit for bit, floats within `tolerance` of the largest.
    """
    frames = [
        [
            (v if node.type.dtype.is_float else quantize_array(v, node.type)).reshape(
                node.type.shape
            )
            for v, node in zip(frame, graph.inputs, strict=True)
        ]
        for frame in zip(*sequences, strict=True)
    ]
    session = Session(graph)
    wanted = [session.run(frame) for frame in frames]
    found = {name: started(graph, name) for name in boards}
    got = {name: [on.run(frame).outputs for frame in frames] for name, on in found.items()}
    if oracle is not None:
        judge = {"tflm": Tflm, "litert": LiteRt}[oracle](write_tflite(graph))
        got[oracle] = [judge.run_all(frame, len(graph.outputs)) for frame in frames]
    for name, results in got.items():
        for number, (ours, theirs) in enumerate(zip(wanted, results, strict=True)):
            for node, a, b in zip(graph.outputs, ours, theirs, strict=True):
                where = f"{name}, run {number}, {node}"
                if node.type.dtype.is_float and tolerance:
                    reach = tolerance * float(np.abs(a).max())
                    np.testing.assert_allclose(b, a, rtol=0, atol=reach, err_msg=where)
                else:
                    np.testing.assert_array_equal(b, a, err_msg=where)
    return wanted
