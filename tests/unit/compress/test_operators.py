"""Every operator through post-training quantization: close to float, bit for bit in C."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from milliwatt.compiler.rows import TABLE
from milliwatt.compress.quantize import quantize, quantize_with_report
from milliwatt.compress.report import layer_report
from milliwatt.compress.rules import RULES, Follows
from milliwatt.errors import MilliwattWarning
from milliwatt.ir.attrs import RELU6, Attrs, ClampAttrs, Concat, Elementwise, Mean, Pad, Unary
from milliwatt.ir.attrs.matrix import BatchMatmul, TransposeConv2d
from milliwatt.ir.attrs.move import BroadcastTo, Gather, MirrorPad, Resize, StridedSlice
from milliwatt.ir.attrs.pointwise import Cast, Gelu, LeakyRelu, Pointwise
from milliwatt.ir.attrs.reduce import Arg, CumSum, Reduce, Sum
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.quantize_nets import assert_same_everywhere, samples

Make = Callable[[Node], Node]
RNG = np.random.default_rng(0)
PLAIN = Pointwise()


def number(value: object, name: str = "c") -> Node:
    """An f32 constant."""
    return constant(np.asarray(value, np.float32), name)


def unary(op: Op, attrs: Attrs = PLAIN) -> Make:
    return lambda x: Node(op, (x,), attrs, "y")


def positive(op: Op) -> Make:
    """op of |x| + 0.5."""

    def make(x: Node) -> Node:
        size = Node(Op.ABS, (x,), PLAIN, "size")
        moved = Node(Op.ADD, (size, number(0.5, "half")), Elementwise(), "moved")
        return Node(op, (moved,), PLAIN, "y")

    return make


def pair(op: Op, attrs: Attrs = PLAIN, other: object = ((0.5, -0.75, 1.5),)) -> Make:
    return lambda x: Node(op, (x, number(other)), attrs, "y")


def own(op: Op, attrs: Attrs = PLAIN) -> Make:
    """op of x and its hyperbolic tangent, whose quantization is fixed."""
    return lambda x: Node(op, (x, Node(Op.TANH, (x,), Unary(), "t")), attrs, "y")


def mask(x: Node, op: Op = Op.GREATER) -> Node:
    return Node(op, (x, Node(Op.TANH, (x,), Unary(), "t")), Attrs(), "mask")


def chosen(x: Node) -> Node:
    return Node(Op.SELECT, (mask(x), x, number(0.25)), PLAIN, "y")


def divided(x: Node) -> Node:
    return Node(Op.DIV, (x, number([1.0, -2.0, 4.0])), Elementwise(), "y")


def patched(x: Node) -> Node:
    fresh = number(np.full((1, 1, 2, 3), 0.5))
    start = constant(np.array([0, 1, 1, 0], np.int32), "start")
    return Node(Op.DYNAMIC_UPDATE_SLICE, (x, fresh, start), Attrs(), "y")


def picked(op: Op, attrs: Attrs, indices: object) -> Make:
    return lambda x: Node(op, (x, constant(np.asarray(indices, np.int32), "i")), attrs, "y")


def upsampled(x: Node) -> Node:
    weight = number(RNG.standard_normal((2, 3, 3, 3)) / 4, "w")
    src = (x, weight, number([0.1, -0.2], "b"))
    return Node(Op.TRANSPOSE_CONV2D, src, TransposeConv2d((8, 8), (2, 2), (0, 0)), "y")


def attended(x: Node) -> Node:
    return Node(Op.BATCH_MATMUL, (x, x), BatchMatmul(transpose_b=True), "y")


WHOLE = (1, 4, 4, 3)
# Operators by name: what to make of x f32 [1,4,4,3], standard normal.
OPERATORS: dict[str, Make] = {
    **{str(op): unary(op) for op in (Op.ABS, Op.NEG, Op.EXP, Op.SIN, Op.COS, Op.SQUARE)},
    **{str(op): unary(op) for op in (Op.ELU, Op.HARD_SWISH)},
    **{str(op): positive(op) for op in (Op.SQRT, Op.RSQRT, Op.LOG)},
    "gelu": unary(Op.GELU, Gelu()),
    "leaky_relu": unary(Op.LEAKY_RELU, LeakyRelu(0.1)),
    "clamp": unary(Op.CLAMP, ClampAttrs(RELU6)),
    "prelu": pair(Op.PRELU, other=((0.5, -0.25, 0.1),)),
    "maximum": pair(Op.MAXIMUM),
    "minimum of a fixed one": own(Op.MINIMUM),
    "squared_difference": own(Op.SQUARED_DIFFERENCE),
    "add_n": own(Op.ADD_N),
    "sub": own(Op.SUB, Elementwise()),
    "mul": own(Op.MUL, Elementwise()),
    "div": divided,
    "select": chosen,
    "strided_slice": unary(
        Op.STRIDED_SLICE, StridedSlice((0, 3, 0, 1), (1, 2, 4, 2), (1, -2, 1, 1))
    ),
    "broadcast_to": lambda x: Node(
        Op.BROADCAST_TO,
        (Node(Op.MEAN, (x,), Mean((1, 2), True), "m"),),
        BroadcastTo(WHOLE),
        "y",
    ),
    "mirror_pad": unary(Op.MIRROR_PAD, MirrorPad(((0, 0), (1, 2), (2, 0), (0, 0)))),
    "pad": unary(Op.PAD, Pad(((0, 0), (1, 0), (0, 1), (0, 0)), 1.5)),
    "resize_bilinear": unary(Op.RESIZE_BILINEAR, Resize((7, 5))),
    "resize_nearest": unary(Op.RESIZE_NEAREST, Resize((8, 8))),
    "gather": picked(Op.GATHER, Gather(1), [3, 0, 0]),
    "gather_nd": picked(Op.GATHER_ND, Attrs(), [[[0, 3, 1], [0, 0, 0]]]),
    "dynamic_update_slice": patched,
    "concat": own(Op.CONCAT, Concat(3)),
    "sum": unary(Op.SUM, Sum((1, 2))),
    "cumsum": unary(Op.CUMSUM, CumSum(2)),
    "reduce_max": unary(Op.REDUCE_MAX, Reduce((1, 2), True)),
    "reduce_min": unary(Op.REDUCE_MIN, Reduce((3,))),
    "l2_normalization": unary(Op.L2_NORMALIZATION, Attrs()),
    "log_softmax": unary(Op.LOG_SOFTMAX, Attrs()),
    "transpose_conv2d": upsampled,
    "batch_matmul": attended,
}
BYTES_ONLY = {str(op) for op, rule in RULES.items() if DType.S16 not in rule.dtypes}
# Least ratio of signal to noise in dB, of s8 and s16: less where values are divided, where a choice
# hangs on them, and where weights have 8 bits.
LEAST_DB = {"rsqrt": (25, 60), "div": (25, 60), "select": (10, 20)}
LEAST_DB |= dict.fromkeys(("transpose_conv2d", "prelu"), (30, 35)) | {"cumsum": (20, 60)}


def one(make: Make) -> Graph:
    """A graph of one input and one output."""
    x = graph_input(WHOLE, DType.F32, "x")
    return Graph((x,), (make(x),), name="one")


def worst(graph: Graph, quantized: Graph, data: np.ndarray) -> float:
    return min(row.sqnr_db for row in layer_report(graph, quantized, data))


@pytest.mark.parametrize("name", OPERATORS)
def test_int8(name: str) -> None:
    """In s8 from end to end, every value close to the float one, no warning."""
    graph = one(OPERATORS[name])
    data = samples(graph, 32)
    quantized = quantize(graph, data)
    assert not any(n.type.dtype.is_float for n in quantized.nodes())
    assert worst(graph, quantized, data) > LEAST_DB.get(name, (30, 60))[0]


@pytest.mark.parametrize("name", OPERATORS)
def test_int16(name: str) -> None:
    """In s16 from end to end with a hundredth of s8's noise, or in f32 and said so."""
    graph = one(OPERATORS[name])
    data = samples(graph, 32)
    lacking = {str(n.op) for n in graph.nodes()} & BYTES_ONLY
    if lacking:
        with pytest.warns(MilliwattWarning, match=rf"one: no s16 form, left in f32: y \({name}"):
            quantized, report = quantize_with_report(graph, data, activations="int16")
        assert report.kept == ("y",)
    else:
        quantized = quantize(graph, data, activations="int16")
        assert not any(n.type.dtype.is_float for n in quantized.nodes())
    assert worst(graph, quantized, data) > LEAST_DB.get(name, (30, 60))[1]


