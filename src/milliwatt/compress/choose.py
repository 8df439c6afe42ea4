"""Choose the quantization of every float value from its range: one grid a group of values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from milliwatt.compress.rules import (
    RULES,
    S8,
    S16,
    WEIGHTED,
    Follows,
    follows,
    has_form,
    is_plain,
    shares,
)
from milliwatt.ir.attrs import Pad
from milliwatt.ir.attrs.control import Part, State, bundle_type
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.elementwise import ADD_LEFT_SHIFT
from milliwatt.ir.ops.pointwise import DIFFERENCE_LEFT_SHIFT
from milliwatt.ir.types import DType, Quant

Range = tuple[float, float]

WEIGHT_LIMIT = 127
# Scale of a value that was 0 on every sample, and the smallest scale of any other: the product of
# two scales must stay a normal float32.
ZERO_RANGE_SCALE, LEAST_SCALE = 1e-6, 2.0**-60
# A channel's multiplier s_x * s_w / s_out is kept at 2**-16 or more: dead channels keep their bias.
LEAST_MULTIPLIER = 2.0**-16
# Biases in steps of s_x * s_w, by the element type of the activations.
BIAS_LIMIT = {S8: 2**30, S16: 2**38}
# Finest result against its operand: s16 values raised by more would leave 32 bits.
FINEST = {S8: LEAST_MULTIPLIER, S16: 2.0**-14}
# Above a quotient of two scales, so that its multiplier has no left shift.
ABOVE = 1.001


def affine(low: float, high: float, least: float = 0.0) -> Quant:
    """Asymmetric s8 quantization whose range holds low, high and 0; `least` bounds the scale below.

    The zero point is an integer in [-128, 127], so real 0 is exact.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    natural = (high - low) / 255 or ZERO_RANGE_SCALE
    scale = float(np.float32(max(natural, least, LEAST_SCALE)))
    return Quant.per_tensor(scale, int(np.clip(np.round(-128 - low / scale), -128, 127)))


def symmetric(low: float, high: float, least: float = 0.0) -> Quant:
    """Symmetric s16 quantization, zero point 0, whose range holds low and high."""
    natural = max(abs(low), abs(high)) / 32767 or ZERO_RANGE_SCALE
    return Quant.per_tensor(max(natural, least, LEAST_SCALE))


def grid(dtype: DType, low: float, high: float, least: float = 0.0) -> Quant:
    """The quantization of activations of `dtype` over a real range."""
    return (affine if dtype is S8 else symmetric)(low, high, least)


