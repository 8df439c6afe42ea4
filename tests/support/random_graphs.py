"""Random networks: several operators deep, with branches, joins, constants and odd sizes.

`random_graph(seed, dtype)` is deterministic, so that a failing seed is a test fixture. Quantization
is drawn so that values neither vanish nor all saturate: a pass that drops a term must show in the
output. The shapes that passes look for (pad before conv, clamp after it, mul and add by constants,
residual add, chains of one-operand operators, constant subgraphs) are drawn on purpose.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from milliwatt.ir.attrs import (
    Attrs,
    ClampAttrs,
    Concat,
    Conv2d,
    Elementwise,
    FullyConnected,
    Mean,
    Pad,
    Pool2d,
    Quantize,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)
from milliwatt.ir.attrs.control import Part
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.fold import WEIGHT_AXIS
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type
from support.ops.core import CLAMPS, random_values, same_padding, size, some_clamp

Rng = np.random.Generator


class Builder:
    """Grows one graph; `values` are the nodes a later operator may read."""

    def __init__(self, seed: int, dtype: DType) -> None:
        self.rng = np.random.default_rng([seed, *dtype.value.encode()])
        self.dtype = dtype
        self.count = 0
        shape = (1, size(self.rng, 3, 9), size(self.rng, 3, 9), size(self.rng, 1, 6))
        self.inputs = [self.input(shape)]
        if self.rng.random() < 0.3:
            self.inputs.append(self.input(shape))
        self.values: list[Node] = list(self.inputs)

    def name(self, kind: str) -> str:
        """A fresh name."""
        self.count += 1
        return f"{kind}{self.count}"

    def quant(self, scale: float) -> Quant | None:
        """Quantization near `scale`, any zero point; None for floats."""
        if self.dtype.is_float:
            return None
        zero = int(self.rng.choice([-128, 0, size(self.rng, -100, 100)]))
        return Quant.per_tensor(scale * 2.0 ** self.rng.uniform(-0.5, 0.5), zero)

    def input(self, shape: tuple[int, ...]) -> Node:
        """A graph input."""
        return graph_input(shape, self.dtype, self.name("x"), self.quant(0.05))

    def pick(self, rank: int | None = None) -> Node:
        """A value to read: most often the newest, of `rank` axes if given."""
        fitting = [v for v in self.values if rank is None or len(v.type.shape) == rank]
        if not fitting:
            self.values.append(self.input((1, 4, 5, 3)))
            self.inputs.append(self.values[-1])
            return self.values[-1]
        if self.rng.random() < 0.7:
            return fitting[-1]
        return fitting[size(self.rng, 0, len(fitting) - 1)]

    def add(self, op: Op, src: tuple[Node, ...], attrs: Attrs) -> Node:
        """Append a node."""
        node = Node(op, src, attrs, self.name(str(op)))
        self.values.append(node)
        return node

    def parameters(self, x: Node, shape: tuple[int, ...], axis: int, fan_in: int) -> list[Node]:
        """Weight and, most often, bias."""
        channels = shape[axis]
        if self.dtype.is_float:
            values = (self.rng.standard_normal(shape) / math.sqrt(fan_in)).astype(np.float32)
            bias = self.rng.standard_normal(channels).astype(np.float32)
            nodes = [constant(values, self.name("w")), constant(bias, self.name("b"))]
        else:
            scales = 2.0 ** self.rng.uniform(-8, -5, channels)
            weight = self.rng.integers(-127, 128, shape).astype(np.int8)
            reach = 1 << 10
            bias = self.rng.integers(-reach, reach, channels).astype(np.int32)
            quant = Quant.per_axis(scales, axis)
            nodes = [constant(weight, self.name("w"), quant), constant(bias, self.name("b"))]
        return nodes if self.rng.random() < 0.8 else nodes[:1]

    def result_quant(self, x: Node, weight: Node, fan_in: int) -> Quant | None:
        """A result scale that the sums of products roughly fill."""
        if weight.type.quant is None:
            return None
        widest = max(weight.type.quant.scale)
        return self.quant(x.type.scale * widest * 40 * math.sqrt(fan_in))

    def graph(self, name: str) -> Graph:
        """Everything that nothing reads becomes an output."""
        read = {s for v in self.values for s in v.src}
        inputs = tuple(dict.fromkeys(self.inputs))
        outputs = tuple(v for v in self.values if v not in read and v not in inputs)
        return Graph(inputs, outputs, name=name)


def _window(b: Builder, x: Node, most: int = 3) -> tuple[tuple[int, int], tuple[int, int]]:
    """(kernel, stride) that fit the value."""
    height, width = x.type.shape[1:3]
    kernel = (size(b.rng, 1, min(most, height)), size(b.rng, 1, min(most, width)))
    return kernel, (size(b.rng, 1, 2), size(b.rng, 1, 2))


def _convolution(b: Builder, depthwise: bool) -> Node:
    x = b.pick(4)
    if b.rng.random() < 0.3:
        x = _pad(b, x)
    kernel, stride = _window(b, x)
    channels = x.type.shape[3]
    if depthwise:
        shape: tuple[int, ...] = (1, *kernel, channels * size(b.rng, 1, 2))
        axis, fan_in = 3, math.prod(kernel)
    else:
        shape = (size(b.rng, 1, 8), *kernel, channels)
        axis, fan_in = 0, math.prod(kernel) * channels
    padding = (0, 0, 0, 0)
    if b.rng.random() < 0.6:
        padding = same_padding(x.type.shape[1:3], kernel, stride, (1, 1))  # type: ignore[arg-type]
    parameters = b.parameters(x, shape, axis, fan_in)
    attrs = Conv2d(
        stride, padding, clamp=some_clamp(b.rng), quant=b.result_quant(x, parameters[0], fan_in)
    )
    op = Op.DEPTHWISE_CONV2D if depthwise else Op.CONV2D
    node = b.add(op, (x, *parameters), attrs)
    return _affine(b, node) if b.dtype.is_float and b.rng.random() < 0.3 else node


def _affine(b: Builder, x: Node) -> Node:
    """What batch normalization looks like: mul, then add or sub by a constant per channel."""
    channels = x.type.shape[-1]
    for op in (Op.MUL, Op.ADD if b.rng.random() < 0.5 else Op.SUB):
        other = constant(b.rng.standard_normal(channels).astype(np.float32), b.name("bn"))
        src = (x, other) if b.rng.random() < 0.7 else (other, x)
        x = b.add(op, src, Elementwise(some_clamp(b.rng)))
    return x


def _fully_connected(b: Builder) -> Node:
    x = b.pick()
    if len(x.type.shape) > 2:
        x = b.add(Op.RESHAPE, (x,), Reshape((1, x.type.size)))
    features = x.type.shape[-1]
    parameters = b.parameters(x, (size(b.rng, 1, 12), features), 0, features)
    quant = b.result_quant(x, parameters[0], features)
    return b.add(Op.FULLY_CONNECTED, (x, *parameters), FullyConnected(some_clamp(b.rng), quant))


def _pool(b: Builder) -> Node:
    x = b.pick(4)
    kernel, stride = _window(b, x)
    op = Op.MAX_POOL2D if b.rng.random() < 0.5 else Op.AVERAGE_POOL2D
    return b.add(op, (x,), Pool2d(kernel, stride, clamp=some_clamp(b.rng)))


def _mean(b: Builder) -> Node:
    x = b.pick(4)
    return b.add(Op.MEAN, (x,), Mean((1, 2), bool(b.rng.random() < 0.5), b.quant(x.type.scale / 2)))


def _join(b: Builder) -> Node:
    """add, sub or mul of two values of one shape, or of a value and a constant."""
    left = b.pick()
    same = [v for v in b.values if v.type.shape == left.type.shape and v is not left]
    if same and b.rng.random() < 0.8:
        right = same[size(b.rng, 0, len(same) - 1)]
    else:
        kind = graph_input(left.type.shape[-1:], b.dtype, "c", b.quant(0.05)).type
        right = constant(random_values(b.rng, kind), b.name("c"), kind.quant)
    op = (Op.ADD, Op.ADD, Op.SUB, Op.MUL)[size(b.rng, 0, 3)]
    scale = left.type.scale * right.type.scale * 64 if op is Op.MUL else left.type.scale * 1.5
    return b.add(op, (left, right), Elementwise(some_clamp(b.rng), b.quant(scale)))


def _residual(b: Builder) -> Node:
    """One or two convolutions (1x1 or same) plus their own input: what `fuse_add` looks for."""
    x = y = b.pick(4)
    channels = x.type.shape[3]
    for _ in range(1 if b.rng.random() < 0.3 else 2):
        side = 1 if b.rng.random() < 0.5 else 3
        fan_in = side * side * channels
        parameters = b.parameters(y, (channels, side, side, channels), 0, fan_in)
        quant = b.result_quant(y, parameters[0], fan_in)
        around = (side // 2, side // 2, side // 2, side // 2)
        attrs = Conv2d(padding=around, clamp=some_clamp(b.rng), quant=quant)
        y = b.add(Op.CONV2D, (y, *parameters), attrs)
    src = (y, x) if b.rng.random() < 0.5 else (x, y)
    scale = max(y.type.scale, x.type.scale)
    return b.add(Op.ADD, src, Elementwise(some_clamp(b.rng), b.quant(scale)))


def _concat(b: Builder) -> Node:
    x = b.pick()
    axis = size(b.rng, 0, len(x.type.shape) - 1)
    same = [v for v in b.values if (v.type.shape, v.type.quant) == (x.type.shape, x.type.quant)]
    parts = tuple(same[size(b.rng, 0, len(same) - 1)] for _ in range(size(b.rng, 1, 3)))
    return b.add(Op.CONCAT, parts, Concat(axis))


def _pad(b: Builder, x: Node | None = None) -> Node:
    x = x or b.pick()
    amounts = [(0, 0) for _ in x.type.shape]
    for axis in (1, 2) if len(x.type.shape) == 4 else (len(x.type.shape) - 1,):
        amounts[axis] = (size(b.rng, 0, 2), size(b.rng, 0, 2))
    value = None
    if b.rng.random() < 0.3:
        value = 3.0
    return b.add(Op.PAD, (x,), Pad(tuple(amounts), value))


def _move(b: Builder) -> Node:
    """reshape or transpose, sometimes to where it was."""
    x = b.pick()
    if b.rng.random() < 0.5:
        shape = x.type.shape if b.rng.random() < 0.3 else (1, x.type.size)
        return b.add(Op.RESHAPE, (x,), Reshape(shape))
    perm = tuple(int(p) for p in b.rng.permutation(len(x.type.shape)))
    if len(x.type.shape) == 4:
        perm = (0, 2, 1, 3) if b.rng.random() < 0.5 else (0, 1, 2, 3)
    return b.add(Op.TRANSPOSE, (x,), Transpose(perm))


def _clamp(b: Builder) -> Node:
    x = b.pick()
    quant = x.type.quant if b.rng.random() < 0.6 else b.quant(x.type.scale)
    return b.add(Op.CLAMP, (x,), ClampAttrs(CLAMPS[size(b.rng, 0, 3)], quant))


def _unary(b: Builder) -> Node:
    x = b.pick()
    op = (Op.LOGISTIC, Op.TANH, Op.SOFTMAX)[size(b.rng, 0, 2)]
    return b.add(op, (x,), Softmax() if op is Op.SOFTMAX else Unary())


def _requantize(b: Builder) -> Node:
    """Another scale in s8; in f32 a round trip through s8 has no place, so a clamp stands in."""
    if b.dtype.is_float:
        return _clamp(b)
    x = b.pick()
    quant = b.quant(x.type.scale)
    assert quant is not None
    if b.rng.random() < 0.5:
        return b.add(Op.REQUANTIZE, (x,), Quantize(DType.S8, quant))
    real = b.add(Op.DEQUANTIZE, (x,), Attrs())
    if b.rng.random() < 0.5:
        real = b.add(Op.TANH, (real,), Unary())
    b.values = [v for v in b.values if v.type.dtype is b.dtype]
    return b.add(Op.QUANTIZE, (real,), Quantize(DType.S8, quant))


def _constants(b: Builder) -> Node:
    """A subgraph of constants that joins the rest: clamp(c) + x."""
    x = b.pick()
    kind = graph_input(x.type.shape, b.dtype, "c", b.quant(0.05)).type
    c = constant(random_values(b.rng, kind), b.name("c"), kind.quant)
    clamped = Node(Op.CLAMP, (c,), ClampAttrs(CLAMPS[1], kind.quant), b.name("clamp"))
    return b.add(Op.ADD, (clamped, x), Elementwise(quant=b.quant(x.type.scale * 1.5)))


_STEPS: tuple[tuple[Callable[[Builder], Node], float], ...] = (
    (lambda b: _convolution(b, depthwise=False), 4),
    (lambda b: _convolution(b, depthwise=True), 3),
    (_residual, 2),
    (_fully_connected, 2),
    (_pool, 2),
    (_join, 3),
    (_clamp, 2),
    (_requantize, 2),
    (_concat, 1),
    (_pad, 1),
    (_move, 1),
    (_mean, 1),
    (_unary, 1),
    (_constants, 1),
)


def grow(b: Builder, steps: int) -> None:
    """Append `steps` operators or small patterns of them."""
    weights = np.array([w for _, w in _STEPS])
    for index in b.rng.choice(len(_STEPS), steps, p=weights / weights.sum()):
        _STEPS[index][0](b)


def random_graph(seed: int, dtype: DType, steps: int = 8) -> Graph:
    """Network number `seed` with `steps` operators or small patterns of them."""
    b = Builder(seed, dtype)
    grow(b, steps)
    return b.graph(f"random_{dtype}_{seed}")


def with_f16_weights(graph: Graph) -> Graph:
    """The graph of floats with the weights of its products stored in f16, a DEQUANTIZE behind."""

    def rule(node: Node) -> Node | None:
        if node.op not in WEIGHT_AXIS or not node.src[1].is_constant:
            return None
        x, weight, *bias = node.src
        half = constant(weight.value.astype(np.float16), f"{node.name}.f16")
        real = Node(Op.DEQUANTIZE, (half,), Attrs(), f"{node.name}.f32")
        return Node(node.op, (x, real, *bias), node.attrs, node.name)

    return graph.rewrite(rule)


def with_ring(graph: Graph, seed: int) -> Graph:
    """The graph with a ring buffer behind its first output: the last positions are kept."""
    rng = np.random.default_rng(seed)
    fresh = graph.outputs[0]
    axis = size(rng, 0, len(fresh.type.shape) - 1)
    new, kept = fresh.type.shape[axis], size(rng, 1, 5)
    shape = tuple(kept if a == axis else n for a, n in enumerate(fresh.type.shape))
    kind = Type(shape, fresh.type.dtype, fresh.type.quant)
    held = state(random_values(rng, kind), "ring", kind.quant)
    joined = Node(Op.CONCAT, (held, fresh), Concat(axis), "ring.window")
    begin = tuple(new if a == axis else 0 for a in range(len(shape)))
    cut = StridedSlice(begin, shape, (1,) * len(shape))
    recent = Node(Op.STRIDED_SLICE, (joined,), cut, "ring.recent")
    return Graph(graph.inputs, (*graph.outputs, joined), ((held, recent),), graph.name)


def _with_states(b: Builder) -> list[Node]:
    """One to four states that operators read; some share one type, some begin as one byte."""
    made: list[Node] = []
    for _ in range(size(b.rng, 1, 4)):
        if made and b.rng.random() < 0.5:
            kind = made[-1].type
        elif b.rng.random() < 0.5:
            kind = b.inputs[0].type
        else:
            shape = (1, size(b.rng, 1, 6), size(b.rng, 1, 6), size(b.rng, 1, 4))
            kind = graph_input(shape, b.dtype, "s", b.quant(0.05)).type
        value = random_values(b.rng, kind)
        if b.rng.random() < 0.5:
            value = np.full_like(value, 0 if b.rng.random() < 0.5 else value.flat[0])
        made.append(state(value, b.name("state"), kind.quant))
    b.values += made
    return made


def _next_value(b: Builder, held: Node) -> Node:
    """What a state becomes: something computed, or just another value, or itself."""
    kind, choice = held.type, b.rng.random()
    same = [v for v in [*b.values, *b.inputs] if v.type == kind]
    if choice < 0.3:
        return same[size(b.rng, 0, len(same) - 1)]
    if choice < 0.4:
        return constant(random_values(b.rng, kind), b.name("c"), kind.quant)
    if choice < 0.5 and not b.dtype.is_float:
        packet = graph_input((16 + kind.nbytes,), DType.U8, b.name("packet"))
        b.inputs.append(packet)
        return Node(Op.PART, (packet,), Part(8 * size(b.rng, 0, 2), kind), b.name("part"))
    if choice < 0.6:
        flat = Node(Op.RESHAPE, (same[0],), Reshape((kind.size,)), b.name("flat"))
        return Node(Op.RESHAPE, (flat,), Reshape(kind.shape), b.name("back"))
    operands = [v for v in b.values if v.type.shape == kind.shape]
    other = operands[size(b.rng, 0, len(operands) - 1)]
    src = (held, other) if b.rng.random() < 0.5 else (other, held)
    return b.add(Op.ADD, src, Elementwise(some_clamp(b.rng), kind.quant))


def random_stateful(seed: int, dtype: DType, steps: int = 6) -> Graph:
    """Network number `seed` with states: read anywhere, updated by anything of their type."""
    b = Builder(seed + 7_000_000, dtype)
    states = _with_states(b)
    grow(b, steps)
    updates = tuple((held, _next_value(b, held)) for held in states)
    plain = b.graph(f"stateful_{dtype}_{seed}")
    kept = tuple(s for s in states if b.rng.random() < 0.3 or s in plain.outputs)
    news = tuple(new for _, new in updates if b.rng.random() < 0.3)
    computed = tuple(v for v in plain.outputs if v not in states)
    outputs = tuple(dict.fromkeys([*computed, *kept, *news])) or (states[0],)
    return Graph(plain.inputs, outputs, updates, name=plain.name)
