"""Elementwise operators: what they refuse, in whose name and with which advice."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from milliwatt.compiler.bind import bind
from milliwatt.errors import InvalidGraph, MilliwattError, UnsupportedOp
from milliwatt.ir.attrs import Attrs, Elementwise
from milliwatt.ir.attrs.pointwise import Cast, LeakyRelu, Pointwise
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.text import parse_graph, print_graph
from milliwatt.ir.types import DType, Quant

S8, S16, S32, F32, BOOL = DType.S8, DType.S16, DType.S32, DType.F32, DType.BOOL
FINE, COARSE = Quant.per_tensor(2.0**-20), Quant.per_tensor(0.5)


def value(dtype: DType, quant: Quant | None = None, shape: tuple[int, ...] = (4,)) -> Node:
    """An input."""
    return graph_input(shape, dtype, "x", quant)


def node(op: Op, attrs: Attrs, *src: Node) -> Node:
    """A node that errors name "y"."""
    return Node(op, src, attrs, "y")


def quantized(dtype: DType, scale: float, zero_point: int = 0) -> Node:
    """A quantized input."""
    return value(dtype, Quant.per_tensor(scale, zero_point))


REFUSED: list[tuple[Callable[[], Node], type[MilliwattError], str]] = [
    (
        lambda: node(Op.ABS, Pointwise(), value(S32)),
        UnsupportedOp,
        r"y \(abs\): input is s32\[4\]; f32 or s8 or s16 wanted",
    ),
    (
        lambda: node(Op.SIN, Pointwise(COARSE), quantized(S16, 0.5)),
        UnsupportedOp,
        r"y \(sin\): input is s16\[4\]; f32 or s8 wanted",
    ),
    (
        lambda: node(Op.EXP, Pointwise(COARSE), value(S8)),
        InvalidGraph,
        r"y \(exp\): input s8\[4\] has no quantization; run mw.quantize first",
    ),
    (
        lambda: node(Op.DIV, Elementwise(), *[quantized(S16, 0.5)] * 2),
        UnsupportedOp,
        r"y \(div\): first operand is s16\[4\]; f32 or s8 or s32 wanted",
    ),
    (
        lambda: node(Op.MAXIMUM, Pointwise(COARSE), quantized(S8, 0.5), quantized(S8, 0.25)),
        InvalidGraph,
        r"y \(maximum\): operand s8\[4\] has .*; one quantization of all wanted; requantize",
    ),
    (
        lambda: node(Op.LESS, Attrs(), value(F32), value(S32)),
        UnsupportedOp,
        r"y \(less\): second operand is s32\[4\]; f32 wanted",
    ),
    (
        lambda: node(Op.LESS, Attrs(), value(BOOL), value(BOOL)),
        UnsupportedOp,
        r"y \(less\): first operand is bool\[4\]; f32 or s8 or s16 or s32 or s64 wanted",
    ),
    (
        lambda: node(Op.ABS, Pointwise(COARSE), quantized(S16, 0.5, 3)),
        InvalidGraph,
        r"y \(abs\): input s16\[4\] has zero point 3; 0 wanted for s16",
    ),
    (
        lambda: node(Op.PRELU, Pointwise(), value(F32), value(F32, None, (2, 4))),
        InvalidGraph,
        r"y \(prelu\): alpha is f32\[2,4\]; no more axes than f32\[4\] wanted",
    ),
    (
        lambda: node(Op.HARD_SWISH, Pointwise(FINE), quantized(S8, 0.5)),
        InvalidGraph,
        r"y \(hard_swish\): result scale .* is below 1/128 of the input's 0.5; more wanted",
    ),
    (
        lambda: node(Op.LEAKY_RELU, LeakyRelu(math.nan), value(F32)),
        InvalidGraph,
        r"y \(leaky_relu\): alpha is nan; finite wanted",
    ),
    (
        lambda: node(Op.SELECT, Pointwise(), value(S8), value(F32), value(F32)),
        UnsupportedOp,
        r"y \(select\): condition is s8\[4\]; bool wanted",
    ),
    (
        lambda: node(Op.ADD_N, Pointwise(), value(F32), value(F32, None, (1,))),
        InvalidGraph,
        r"y \(add_n\): operand is f32\[1\]; f32\[4\] wanted",
    ),
    (
        lambda: node(Op.CAST, Cast(DType.F16), value(F32)),
        UnsupportedOp,
        r"y \(cast\): result is f16\[4\]; f32 or s8 or s16",
    ),
]


@pytest.mark.parametrize(
    ("make", "kind", "message"), REFUSED, ids=[message[:40] for *_, message in REFUSED]
)
def test_refused(make: Callable[[], Node], kind: type[MilliwattError], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


@pytest.mark.parametrize(
    "refused",
    [
        node(Op.LEAKY_RELU, LeakyRelu(0.5, FINE), quantized(S16, 0.5)),
        node(Op.ABS, Pointwise(FINE), quantized(S16, 0.5)),
        node(Op.PRELU, Pointwise(FINE), quantized(S8, 0.5), quantized(S8, 0.5)),
        node(Op.SQUARED_DIFFERENCE, Pointwise(FINE), *[quantized(S8, 0.5)] * 2),
        node(Op.LESS, Attrs(), *[quantized(S8, 2.0**20)] * 2),
        node(Op.ADD_N, Pointwise(COARSE), *[quantized(S8, 0.5, 127)] * 17),
    ],
    ids=lambda n: str(n.op),
)
def test_what_may_leave_32_bits_is_not_bound(refused: Node) -> None:
    """The reference wraps as TFLM does; a kernel would have no defined result."""
    with pytest.raises(UnsupportedOp, match=rf"y \({refused.op}\): a value before its last round"):
        bind(refused)


def test_15_operands_of_add_n_fit() -> None:
    fits = node(Op.ADD_N, Pointwise(COARSE), *[quantized(S8, 0.5, 127)] * 15)
    assert bind(fits).kernel == "mw_add_n_s8"


def test_comparisons_take_over_no_wider_operand() -> None:
    """A result of one byte a value may have the bytes of a broadcast operand of four."""
    pair = (value(F32, None, (1,)), value(F32))
    assert node(Op.LESS, Attrs(), *pair).type.nbytes == pair[0].type.nbytes
    assert bind(node(Op.LESS, Attrs(), *pair)).inplace == ()


def test_attributes_come_back_from_text() -> None:
    x = value(F32)
    cast = Node(Op.CAST, (x,), Cast(DType.S8, COARSE), "cast")
    leaky = Node(Op.LEAKY_RELU, (cast,), LeakyRelu(0.25, FINE), "leaky")
    graph = Graph((x,), (Node(Op.ABS, (leaky,), Pointwise(COARSE), "y"),))
    assert print_graph(parse_graph(print_graph(graph))) == print_graph(graph)


def test_a_logarithm_of_nothing_in_s8_is_the_lowest_value() -> None:
    """As in LiteRT: what is 0 or below has no logarithm."""
    from milliwatt.ir.reference import run

    x = graph_input((256,), S8, "x", Quant.per_tensor(0.1))
    graph = Graph((x,), (Node(Op.LOG, (x,), Pointwise(Quant.per_tensor(0.05)), "y"),))
    result = run(graph, [np.arange(-128, 128, dtype=np.int8)])[0]
    assert (result[:129] == -128).all()
    assert result[129 + 9] == 0
