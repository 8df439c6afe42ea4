"""Turn a float graph with known ranges into an s8 graph by the TFLite int8 specification.

Two steps: `choose` gives every float value its quantization, `Writer` rebuilds the graph with it.
Source: TensorFlow Lite 8-bit quantization specification (weights symmetric in [-127, 127] per
output channel, activations asymmetric, biases s32 with scale s_x * s_w, fixed results of softmax,
logistic and tanh, values that only move keep their quantization).
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import (
    Attrs,
    Concat,
    Conv2d,
    FullyConnected,
    Pad,
    Quantize,
)
from milliwatt.ir.fold import WEIGHT_AXIS, unique_names
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.activation import PROBABILITY, SIGNED_UNIT
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.types import DType, Quant, Type

Range = tuple[float, float]
Edges = Literal["s8", "f32"]

# Operators whose result keeps the quantization of its operand.
FOLLOW = (Op.MAX_POOL2D, Op.AVERAGE_POOL2D, Op.RESHAPE, Op.TRANSPOSE, Op.PAD)
# Operators that move values without computing: worth no conversion of their own.
MOVES = (Op.MAX_POOL2D, Op.RESHAPE, Op.TRANSPOSE, Op.PAD, Op.CONCAT)
FIXED = {Op.SOFTMAX: PROBABILITY, Op.LOGISTIC: PROBABILITY, Op.TANH: SIGNED_UNIT}
FREE = (
    *WEIGHT_AXIS,
    *(Op.MEAN, Op.ADD, Op.SUB, Op.MUL, Op.CLAMP, Op.INPUT),
)
# Operators that compute: those that accuracy control may leave in f32.
LAYERS = (*(op for op in FREE if op is not Op.INPUT), Op.AVERAGE_POOL2D, *FIXED)

WEIGHT_LIMIT = 127
# Scale of a value that was 0 on every sample, and the smallest scale of any other: the product of
# two scales must stay a normal float32.
ZERO_RANGE_SCALE, LEAST_SCALE = 1e-6, 2.0**-60
# A channel's multiplier s_x * s_w / s_out is kept at 2**-16 or more: dead channels keep their bias.
LEAST_MULTIPLIER = 2.0**-16
BIAS_LIMIT = 2**30
# From an input scale of 8 on the kernels of logistic and tanh read even real 0 as saturated; both
# are flat beyond 8. Above the second scale requantize itself would overflow.
SATURATED, COARSE_SCALES = 8.0, (4.0, 2.0**16)


def affine(low: float, high: float, least: float = 0.0) -> Quant:
    """Asymmetric s8 quantization whose range holds low, high and 0; `least` bounds the scale below.

    The zero point is an integer in [-128, 127], so real 0 is exact.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    natural = (high - low) / 255 or ZERO_RANGE_SCALE
    scale = float(np.float32(max(natural, least, LEAST_SCALE)))
    return Quant.per_tensor(scale, int(np.clip(np.round(-128 - low / scale), -128, 127)))


def choose(graph: Graph, ranges: Mapping[str, Range]) -> dict[Node, Quant]:
    """The s8 quantization of every float value of `graph`, constants included."""
    groups = _Groups(graph, ranges)
    return {node: groups.quant(node) for node in groups.root}


