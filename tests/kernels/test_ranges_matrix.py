"""Ranges of the general products: inside them C is the reference, outside binding refuses."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.harness import Worker, check, compare
from milliwatt.compiler.bind import bind
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, FullyConnected
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType, Quant

F32, S8, S16 = DType.F32, DType.S8, DType.S16
STEP = 0.125


def value(shape: tuple[int, ...], dtype: DType, scale: float = STEP, zero: int = 0) -> Node:
    """An input."""
    return graph_input(shape, dtype, "x", None if dtype is F32 else Quant.per_tensor(scale, zero))


def _run(node: Node, values: list[np.ndarray], workers: list[Worker]) -> None:
    wanted = OPS[node.op].reference(node.attrs, node.type, [s.type for s in node.src], values)
    call = bind(node)
    for worker in workers:
        data = worker.run(call, [values[i] for i in call.operands], node.type.nbytes, None)
        compare(np.frombuffer(data, node.type.dtype.numpy).reshape(wanted.shape), wanted, "y")


def dense_s16(bias: int, shift: int) -> Node:
    """Two products of 1 and a bias of 64 bits; results are sums times just below 2^shift."""
    weight = constant(np.ones((1, 2), np.int8), "w", Quant.per_tensor(STEP))
    out = Quant.per_tensor(STEP * STEP / 2.0**shift * 1.0001)
    nodes = (value((1, 2), S16), weight, constant(np.array([bias], np.int64), "b"))
    return Node(Op.FULLY_CONNECTED, nodes, FullyConnected(quant=out), "fc")


@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_16x8_at_their_limit(sign: int, workers: list[Worker]) -> None:
    """2^47 less the products of the inputs is the largest bias; the shift may be 7."""
    most = 2**47 - 2 * 2**15 - 1
    for shift in (-40, 0, 7):
        node = dense_s16(sign * most, shift)
        for edge in (-(2**15), 2**15 - 1):
            _run(node, [np.full((1, 2), edge, np.int16), *(s.value for s in node.src[1:])], workers)
    with pytest.raises(UnsupportedOp, match=r"fc \(fully_connected\): a sum may reach 140737488"):
        bind(dense_s16(sign * (most + 1), 0))
    with pytest.raises(UnsupportedOp, match=r"scaled by up to 2\^8; below 2\^47 and 2\^8 wanted"):
        bind(dense_s16(0, 8))


def test_biases_of_32_bits_have_no_limit(workers: list[Worker]) -> None:
    """Their sums wrap, in TFLM, in the reference and in C."""
    bias = constant(np.array([2**31 - 1], np.int32), "b")
    weight = constant(np.full((1, 2), 127, np.int8), "w", Quant.per_tensor(STEP))
    attrs = FullyConnected(quant=Quant.per_tensor(STEP / 2**20))
    node = Node(Op.FULLY_CONNECTED, (value((1, 2), S16), weight, bias), attrs, "fc")
    _run(node, [np.full((1, 2), 2**15 - 1, np.int16), weight.value, bias.value], workers)


@pytest.mark.parametrize(
    ("bias", "fits"), [(2**31 - 1024 - 255 * 510, False), (2**31 - 131075, True)]
)
def test_sums_with_a_weight_zero_point(bias: int, fits: bool, workers: list[Worker]) -> None:
    """Inputs and weights reach 255 from their zero points."""
    weight = constant(np.full((1, 2), 127, np.int8), "w", Quant.per_tensor(STEP, -128))
    nodes = (value((1, 2), S8, zero=-128), weight, constant(np.array([bias], np.int32), "b"))
    attrs = FullyConnected(quant=Quant.per_tensor(STEP * STEP * 2**24))
    node = Node(Op.FULLY_CONNECTED, nodes, attrs, "fc")
    if fits:
        _run(node, [np.full((1, 2), 127, np.int8), *(s.value for s in nodes[1:])], workers)
        return
    with pytest.raises(UnsupportedOp, match=r"fc \(fully_connected\): the sum of channel 0 may"):
        bind(node)


@pytest.mark.parametrize(("inputs", "fits"), [(65792, True), (65793, False)])
def test_sums_of_weights_computed_at_run_time(inputs: int, fits: bool) -> None:
    """Any weight may come: 128 * 255 a product."""
    weight = graph_input((1, inputs), S8, "w", Quant.per_tensor(STEP))
    attrs = FullyConnected(quant=Quant.per_tensor(STEP * 2**20))
    node = Node(Op.FULLY_CONNECTED, (value((1, inputs), S8, zero=127), weight), attrs, "fc")
    if fits:
        assert bind(node).kernel == "mw_conv2d_runtime_s8"
        return
    with pytest.raises(UnsupportedOp, match="the sum of channel 0 may reach"):
        bind(node)


def matmul(dtype: DType, depth: int, shift: int = -10) -> Node:
    """[1, depth] by [depth, 1], zero points at an end; results are sums times about 2^shift."""
    zero = -128 if dtype is S8 else 0
    a, b = value((1, depth), dtype, zero=zero), value((depth, 1), dtype, zero=zero)
    out = Quant.per_tensor(STEP * STEP / 2.0**shift * 1.0001)
    return Node(Op.BATCH_MATMUL, (a, b), BatchMatmul(quant=out), "mm")


@pytest.mark.parametrize(
    ("dtype", "most"), [(S8, (2**31 - 1025) // 255**2), (S16, 2**17 - 1)], ids=str
)
def test_longest_sums_of_batch_matmul(dtype: DType, most: int, workers: list[Worker]) -> None:
    edge = dtype.limits[1] if dtype is S8 else dtype.limits[0]
    node = matmul(dtype, most)
    _run(node, [np.full(s.type.shape, edge, dtype.numpy) for s in node.src], workers)
    with pytest.raises(UnsupportedOp, match=r"mm \(batch_matmul\): a "):
        bind(matmul(dtype, most + 1))
    check(matmul(dtype, 1, 7), workers)
    with pytest.raises(UnsupportedOp, match=r"mm \(batch_matmul\): a "):
        bind(matmul(dtype, 1, 16))


def test_weights_of_16_bits_that_are_no_numbers() -> None:
    weight = constant(np.array([[1, np.inf]], np.float16), "w")
    node = Node(Op.FULLY_CONNECTED, (value((1, 2), F32), weight), FullyConnected(), "fc")
    with pytest.raises(UnsupportedOp, match=r"fc \(fully_connected\): a weight is not finite"):
        bind(node)


def test_every_finite_f16_is_converted_exactly(workers: list[Worker]) -> None:
    """All 63,488 of them, as a filter's only weight and as one of many."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    weight = constant(np.stack([finite, np.zeros_like(finite)], 1), "w")
    for rows in (1, 2):
        node = Node(Op.FULLY_CONNECTED, (value((rows, 2), F32), weight), FullyConnected(), "fc")
        call = bind(node)
        assert call.workspace_bytes == (8 if rows > 1 else 0)
        for worker in workers:
            data = worker.run(call, [np.ones((rows, 2), np.float32)], node.type.nbytes, None)
            got = np.frombuffer(data, np.float32).reshape(rows, -1)
            np.testing.assert_array_equal(got, np.tile(finite.astype(np.float32), (rows, 1)))
    lone = constant(finite.reshape(-1, 1), "w")
    node = Node(Op.FULLY_CONNECTED, (value((3, 1), F32), lone), FullyConnected(), "fc")
    assert check(node, workers).workspace_bytes == 0  # weights side by side need no unpacking