class Choice:
    """The quantization of every float value of a graph in one element type.

    Values that must share one quantization are a group, with its range and its smallest scale.
    """

    def __init__(self, graph: Graph, ranges: Mapping[str, Range], dtype: DType) -> None:
        self.dtype = dtype
        self.root: dict[Node, Node] = {}
        self._fixed: dict[Node, Quant] = {}
        self._range: dict[Node, Range] = {}
        self._least: dict[Node, float] = {}
        self._shared: dict[Node, Node] = {}
        self._results: dict[Node, tuple[Node, ...]] = {}
        nodes = list(nodes_inside(graph))
        for held, new in graph.updates:
            if isinstance(held.attrs, State) and not is_plain(held):
                first = held.attrs.value
                self._begin_state(held, new, (float(first.min()), float(first.max())))
        for node in graph.nodes():
            self._place(node, ranges)
        for held, new in graph.updates:
            self._end_state(held, new)
        # Twice: a group that a later value of it made coarser is an operand of earlier ones.
        for node in (*nodes, *nodes):
            if node in self.root:
                root = self.find(node)
                self._least[root] = max(self._least.get(root, 0.0), self._least_scale(node))

    def find(self, node: Node) -> Node:
        """The group of a value, by its representative."""
        while self.root[node] is not node:
            node = self.root[node]
        return node

    def quant(self, node: Node) -> Quant:
        """The quantization of a value."""
        root = self.find(node)
        return self._fixed.get(root) or grid(
            self.dtype, *self._range[root], self._least.get(root, 0.0)
        )

    def shared(self, node: Node) -> Quant:
        """The one quantization of the operands that `shares` names."""
        return self.quant(self._shared[node])

    def _place(self, node: Node, ranges: Mapping[str, Range]) -> None:
        source = follows(node, self.dtype)
        if source is not Follows.JOINED and shares(node, self.dtype):
            self._share(node)
        if isinstance(node.attrs, Scan):
            self._place_scan(node, node.attrs, ranges)
        if source is Follows.NONE or node in self.root:
            return
        result = scan_result(node)
        if result is not None:
            self.root[node] = self.find(self._results[node.src[0]][result])
            return
        self.root[node] = node
        if node.is_constant:
            self._range[node] = (float(node.value.min()), float(node.value.max()))
        elif source is Follows.FIRST:
            self.root[node] = root = self.find(node.src[0])
            # A border of -inf before max_pool2d needs no range: it saturates.
            if isinstance(node.attrs, Pad) and np.isfinite(node.attrs.value or 0.0):
                self._widen(root, (node.attrs.value or 0.0, node.attrs.value or 0.0))
        else:
            self._range[node] = ranges[node.name]
            if source is Follows.FIXED and self.dtype in RULES[node.op].fixed:
                self._fixed[node] = RULES[node.op].fixed[self.dtype]
            elif source is Follows.JOINED:
                self._join(node)

    def _widen(self, root: Node, more: Range) -> None:
        low, high = self._range[root]
        self._range[root] = (min(low, more[0]), max(high, more[1]))

    def _merge(self, root: Node, other: Node) -> None:
        """Make one group of two."""
        self._widen(root, self._range[other])
        self.root[other] = root

    def _join(self, node: Node) -> None:
        """Operands share the result's group; those of a fixed quantization stay apart."""
        roots = [self.find(node.src[i]) for i in shares(node, self.dtype)]
        same = {self._fixed.get(root) for root in roots}
        if len(same) == 1 and None not in same:
            self.root[node] = roots[0]
        for root in roots:
            if root not in self._fixed and root is not self.find(node):
                self._merge(node, self.find(root))
        self._shared[node] = node

    def _share(self, node: Node) -> None:
        """Operands share one group; the widest fixed quantization where they have no other."""
        roots = [self.find(node.src[i]) for i in shares(node, self.dtype)]
        free = [root for root in roots if root not in self._fixed]
        if not free:
            self._shared[node] = max(roots, key=lambda root: self._fixed[root].scale[0])
            return
        for root in roots:
            if root not in self._fixed and self.find(root) is not self.find(free[0]):
                self._merge(self.find(free[0]), self.find(root))
            elif root in self._fixed:
                self._widen(self.find(free[0]), self._range[root])
        self._shared[node] = free[0]

    def _place_scan(self, node: Node, attrs: Scan, ranges: Mapping[str, Range]) -> None:
        """The body's inputs follow the operands; a carried value and its next one are a state."""
        body, end = attrs.body, attrs.sequences + attrs.states
        carried = body.inputs[attrs.sequences : end]
        positions, news = split_outputs(attrs)
        pairs = dict(zip(carried, news, strict=True))
        for inner, operand in zip(body.inputs, node.src, strict=True):
            if is_plain(inner):
                continue
            root = self.find(operand)
            if inner in pairs:
                self._begin_state(inner, pairs[inner], self._range[root])
            else:
                self.root[inner] = root
        for inner in body.nodes():
            self._place(inner, ranges)
        for held, new in pairs.items():
            self._end_state(held, new)
        self._results[node] = (*positions, *carried)

    def _begin_state(self, held: Node, new: Node, first: Range) -> None:
        """A state is in a group from the start; a fixed one if its next value always is."""
        self.root[held] = held
        self._range[held] = low, high = first
        quant = _fixed_of(new, held, self.dtype)
        if quant is not None:
            least, most = self.dtype.limits
            zero, scale = quant.zero_point[0], quant.scale[0]
            if (least - zero) * scale <= low and high <= (most - zero + 1) * scale:
                self._fixed[held] = quant

    def _end_state(self, held: Node, new: Node) -> None:
        """A state and its next value are one group, where neither is fixed."""
        if is_plain(held):
            return
        roots = self.find(held), self.find(new)
        if roots[0] is roots[1] or roots[0] in self._fixed:
            return
        if roots[1] in self._fixed:
            self._widen(roots[0], self._range[roots[1]])
        else:
            self._merge(*roots)

    def _least_scale(self, node: Node) -> float:
        """Smallest result scale at which the integer kernel has no left shift to overflow in.

        Below it the result would be finer than the sum it is made from: nothing is lost.
        """
        if not has_form(node, self.dtype) or follows(node, self.dtype) is not Follows.OWN:
            return 0.0
        scales = [self.quant(s).scale[0] for s in node.src]
        if node.op in WEIGHTED:
            largest = float(np.abs(node.src[1].value).max())
            offset = float(np.abs(node.src[2].value).max()) if len(node.src) > 2 else 0.0
            return max(scales[0] * largest / WEIGHT_LIMIT, offset / BIAS_LIMIT[self.dtype])
        return _least(node, self.dtype, scales)