class _Groups:
    """Values that must share one quantization, each group with its range and smallest scale."""

    def __init__(self, graph: Graph, ranges: Mapping[str, Range]) -> None:
        self.root: dict[Node, Node] = {}
        self.fixed: dict[Node, Quant] = {}
        self.range: dict[Node, Range] = {}
        self.least: dict[Node, float] = {}
        nodes = list(graph.nodes())
        for node in nodes:
            self._place(node, ranges)
        for node in nodes:
            root = self.find(node)
            self.least[root] = max(self.least.get(root, 0.0), self._least_scale(node))

    def find(self, node: Node) -> Node:
        """The group of a node, by its representative."""
        while self.root[node] is not node:
            node = self.root[node]
        return node

    def quant(self, node: Node) -> Quant:
        """The quantization of the node's group."""
        root = self.find(node)
        return self.fixed.get(root) or affine(*self.range[root], self.least.get(root, 0.0))

    def _place(self, node: Node, ranges: Mapping[str, Range]) -> None:
        self.root[node] = node
        if node.is_constant:
            self.range[node] = (float(node.value.min()), float(node.value.max()))
        elif node.op in FOLLOW:
            self.root[node] = root = self.find(node.src[0])
            # A border of -inf before max_pool2d needs no range: it saturates.
            if isinstance(node.attrs, Pad) and np.isfinite(node.attrs.value or 0.0):
                self._widen(root, (node.attrs.value or 0.0, node.attrs.value or 0.0))
        else:
            self.range[node] = ranges[node.name]
            if node.op in FIXED:
                self.fixed[node] = FIXED[node.op]
            elif node.op is Op.CONCAT:
                self._join(node)

    def _widen(self, root: Node, more: Range) -> None:
        low, high = self.range[root]
        self.range[root] = (min(low, more[0]), max(high, more[1]))

    def _join(self, concat: Node) -> None:
        """Operands of a concat share its group; the fixed ones stay apart (requantize)."""
        roots = [self.find(operand) for operand in concat.src]
        same = {self.fixed.get(root) for root in roots}
        if len(same) == 1 and None not in same:
            self.root[concat] = roots[0]
            return
        for root in roots:
            if root not in self.fixed and root is not concat:
                self._widen(concat, self.range[root])
                self.root[root] = concat

    def _least_scale(self, node: Node) -> float:
        """Smallest result scale at which the integer kernel has no left shift to overflow in.

        Below it the result would be finer than the sum it is made from: nothing is lost.
        """
        if node.op in FIXED or node.op in FOLLOW or node.op is Op.CONCAT or not node.src:
            return 0.0
        scales = [self.quant(operand).scale[0] for operand in node.src]
        if node.op in WEIGHT_AXIS:
            largest = float(np.abs(_real(node, 1)).max())
            offset = float(np.abs(_real(node, 2)).max()) if len(node.src) > 2 else 0.0
            return max(scales[0] * largest / WEIGHT_LIMIT, offset / BIAS_LIMIT)
        if node.op is Op.MUL:
            return scales[0] * scales[1]
        if node.op in (Op.ADD, Op.SUB):
            return 2 * max(scales) / (1 << 20)
        if node.op is Op.MEAN:
            return scales[0] * node.type.size / node.src[0].type.size
        return scales[0] * LEAST_MULTIPLIER


def _real(node: Node, operand: int) -> np.ndarray:
    """Value of a weight or bias; UnsupportedOp where it is not a constant."""
    source, role = node.src[operand], "weight" if operand == 1 else "bias"
    if not source.is_constant:
        raise UnsupportedOp(
            f"{node.name} ({node.op}): {role} {source.name} is computed at run time; "
            "a constant wanted"
        )
    return source.value


def quantize_weight(
    weight: np.ndarray, axis: int, x_scale: float, out_scale: float, bias: np.ndarray | None
) -> tuple[np.ndarray, Quant]:
    """Symmetric s8 weight in [-127, 127] and its scales, one per index of `axis`.

    A channel's scale is max |w| / 127, raised where its multiplier would underflow (all zeros, dead
    channels) or its bias would not fit 2**30 at scale x_scale * scale.
    """
    others = tuple(a for a in range(weight.ndim) if a != axis)
    natural = np.abs(weight).max(axis=others).astype(np.float64) / WEIGHT_LIMIT
    scales = np.maximum(natural, max(LEAST_MULTIPLIER * out_scale / x_scale, LEAST_SCALE))
    if bias is not None:
        scales = np.maximum(scales, np.abs(bias.astype(np.float64)) / (x_scale * BIAS_LIMIT))
    quant = Quant.per_axis(scales, axis)
    shape = [1] * weight.ndim
    shape[axis] = -1
    steps = weight.astype(np.float64) / quant.scales.astype(np.float64).reshape(shape)
    rounded = np.sign(steps) * np.floor(np.abs(steps) + 0.5)
    return np.clip(rounded, -WEIGHT_LIMIT, WEIGHT_LIMIT).astype(np.int8), quant