@pytest.mark.parametrize("dtype", [S16, F32], ids=str)
def test_steps_of_a_window(dtype: DType, workers: list[Worker]) -> None:
    """The largest stride and dilation that coordinates can take, and one more."""
    quant = None if dtype is F32 else Quant.per_tensor(STEP)
    x, most = value((1, 3, 3, 4), dtype), 2**30 - 1
    held = np.float32 if dtype is F32 else np.int8
    w, pads = constant(np.ones((2, 1, 1, 2), held), "w", quant), (1, 1, 1, 1)
    check(
        Node(Op.CONV2D, (x, w), Conv2d((most, most), pads, (most, most), quant=quant), "y"), workers
    )
    for stride, dilation in (((1, most + 1), (1, 1)), ((1, 1), (most + 1, 1))):
        node = Node(Op.CONV2D, (x, w), Conv2d(stride, pads, dilation, quant=quant), "y")
        with pytest.raises(UnsupportedOp, match=r"y \(conv2d\): steps .*below 1073741824 wanted"):
            bind(node)
    one = constant(np.ones((2, 1, 1, 4), held), "w", quant)
    far = TransposeConv2d((2, 2), (most + 1, 1), quant=quant)
    spread = Node(Op.TRANSPOSE_CONV2D, (value((1, 1, 1, 4), dtype), one), far, "t")
    with pytest.raises(UnsupportedOp, match=r"t \(transpose_conv2d\): steps"):
        bind(spread)
