"""Each pass on a graph made for it: what it folds, what it must leave, that bytes stay equal."""

import numpy as np
import pytest

from milliwatt.compiler.passes.drop_identities import drop_identities
from milliwatt.compiler.passes.fold_input_offset import fold_input_offset
from milliwatt.compiler.passes.fold_pad import fold_pad
from milliwatt.compiler.passes.fold_requantize import fold_requantize
from milliwatt.ir.attrs import (
    NO_CLAMP,
    RELU,
    RELU6,
    Attrs,
    ClampAttrs,
    Concat,
    Conv2d,
    FullyConnected,
    Pad,
    Pool2d,
    Quantize,
    Reshape,
    Transpose,
    Unary,
)
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify

RNG = np.random.default_rng(7)
IN = Quant.per_tensor(0.05, -11)
OUT = Quant.per_tensor(0.11, 5)


def s8(*shape: int) -> np.ndarray:
    """Random int8 values."""
    return RNG.integers(-127, 128, shape).astype(np.int8)


def x_input(*shape: int) -> Node:
    """An s8 input."""
    return graph_input(shape, DType.S8, "x", IN)


def conv(x: Node, name: str = "conv", **attrs: object) -> Node:
    """A 3x3 s8 convolution to 4 channels."""
    channels = x.type.shape[3]
    weight = constant(s8(4, 3, 3, channels), f"{name}.w", Quant.per_axis(np.full(4, 0.01), 0))
    return Node(Op.CONV2D, (x, weight), Conv2d(quant=OUT, **attrs), name)  # type: ignore[arg-type]


def ops(graph: Graph) -> list[str]:
    """Operators that run, in order."""
    return [str(n.op) for n in graph.nodes() if n.op not in (Op.INPUT, Op.CONSTANT)]


def assert_same(before: Graph, after: Graph) -> None:
    """Same bytes on random inputs."""
    verify(after)
    for _ in range(5):
        x = [s8(*n.type.shape) for n in before.inputs]
        for a, b in zip(run(before, x), run(after, x), strict=True):
            np.testing.assert_array_equal(a, b)


def pad(x: Node, *paddings: tuple[int, int], value: float | None = None) -> Node:
    """A pad node."""
    return Node(Op.PAD, (x,), Pad(paddings, value), "pad")


def test_fold_pad_adds_to_the_padding_of_the_convolution() -> None:
    x = x_input(1, 6, 5, 3)
    node = conv(pad(x, (0, 0), (1, 2), (0, 1), (0, 0)), padding=(1, 0, 0, 0))
    before = Graph((x,), (node,))
    after = fold_pad(before)
    assert ops(after) == ["conv2d"]
    assert after.outputs[0].attrs.padding == (2, 2, 0, 1)  # type: ignore[attr-defined]
    assert_same(before, after)


@pytest.mark.parametrize(
    ("paddings", "value"),
    [
        (((0, 0), (1, 1), (1, 1), (0, 0)), 3.0),  # not real zero
        (((0, 0), (1, 1), (1, 1), (0, 1)), None),  # pads channels
    ],
)
def test_fold_pad_leaves_other_pads(
    paddings: tuple[tuple[int, int], ...], value: float | None
) -> None:
    x = x_input(1, 6, 5, 3)
    before = Graph((x,), (conv(pad(x, *paddings, value=value)),))
    assert ops(fold_pad(before)) == ["pad", "conv2d"]


def test_drop_identities_drops_all_and_only_idle_nodes() -> None:
    x = x_input(1, 4, 4, 2)
    node = Node(Op.RESHAPE, (x,), Reshape((1, 4, 4, 2)), "reshape")
    node = pad(node, (0, 0), (0, 0), (0, 0), (0, 0))
    node = Node(Op.TRANSPOSE, (node,), Transpose((0, 1, 2, 3)), "transpose")
    node = Node(Op.CONCAT, (node,), Concat(1), "concat")
    node = Node(Op.CLAMP, (node,), ClampAttrs((-100.0, 100.0), IN), "idle")
    node = Node(Op.MAX_POOL2D, (node,), Pool2d((1, 1), (1, 1)), "pool")
    node = Node(Op.REQUANTIZE, (node,), Quantize(DType.S8, IN), "requantize")
    moved = Node(Op.TRANSPOSE, (node,), Transpose((0, 2, 1, 3)), "moved")
    relu = Node(Op.CLAMP, (moved,), ClampAttrs(RELU, IN), "relu")
    before = Graph((x,), (relu,))
    after = drop_identities(before)
    assert ops(after) == ["transpose", "clamp"]
    assert_same(before, after)