def _least(node: Node, dtype: DType, scales: list[float]) -> float:
    """The smallest scale of a result without weights, from its operands' scales."""
    if node.op in (Op.MUL, Op.BATCH_MATMUL):
        return ABOVE * scales[0] * scales[1]
    if node.op in (Op.ADD, Op.SUB):
        return ABOVE * 2 * max(scales) / (1 << ADD_LEFT_SHIFT[dtype])
    if node.op is Op.ADD_N:
        return ABOVE * 2 * len(scales) * scales[0] / (1 << ADD_LEFT_SHIFT[dtype])
    if node.op is Op.SQUARED_DIFFERENCE:
        left = DIFFERENCE_LEFT_SHIFT if dtype is S8 else 0
        return ABOVE * (2 * max(scales)) ** 2 / (1 << 2 * left)
    if node.op in (Op.SUM, Op.CUMSUM):
        return ABOVE * scales[0]
    if node.op is Op.MEAN:
        return scales[0] * node.type.size / node.src[0].type.size
    if node.op is Op.PRELU:
        # Alpha in s8 has 256 steps where this element type has many more.
        steps = 1 << (dtype.bits - 8)
        return scales[0] * max(scales[1] * steps, 2.0**-6)
    if node.op is Op.HARD_SWISH:
        return ABOVE * scales[0] / 128
    return scales[0] * FINEST[dtype]


def nodes_inside(graph: Graph) -> Iterator[Node]:
    """Every node of a graph, those of the bodies of scans before the scan."""
    for node in graph.nodes():
        if isinstance(node.attrs, Scan):
            yield from nodes_inside(node.attrs.body)
        yield node


def split_outputs(attrs: Scan) -> tuple[tuple[Node, ...], tuple[Node, ...]]:
    """Outputs of a scan's body: the results of a position, the next values of what is carried."""
    outputs = attrs.body.outputs
    count = len(outputs) - attrs.states
    return outputs[:count], outputs[count:]


def scan_result(node: Node) -> int | None:
    """Which result of a scan `node` is; None where it is none."""
    if not isinstance(node.attrs, Part) or not isinstance(node.src[0].attrs, Scan):
        return None
    _, offsets = bundle_type(node.src[0].attrs.results)
    return offsets.index(node.attrs.offset)


def _fixed_of(node: Node, held: Node, dtype: DType) -> Quant | None:
    """The fixed quantization that `node`, a chain of moves beside the state `held`, will have."""
    while follows(node, dtype) is Follows.FIRST:
        node = node.src[0]
    joined = shares(node, dtype)
    if joined and follows(node, dtype) is Follows.JOINED:
        others = [node.src[i] for i in joined if node.src[i] is not held]
        found = {_fixed_of(other, held, dtype) for other in others}
        return found.pop() if len(found) == 1 else None
    return RULES[node.op].fixed.get(dtype) if node.op in RULES else None
