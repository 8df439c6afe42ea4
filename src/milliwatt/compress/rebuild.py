"""Rebuild a float graph in integers: every operator in the element type that was chosen for it.

Where an operator reads a value in another type than it was made in, a conversion goes in between:
quantize, dequantize or requantize.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import Literal

import numpy as np

from milliwatt.compress.choose import Choice, Range, grid, scan_result
from milliwatt.compress.rules import (
    F32,
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
from milliwatt.compress.weights import quantize_bias, quantize_weight
from milliwatt.ir.attrs import Attrs, Pad, Quantize
from milliwatt.ir.attrs.control import Part, State, bundle_type
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node, constant, graph_input, state
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.quantization import quantize_array
from milliwatt.ir.ops.tables16 import LARGEST_SCALE
from milliwatt.ir.types import DType, Quant, Type

Edges = Literal["s8", "s16", "f32"]
Ranges = Mapping[DType, Mapping[str, Range]]

_RANK = {S8: 0, S16: 1, F32: 2}
# From an input scale of 8 on the s8 kernels of logistic and tanh read even real 0 as saturated, and
# the s16 ones have no multiplier; both functions are flat beyond 8. Above the second scale
# requantize itself would overflow, and so it would where it made more than 2**14 steps of one.
SATURATED = 8.0
COARSE_SCALES = {S8: (4.0, 2.0**16), S16: (LARGEST_SCALE, 2.0**14 * LARGEST_SCALE)}
FINEST_S16 = 2.0**-14


def levels(
    graph: Graph, base: DType, chosen: Mapping[str, DType], edges: DType
) -> dict[Node, DType]:
    """The element type of every node but constants: `chosen` by name, else `base`.

    An operator without a form in its type is f32. What only moves values, and a state, takes the
    widest type among what it is made from, but none wider than the widest that reads it.
    """
    users = graph.users()
    next_values = dict(graph.updates)
    level: dict[Node, DType] = {}
    made_of: dict[Node, list[Node]] = {}
    read_by: dict[Node, list[Node]] = {}
    for node in graph.nodes():
        rule = RULES.get(node.op)
        if node.op is Op.STATE or (rule is not None and rule.moves):
            made_of[node] = [next_values[node]] if node.op is Op.STATE else list(node.src)
            read_by[node] = list(users[node])
        elif node.op is Op.INPUT:
            level[node] = edges
        elif not node.is_constant:
            wanted = chosen.get(node.name, base)
            inside = scan_result(node) is not None
            known = level[node.src[0]] if inside else F32
            level[node] = wanted if has_form(node, wanted) else known
    for held, new in graph.updates:
        if new in read_by:
            read_by[new].append(held)
    ends = {node: edges for node in graph.outputs if node in made_of}
    before, after = _widest(made_of, level, {}), _widest(read_by, level, ends)
    for node in made_of:
        pair = (before.get(node, base), after.get(node, base))
        level[node] = min(pair, key=_RANK.__getitem__)
    return level


def _widest(
    beside: Mapping[Node, list[Node]], level: Mapping[Node, DType], first: Mapping[Node, DType]
) -> dict[Node, DType]:
    """The widest type among the nodes with a level that each of `beside` leads to.

    `beside` gives every node's neighbours on one side, others of its nodes among them, in circles
    where there are states. `first` are types to begin with.
    """
    widest = dict(first)
    changed = True
    while changed:
        changed = False
        for node, neighbours in beside.items():
            found = [widest.get(n) or level.get(n) for n in neighbours if not is_plain(n)]
            kinds = [kind for kind in (*found, widest.get(node)) if kind is not None]
            most = max(kinds, key=_RANK.__getitem__, default=None)
            if most is not widest.get(node):
                assert most is not None
                widest[node], changed = most, True
    return widest


class Choices(dict[DType, Choice]):
    """The quantizations of a graph's values, by element type, made when asked for."""

    def __init__(self, graph: Graph, ranges: Ranges) -> None:
        super().__init__()
        self._graph, self._ranges = graph, ranges

    def __missing__(self, dtype: DType) -> Choice:
        made = self[dtype] = Choice(self._graph, self._ranges[dtype], dtype)
        return made