@pytest.mark.filterwarnings("ignore:all. no s16 form")
@pytest.mark.parametrize("activations", ["int8", "int16"])
def test_same_in_c(activations: str) -> None:
    """All of them side by side in one firmware: host and Cortex-M4 equal the reference."""
    x = graph_input(WHOLE, DType.F32, "x")
    outputs = tuple(make(x) for make in OPERATORS.values())
    graph = unique_names(Graph((x,), outputs, name="all"))
    data = samples(graph, 24)
    quantized = quantize(graph, data, activations=activations)
    assert_same_everywhere(quantized, [data[:4]], boards=("host", "cortex-m4"), tolerance=1e-5)


@pytest.mark.parametrize("activations", ["int8", "int16"])
def test_same_in_tflm(activations: str) -> None:
    """Operators that TFLM has for s8 and s16, one after the other: the same bytes."""
    x = graph_input(WHOLE, DType.F32, "x")
    node = x
    for name in ("sub", "mul", "pad", "leaky_relu", "transpose_conv2d", "concat"):
        node = OPERATORS[name](node)
    graph = unique_names(Graph((x,), (node,), name="chain"))
    data = samples(graph, 24)
    quantized = quantize(graph, data, activations=activations)
    assert_same_everywhere(quantized, [data[:8]], boards=(), oracle="tflm")