def quantize_bias(bias: np.ndarray, x_scale: float, weight: Quant) -> tuple[np.ndarray, Quant]:
    """s32 bias [channels] at scale x_scale * weight scale."""
    quant = Quant.per_axis(weight.scales.astype(np.float64) * x_scale, 0)
    steps = bias.astype(np.float64) / quant.scales.astype(np.float64)
    return (np.sign(steps) * np.floor(np.abs(steps) + 0.5)).astype(np.int32), quant


@dataclass(frozen=True)
class Both:
    """A value in the new graph: made as s8 or f32, and converted to the other where read so."""

    s8: Node | None = None
    f32: Node | None = None


class Writer:
    """Rebuild `graph` with the quantizations `quants`, leaving the nodes named in `keep` in f32."""

    def __init__(
        self, graph: Graph, quants: Mapping[Node, Quant], keep: Set[str], edges: Edges
    ) -> None:
        self.graph, self.quants, self.edges = graph, quants, edges
        self.floating = _floating(graph, keep, edges)
        self.done: dict[Node, Both] = {}
        self.constants: dict[tuple[Node, Quant], Node] = {}

    def write(self) -> Graph:
        """The new graph; names of nodes stay, conversions are `<name>.quantize` and so on."""
        for node in self.graph.nodes():
            if node.is_constant:
                continue
            quant = self.quants[node]
            if node.op is Op.INPUT:
                self.done[node] = self._input(node, quant)
            elif node in self.floating:
                src = tuple(s if s.is_constant else self.as_f32(s) for s in node.src)
                self.done[node] = Both(f32=Node(node.op, src, node.attrs, node.name))
            else:
                src, attrs = self._operands(node, quant)
                self.done[node] = Both(s8=Node(node.op, src, attrs, node.name))
        inputs = [self.done[n] for n in self.graph.inputs]
        ends = [self.as_s8(n) if self.edges == "s8" else self.as_f32(n) for n in self.graph.outputs]
        starts = [both.s8 if self.edges == "s8" else both.f32 for both in inputs]
        return unique_names(Graph(tuple(s for s in starts if s), tuple(ends), (), self.graph.name))

    def _input(self, node: Node, quant: Quant) -> Both:
        if self.edges == "f32":
            return Both(f32=node)
        return Both(s8=graph_input(node.type.shape, DType.S8, node.name, quant))

    def as_s8(self, node: Node, quant: Quant | None = None) -> Node:
        """The s8 form of a value, converted where needed; requantized where `quant` differs."""
        if node.is_constant:
            return self._constant(node, quant or self.quants[node])
        both = self.done[node]
        if both.s8 is None:
            assert both.f32 is not None
            attrs = Quantize(DType.S8, self.quants[node])
            s8 = Node(Op.QUANTIZE, (both.f32,), attrs, f"{node.name}.quantize")
            self.done[node] = both = replace(both, s8=s8)
        assert both.s8 is not None
        if quant is None or both.s8.type.quant == quant:
            return both.s8
        return Node(Op.REQUANTIZE, (both.s8,), Quantize(DType.S8, quant), f"{node.name}.requantize")

    def as_f32(self, node: Node) -> Node:
        """The f32 form of a value, dequantized where needed."""
        if node.is_constant:
            return node
        both = self.done[node]
        if both.f32 is None:
            assert both.s8 is not None
            f32 = Node(Op.DEQUANTIZE, (both.s8,), Attrs(), f"{node.name}.dequantize")
            self.done[node] = both = replace(both, f32=f32)
        assert both.f32 is not None
        return both.f32

    def _constant(self, node: Node, quant: Quant) -> Node:
        if (node, quant) not in self.constants:
            value = quantize_array(node.value, Type(node.type.shape, DType.S8, quant))
            self.constants[node, quant] = constant(value, node.name, quant)
        return self.constants[node, quant]

    def _operands(self, node: Node, quant: Quant) -> tuple[tuple[Node, ...], Attrs]:
        """Operands and attributes of the s8 form of `node`."""
        attrs = node.attrs
        if isinstance(attrs, Conv2d | FullyConnected):
            return self._weighted(node, quant), replace(attrs, quant=quant)
        if isinstance(attrs, Concat):
            return tuple(self.as_s8(s, quant) for s in node.src), attrs
        src = tuple(self.as_s8(s) for s in node.src)
        if node.op in (Op.LOGISTIC, Op.TANH):
            low, high = COARSE_SCALES
            if low <= src[0].type.scale <= high:
                src = (self.as_s8(node.src[0], affine(-SATURATED, SATURATED)),)
        if isinstance(attrs, Pad) and attrs.value is not None:
            filled = quantize_array(np.array(attrs.value), Type((), DType.S8, quant))
            return src, replace(attrs, value=int(filled))
        if node.op in FOLLOW or node.op in FIXED:
            return src, attrs
        return src, replace(attrs, quant=quant)  # type: ignore[call-arg]

    def _weighted(self, node: Node, quant: Quant) -> tuple[Node, ...]:
        x = self.as_s8(node.src[0])
        bias = _real(node, 2) if len(node.src) > 2 else None
        weight, scales = quantize_weight(
            _real(node, 1), WEIGHT_AXIS[node.op], x.type.scale, quant.scale[0], bias
        )
        made = [self._shared(node.src[1], weight, scales)]
        if bias is not None:
            made.append(self._shared(node.src[2], *quantize_bias(bias, x.type.scale, scales)))
        return (x, *made)

    def _shared(self, source: Node, value: np.ndarray, quant: Quant) -> Node:
        """One constant for all users of `source` that came to the same quantization."""
        if (source, quant) not in self.constants:
            self.constants[source, quant] = constant(value, source.name, quant)
        return self.constants[source, quant]