class Rebuild:
    """One rebuilding of `graph`, or of the body of a scan in it: each node as `level` has it."""

    def __init__(
        self, graph: Graph, choice: Choices, level: Mapping[Node, DType], edges: DType
    ) -> None:
        self.graph, self.choice, self.level, self.edges = graph, choice, level, edges
        self.forms: dict[Node, dict[DType, Node]] = {}
        self.constants: dict[tuple[Node, DType, Quant], Node] = {}

    def graph_of(self, carried: tuple[Node, ...] = ()) -> Graph:
        """The new graph; names of nodes stay, conversions are `<name>.quantize` and so on.

        carried: of a scan's body, the inputs whose quantization its last outputs have.
        """
        for node in self.graph.nodes():
            if not node.is_constant:
                made = self._make(node)
                self.forms[node] = {made.type.dtype: made}
        inputs = [self._native(node) for node in self.graph.inputs]
        outputs = [self.read(*wanted) for wanted in self._wanted_outputs(carried)]
        updates = [self._update(held, new) for held, new in self.graph.updates]
        return unique_names(Graph(tuple(inputs), tuple(outputs), tuple(updates), self.graph.name))

    def _wanted_outputs(
        self, carried: tuple[Node, ...]
    ) -> Iterator[tuple[Node, DType, Quant | None]]:
        """Every output, in which element type and quantization."""
        first = len(self.graph.outputs) - len(carried)
        for index, node in enumerate(self.graph.outputs):
            held = None if index < first or is_plain(node) else carried[index - first]
            quant = self.choice[self.edges].quant(held) if held and self.edges is not F32 else None
            yield node, self.edges, quant

    def _native(self, node: Node) -> Node:
        return next(iter(self.forms[node].values()))

    def _update(self, held: Node, new: Node) -> tuple[Node, Node]:
        fresh = self._native(held)
        return fresh, self.read(new, fresh.type.dtype, fresh.type.quant)

    def _make(self, node: Node) -> Node:
        """`node` in its own element type."""
        dtype = self.level[node]
        if node.op is Op.INPUT:
            if dtype is F32:
                return node
            return graph_input(node.type.shape, dtype, node.name, self.choice[dtype].quant(node))
        if isinstance(node.attrs, State):
            return node if dtype is F32 or is_plain(node) else self._state(node, dtype)
        if isinstance(node.attrs, Scan) and dtype is not F32:
            return self._scan(node, node.attrs, dtype)
        result = scan_result(node)
        if result is not None:
            bundle = self._native(node.src[0])
            assert isinstance(bundle.attrs, Scan)
            results = bundle.attrs.results
            part = Part(bundle_type(results)[1][result], results[result])
            return Node(Op.PART, (bundle,), part, node.name)
        if dtype is F32:
            return Node(node.op, tuple(self.read(s, F32) for s in node.src), node.attrs, node.name)
        quant = None if is_plain(node) else self.choice[dtype].quant(node)
        return Node(
            node.op, self._operands(node, dtype), self._attrs(node, dtype, quant), node.name
        )

    def _scan(self, node: Node, attrs: Scan, dtype: DType) -> Node:
        """A scan whose body computes, and carries its states, in `dtype`."""
        body, end = attrs.body, attrs.sequences + attrs.states
        inside = Rebuild(body, self.choice, levels(body, dtype, {}, dtype), dtype)
        made = inside.graph_of(body.inputs[attrs.sequences : end])
        src = [
            self.read(s, dtype, None if is_plain(inner) else self.choice[dtype].quant(inner))
            for s, inner in zip(node.src, body.inputs, strict=True)
        ]
        return Node(node.op, tuple(src), replace(attrs, body=made), node.name)

    def _state(self, node: Node, dtype: DType) -> Node:
        assert isinstance(node.attrs, State)
        quant = self.choice[dtype].quant(node)
        first = quantize_array(node.attrs.value, Type(node.type.shape, dtype, quant))
        return state(first, node.name, quant)

    def read(self, node: Node, dtype: DType, quant: Quant | None = None) -> Node:
        """A value in `dtype`, converted where it was made in another one or `quant` differs."""
        if is_plain(node):
            return node if node.is_constant else self._native(node)
        if node.is_constant:
            return self._constant(node, dtype, quant)
        forms = self.forms[node]
        if dtype not in forms:
            forms[dtype] = self._converted(node, dtype)
        found = forms[dtype]
        if quant is None or found.type.quant == quant:
            return found
        return Node(Op.REQUANTIZE, (found,), Quantize(dtype, quant), f"{node.name}.requantize")

    def _converted(self, node: Node, dtype: DType) -> Node:
        source = self._native(node)
        if dtype is F32:
            return Node(Op.DEQUANTIZE, (source,), Attrs(), f"{node.name}.dequantize")
        op = Op.QUANTIZE if source.type.dtype is F32 else Op.REQUANTIZE
        attrs = Quantize(dtype, self.choice[dtype].quant(node))
        return Node(op, (source,), attrs, f"{node.name}.{op}")

    def _constant(self, node: Node, dtype: DType, quant: Quant | None = None) -> Node:
        if dtype is F32:
            return node
        quant = quant or self.choice[dtype].quant(node)
        if (node, dtype, quant) not in self.constants:
            value = quantize_array(node.value, Type(node.type.shape, dtype, quant))
            self.constants[node, dtype, quant] = constant(value, node.name, quant)
        return self.constants[node, dtype, quant]

    def _attrs(self, node: Node, dtype: DType, quant: Quant | None) -> Attrs:
        attrs = node.attrs
        if isinstance(attrs, Pad) and attrs.value is not None and quant is not None:
            filled = quantize_array(np.array(attrs.value), Type((), dtype, quant))
            return replace(attrs, value=int(filled))
        is_free = follows(node, dtype) is not Follows.FIXED
        if is_free and any(field.name == "quant" for field in fields(attrs)):
            return replace(attrs, quant=quant)  # type: ignore[call-arg]
        return attrs

    def _operands(self, node: Node, dtype: DType) -> tuple[Node, ...]:
        """Operands of the integer form of `node`."""
        if node.op in WEIGHTED:
            return self._weighted(node, dtype)
        shared = shares(node, dtype)
        quant = self.choice[dtype].shared(node) if shared else None
        src = [self.read(s, dtype, quant if i in shared else None) for i, s in enumerate(node.src)]
        for index in RULES[node.op].narrow:
            src[index] = self.read(node.src[index], S8)
        if node.op in (Op.LOGISTIC, Op.TANH):
            low, high = COARSE_SCALES[dtype]
            scale = src[0].type.scale
            if low <= scale <= high:
                least = scale * FINEST_S16 if dtype is S16 else 0.0
                narrow = grid(dtype, -SATURATED, SATURATED, least)
                src[0] = self.read(node.src[0], dtype, narrow)
        return tuple(src)

    def _weighted(self, node: Node, dtype: DType) -> tuple[Node, ...]:
        x, out = self.read(node.src[0], dtype), self.choice[dtype].quant(node)
        bias = node.src[2].value if len(node.src) > 2 else None
        weight, scales = quantize_weight(
            node.src[1].value, WEIGHTED[node.op], x.type.scale, out.scale[0], bias, dtype
        )
        made = [self._stored(node.src[1], weight, scales)]
        if bias is not None:
            made.append(
                self._stored(node.src[2], *quantize_bias(bias, x.type.scale, scales, dtype))
            )
        return (x, *made)

    def _stored(self, source: Node, value: np.ndarray, quant: Quant) -> Node:
        """One constant for all users of `source` that came to the same quantization."""
        made = constant(value, source.name, quant)
        return self.constants.setdefault((source, made.type.dtype, quant), made)


def rebuild(
    graph: Graph,
    ranges: Ranges,
    *,
    base: DType = S8,
    chosen: Mapping[str, DType] | None = None,
    edges: DType = S8,
) -> Graph:
    """The integer form of a float graph whose values' real ranges are known by name.

    ranges: for every integer type wanted. base: element type of operators that have a form in it.
    chosen: other element types by name of node. edges: that of the graph's inputs and outputs.
    """
    level = levels(graph, base, chosen or {}, edges)
    return Rebuild(graph, Choices(graph, ranges), level, edges).graph_of()