def test_comparisons_in_both_types() -> None:
    """s8 compares reals of any quantization, s16 the numbers of one: both find what f32 does."""
    x = graph_input((1, 40), DType.F32, "x")
    graph = Graph((x,), (mask(x, Op.LESS),), name="less")
    rng = np.random.default_rng(3)
    data = rng.choice([-2.0, -1.0, 0.5, 1.0], (20, 40)).astype(np.float32)
    wanted = data < np.tanh(data)
    for activations in ("int8", "int16"):
        quantized = quantize(graph, data, activations=activations)
        same = assert_same_everywhere(quantized, [data], boards=("host",))
        np.testing.assert_array_equal(np.concatenate([run[0] for run in same]), wanted)
    kinds = [s.type.quant for s in quantized.outputs[0].src]
    assert kinds[0] == kinds[1]


def test_index_of_the_largest() -> None:
    """arg_max reads s8 as it is; of s16 it has no kernel."""
    x = graph_input((1, 9), DType.F32, "x")
    graph = Graph((x,), (Node(Op.ARG_MAX, (x,), Arg(1), "class"),), name="arg")
    data = np.random.default_rng(3).permuted(np.tile(np.arange(9.0), (20, 1)), axis=1)
    quantized = quantize(graph, data.astype(np.float32))
    assert quantized.outputs[0].src[0].op is Op.INPUT
    found = assert_same_everywhere(quantized, [data.astype(np.float32)], boards=("host",))
    np.testing.assert_array_equal(np.concatenate([run[0] for run in found]), data.argmax(axis=1))
    with pytest.warns(MilliwattWarning, match=r"no s16 form, left in f32: class \(arg_max\)"):
        quantize(graph, data.astype(np.float32), activations="int16")


def test_what_has_no_integer_form_stays_float() -> None:
    """A cast reads real numbers: f32, with conversions; bools and integers go on as they are."""
    x = graph_input((1, 6), DType.F32, "x")
    doubled = Node(Op.ADD, (x, x), Elementwise(), "doubled")
    whole = Node(Op.CAST, (doubled,), Cast(DType.S32), "whole")
    even = Node(Op.EQUAL, (whole, constant(np.int32(2), "two")), Attrs(), "even")
    graph = Graph((x,), (Node(Op.SELECT, (even, x, doubled), PLAIN, "y"),), name="cast")
    data = np.round(4 * samples(graph, 16)) / 4
    with pytest.warns(MilliwattWarning, match=r"^cast: no s8 form, left in f32: whole \(cast\)$"):
        quantized, report = quantize_with_report(graph, data)
    assert report.kept == ("whole",)
    assert [n.name for n in quantized.nodes() if n.type.dtype.is_float] == ["doubled.dequantize"]
    assert_same_everywhere(quantized, [data[:2]], boards=("host",))


@pytest.mark.parametrize("op", RULES, ids=str)
def test_rules_are_what_kernels_do(op: Op) -> None:
    """A row names the element types that a kernel runs, no more and no fewer."""
    kinds = {row.dtypes[0] if row.dtypes else None for row in TABLE if row.op is op}
    if op in (Op.RESHAPE, Op.SCAN):  # never run, run as what is inside
        return
    for dtype in (DType.S8, DType.S16):
        assert (dtype in RULES[op].dtypes) == bool(kinds & {None, str(dtype)})
    assert (RULES[op].follows is Follows.FIXED) == bool(RULES[op].fixed)