def test_strided_1x1_pool_is_not_an_identity() -> None:
    x = x_input(1, 1, 1, 2)
    pool = Node(Op.AVERAGE_POOL2D, (x,), Pool2d((1, 1), (2, 2), clamp=RELU6), "pool")
    assert ops(drop_identities(Graph((x,), (pool,)))) == ["average_pool2d"]


CHAINS: dict[str, list[tuple[Op, Attrs]]] = {
    "relu6": [(Op.CLAMP, ClampAttrs(RELU6, IN))],
    "relu, requantized": [(Op.CLAMP, ClampAttrs(RELU, OUT))],
    "logistic": [(Op.LOGISTIC, Unary())],
    "tanh": [(Op.TANH, Unary())],
    "requantize": [(Op.REQUANTIZE, Quantize(DType.S8, OUT))],
    "requantize, logistic": [(Op.REQUANTIZE, Quantize(DType.S8, OUT)), (Op.LOGISTIC, Unary())],
    "through s16": [
        (Op.REQUANTIZE, Quantize(DType.S16, Quant.per_tensor(0.001))),
        (Op.REQUANTIZE, Quantize(DType.S8, OUT)),
    ],
    "through float": [
        (Op.DEQUANTIZE, Attrs()),
        (Op.TANH, Unary()),
        (Op.CLAMP, ClampAttrs((-0.5, 0.9))),
        (Op.QUANTIZE, Quantize(DType.S8, Quant.per_tensor(1 / 100, 3))),
    ],
}


@pytest.mark.parametrize("chain", CHAINS)
def test_fold_requantize_makes_one_lookup(chain: str) -> None:
    x = x_input(2, 128)
    node = x
    for i, (op, attrs) in enumerate(CHAINS[chain]):
        node = Node(op, (node,), attrs, f"n{i}")
    before = Graph((x,), (node,))
    after = fold_requantize(before)
    assert ops(after) == ["lookup"]
    every = np.tile(np.arange(-128, 128), 1).astype(np.int8).reshape(2, 128)
    np.testing.assert_array_equal(run(before, [every])[0], run(after, [every])[0])
    verify(after)


def test_fold_requantize_leaves_float_and_wide_ends() -> None:
    x = graph_input((4,), DType.F32, "x")
    quantize = Node(Op.QUANTIZE, (x,), Quantize(DType.S8, IN), "quantize")
    relu = Node(Op.CLAMP, (quantize,), ClampAttrs(RELU, IN), "relu")
    dequantize = Node(Op.DEQUANTIZE, (relu,), Attrs(), "dequantize")
    after = fold_requantize(Graph((x,), (dequantize,)))
    assert ops(after) == ["quantize", "lookup", "dequantize"]


def test_fold_requantize_is_idempotent_and_keeps_a_branch() -> None:
    x = x_input(8)
    first = Node(Op.TANH, (x,), Unary(), "first")
    second = Node(Op.LOGISTIC, (first,), Unary(), "second")
    before = Graph((x,), (second, first))
    after = fold_requantize(before)
    assert ops(after) == ["lookup", "lookup"]
    assert_same(before, after)
    assert_same(after, fold_requantize(after))


@pytest.mark.parametrize("op", [Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.FULLY_CONNECTED])
@pytest.mark.parametrize("with_bias", [False, True])
def test_fold_input_offset(op: Op, with_bias: bool) -> None:
    if op is Op.FULLY_CONNECTED:
        x, weight, axis = x_input(3, 7), s8(5, 7), 0
        attrs: Attrs = FullyConnected(NO_CLAMP, OUT)
    elif op is Op.CONV2D:
        x, weight, axis = x_input(1, 5, 6, 2), s8(5, 3, 2, 2), 0
        attrs = Conv2d(padding=(1, 2, 0, 1), dilation=(2, 1), quant=OUT)
    else:
        x, weight, axis = x_input(1, 5, 6, 5), s8(1, 3, 3, 5), 3
        attrs = Conv2d(padding=(1, 1, 1, 1), stride=(2, 1), quant=OUT)
    scales = np.linspace(0.01, 0.02, 5)
    src = [x, constant(weight, "w", Quant.per_axis(scales, axis))]
    if with_bias:
        bias = RNG.integers(-1000, 1000, 5).astype(np.int32)
        src.append(constant(bias, "b"))
    before = Graph((x,), (Node(op, tuple(src), attrs, "n"),))
    after = fold_input_offset(before)
    assert after.outputs[0].attrs.folded  # type: ignore[attr-defined]
    assert_same(before, after)
    assert_same(after, fold_input_offset(after))
