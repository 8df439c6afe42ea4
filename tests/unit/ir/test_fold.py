"""Folding of constants, batch norm and activations: same meaning, fewer nodes, only where legal."""

from __future__ import annotations

import math

import numpy as np
import pytest

from milliwatt.ir.attrs import RELU, RELU6, ClampAttrs, Conv2d, Elementwise, FullyConnected, Unary
from milliwatt.ir.fold import fold_batch_norm, fold_constants, fuse_activation, unique_names
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType, Quant
from milliwatt.ir.verify import verify
from support.quantize_nets import digits
from support.random_graphs import random_graph
from support.single_ops import random_inputs

SEEDS = range(40)
DTYPES = (DType.F32, DType.S8)


def ops(graph: Graph) -> list[Op]:
    """Operators of the graph but leaves."""
    return [n.op for n in graph.nodes() if n.src]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("fold", [fold_constants, fuse_activation, fold_batch_norm])
def test_meaning_kept_on_random_graphs(fold, dtype) -> None:
    """Outputs are equal bit for bit, up to float rounding where batch norm multiplies weights."""
    changed = 0
    for seed in SEEDS:
        graph = random_graph(seed, dtype)
        folded = verify(fold(graph))
        changed += len(ops(folded)) < len(ops(graph))
        inputs = random_inputs(graph, seed)
        for wanted, got in zip(run(graph, inputs), run(folded, inputs), strict=True):
            if fold is fold_batch_norm and dtype.is_float:
                reach = float(np.abs(wanted).max())
                np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5 * max(reach, 1))
            else:
                np.testing.assert_array_equal(got, wanted)
    never = fold is fold_batch_norm and not dtype.is_float
    assert changed == 0 if never else changed > 2


def test_batch_norm_and_relu_vanish() -> None:
    """conv, mul, add, relu become one conv that keeps the conv's name."""
    graph, _, images, _ = digits()
    folded = verify(fuse_activation(fold_batch_norm(graph)))
    wanted = [Op.CONV2D, Op.CONV2D, Op.MAX_POOL2D, Op.RESHAPE, Op.FULLY_CONNECTED]
    assert ops(folded) == wanted
    convs = [n for n in folded.nodes() if n.op is Op.CONV2D]
    assert [n.name for n in convs] == ["conv0", "conv1"]
    assert all(n.attrs.clamp == RELU for n in convs)
    x = [images[:1]]
    np.testing.assert_allclose(run(folded, x)[0], run(graph, x)[0], atol=1e-5)


def product(channels: int = 3) -> tuple[Node, Node]:
    """(input, fully connected node) with `channels` outputs."""
    rng = np.random.default_rng(0)
    x = graph_input((1, 4), DType.F32, "x")
    weight = constant(rng.standard_normal((channels, 4)).astype(np.float32), "w")
    return x, Node(Op.FULLY_CONNECTED, (x, weight), FullyConnected(), "fc")


@pytest.mark.parametrize("op", [Op.ADD, Op.SUB, Op.MUL])
@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3)])
def test_each_affine_form_folds(op, swapped, shape) -> None:
    """Scalar and per-channel constants on either side, also where the product had no bias."""
    x, fc = product()
    other = constant(np.full(shape, -1.5, np.float32), "c")
    src = (other, fc) if swapped else (fc, other)
    graph = Graph((x,), (Node(op, src, Elementwise(RELU6), "y"),))
    folded = verify(fold_batch_norm(graph))
    assert ops(folded) == [Op.FULLY_CONNECTED]
    value = [np.array([[0.3, -2.0, 1.0, 4.0]], np.float32)]
    np.testing.assert_allclose(run(folded, value)[0], run(graph, value)[0], atol=1e-6)


def test_not_folded_where_the_product_is_read_twice() -> None:
    """A second reader, or the product as an output, keeps the affine node."""
    x, fc = product()
    mul = Node(Op.MUL, (fc, constant(np.float32(2), "c")), Elementwise(), "y")
    twice = Graph((x,), (Node(Op.ADD, (mul, fc), Elementwise(), "z"),))
    assert ops(fold_batch_norm(twice)) == [Op.FULLY_CONNECTED, Op.MUL, Op.ADD]
    shown = Graph((x,), (mul, fc))
    assert sorted(map(str, ops(fold_batch_norm(shown)))) == ["fully_connected", "mul"]