def _floating(graph: Graph, keep: Set[str], edges: Edges) -> set[Node]:
    """Nodes to leave in f32: those in `keep`, and what only moves values from float to float."""
    kept = {node for node in graph.nodes() if node.name in keep}
    users = graph.users()
    moves = [n for n in graph.nodes() if n.op in MOVES]
    ends = set(graph.outputs) if edges == "s8" else set()

    def float_users() -> set[Node]:
        after: set[Node] = set()
        for node in reversed(moves):
            if node not in ends and all(u in kept or u in after for u in users[node]):
                after.add(node)
        return after

    before = set(graph.inputs) if edges == "f32" else set()
    for node in moves:
        if all(s.is_constant or s in kept or s in before for s in node.src):
            before.add(node)
    return kept | (before & float_users())


def to_int8(
    graph: Graph, ranges: Mapping[str, Range], *, keep: Set[str] = frozenset(), edges: Edges = "s8"
) -> Graph:
    """The s8 form of a float graph whose values' real ranges are known by name.

    keep: names of nodes to leave in f32. edges: element type of the graph's inputs and outputs.
    UnsupportedOp names a node without an s8 form.
    """
    for node in graph.nodes():
        known = node.op in FREE or node.op in FIXED or node.op in FOLLOW
        if not (known or node.op is Op.CONCAT or node.is_constant):
            raise UnsupportedOp(
                f"{node.name} ({node.op}): has no s8 form; quantize before compiling"
            )
    return Writer(graph, choose(graph, ranges), keep, edges).write()