def test_not_folded_behind_an_activation_or_across_rows() -> None:
    """relu(fc) * c and a constant that varies along the batch stay."""
    x, fc = product()
    relu = Node(Op.FULLY_CONNECTED, fc.src, FullyConnected(RELU), "fc")
    double = constant(np.float32(2), "c")
    graph = Graph((x,), (Node(Op.MUL, (relu, double), Elementwise(), "y"),))
    assert ops(fold_batch_norm(graph)) == [Op.FULLY_CONNECTED, Op.MUL]
    rows = constant(np.ones((2, 3), np.float32), "rows")
    graph = Graph((x,), (Node(Op.ADD, (fc, rows), Elementwise(), "y"),))
    assert ops(fold_batch_norm(graph)) == [Op.FULLY_CONNECTED, Op.ADD]


def test_not_folded_where_float32_overflows() -> None:
    """A weight times a huge factor must not become infinite."""
    x, fc = product()
    huge = constant(np.float32(3e38), "c")
    graph = Graph((x,), (Node(Op.MUL, (fc, huge), Elementwise(), "y"),))
    assert ops(fold_batch_norm(graph)) == [Op.FULLY_CONNECTED, Op.MUL]


def test_shared_weight_folded_for_one_reader_only() -> None:
    """Two products of one weight: the folded copy gets a name of its own."""
    x, fc = product()
    other = Node(Op.FULLY_CONNECTED, fc.src, FullyConnected(), "fc2")
    mul = Node(Op.MUL, (fc, constant(np.float32(2), "c")), Elementwise(), "m")
    graph = Graph((x,), (Node(Op.ADD, (mul, other), Elementwise(), "y"),))
    folded = verify(fold_batch_norm(graph))
    assert {n.name for n in folded.nodes() if n.is_constant} == {"w", "w.2", "fc.bias"}


def quantized_conv_clamp(own: tuple[float, float], bounds: tuple[float, float], quant: Quant):
    """conv2d with clamp `own`, then a clamp node, both s8."""
    x = graph_input((1, 1, 256, 1), DType.S8, "x", Quant.per_tensor(0.05, 3))
    weight = constant(np.full((1, 1, 1, 1), 127, np.int8), "w", Quant.per_axis(np.ones(1) / 99, 0))
    conv = Node(
        Op.CONV2D, (x, weight), Conv2d(clamp=own, quant=Quant.per_tensor(0.05, -20)), "conv"
    )
    clamp = Node(Op.CLAMP, (conv,), ClampAttrs(bounds, quant), "clamp")
    return Graph((x,), (clamp,))


CLAMPS = [(-math.inf, math.inf), (0.0, math.inf), (0.0, 6.0), (-1.0, 1.0), (0.024, 0.026), (90, 99)]


@pytest.mark.parametrize("own", CLAMPS, ids=str)
@pytest.mark.parametrize("bounds", CLAMPS, ids=str)
def test_integer_clamps_compose_exactly(own, bounds) -> None:
    """Every input value: two clamps in turn equal the fused one, or the node stays."""
    graph = quantized_conv_clamp(own, bounds, Quant.per_tensor(0.05, -20))
    folded = verify(fuse_activation(graph))
    values = [np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256, 1)]
    np.testing.assert_array_equal(run(folded, values)[0], run(graph, values)[0])
    if (90, 99) not in (own, bounds):
        assert ops(folded) == [Op.CONV2D]


def test_integer_clamp_of_another_scale_stays() -> None:
    """A clamp that also rescales has a rounding of its own."""
    graph = quantized_conv_clamp((0.0, math.inf), (0.0, 6.0), Quant.per_tensor(0.04, -20))
    assert ops(fuse_activation(graph)) == [Op.CONV2D, Op.CLAMP]


def test_constants_fold_through_operators() -> None:
    """A subgraph of constants becomes one constant with its quantization."""
    quant = Quant.per_tensor(0.5, 1)
    c = constant(np.array([1, 3, 5], np.int8), "c", quant)
    total = Node(Op.ADD, (c, c), Elementwise(quant=quant), "twice")
    x = graph_input((3,), DType.S8, "x", quant)
    graph = Graph((x,), (Node(Op.ADD, (x, total), Elementwise(quant=quant), "y"),))
    folded = verify(fold_constants(graph))
    assert ops(folded) == [Op.ADD]
    made = next(n for n in folded.nodes() if n.is_constant)
    assert (made.name, made.type.quant, made.value.tolist()) == ("twice", quant, [1, 5, 9])


def test_unique_names() -> None:
    """The second and third node of a name are numbered."""
    x = graph_input((1,), DType.F32, "x")
    a = Node(Op.TANH, (x,), Unary(), "x")
    b = Node(Op.TANH, (a,), Unary(), "x")
    assert [n.name for n in unique_names(Graph((x,), (b,))).nodes()] == ["x", "x.2", "x.3"]
