"""Scans as TFLite says them: the body once for every position, results put side by side."""

from __future__ import annotations

from milliwatt.ir.attrs import Concat
from milliwatt.ir.attrs.control import Part, bundle_type
from milliwatt.ir.attrs.move import StridedSlice
from milliwatt.ir.attrs.recurrent import Scan
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op


def unrolled(graph: Graph) -> Graph:
    """`graph` without scans; the same graph where it has none."""
    made: dict[Node, dict[int, Node]] = {}

    def rule(node: Node) -> Node | None:
        if isinstance(node.attrs, Scan):
            made[node] = _results(node, node.attrs)
        if isinstance(node.attrs, Part) and node.src[0] in made:
            return _named(made[node.src[0]][node.attrs.offset], node.name)
        return None

    done = graph.rewrite(rule)
    return unique_names(done) if made else done


def _named(node: Node, name: str) -> Node:
    """Concatenated positions take the part's name; a state keeps its step's."""
    return Node(node.op, node.src, node.attrs, name) if node.name == _STACKED else node


_STACKED = "stacked"
MOST_JOINED = 10
"""Operands that TFLM's CONCATENATION takes."""


def _results(scan: Node, attrs: Scan) -> dict[int, Node]:
    """The scan's results, by their byte in the bundle."""
    body = unrolled(attrs.body)
    sequences = scan.src[: attrs.sequences]
    last = attrs.sequences + attrs.states
    states, captures = scan.src[attrs.sequences : last], scan.src[last:]
    fixed = {node: _under(node, (), f"{scan.name}.{node.name}") for node in _constants(body)}
    positions: list[tuple[Node, ...]] = []
    for t in range(attrs.steps):
        now = tuple(_cut(sequence, t, f"{scan.name}.{t}.{sequence.name}") for sequence in sequences)
        outputs = _copy(body, (*now, *states, *captures), fixed, f"{scan.name}.{t}")
        count = len(outputs) - attrs.states
        positions.append(outputs[:count])
        states = outputs[count:]
    _, offsets = bundle_type(attrs.results)
    stacked = [_joined(values) for values in zip(*positions, strict=True)]
    return dict(zip(offsets, (*stacked, *states), strict=True))


def _joined(values: tuple[Node, ...]) -> Node:
    """All positions along time, joined in groups: TFLM takes MOST_JOINED operands at a time."""
    while len(values) > MOST_JOINED:
        groups = range(0, len(values), MOST_JOINED)
        values = tuple(
            Node(
                Op.CONCAT,
                values[at : at + MOST_JOINED],
                Concat(1),
                f"{values[at].name}.joined",
            )
            for at in groups
        )
    return Node(Op.CONCAT, values, Concat(1), _STACKED)


def _constants(body: Graph) -> list[Node]:
    return [node for node in body.nodes() if node.is_constant]


def _under(node: Node, src: tuple[Node, ...], name: str) -> Node:
    return Node(node.op, src, node.attrs, name)


def _cut(sequence: Node, t: int, name: str) -> Node:
    """Position t on axis 1."""
    shape = sequence.type.shape
    if shape[1] == 1:
        return sequence
    begin = (0, t, *(0 for _ in shape[2:]))
    attrs = StridedSlice(begin, (shape[0], 1, *shape[2:]), (1,) * len(shape))
    return Node(Op.STRIDED_SLICE, (sequence,), attrs, name)


def _copy(
    body: Graph, given: tuple[Node, ...], fixed: dict[Node, Node], prefix: str
) -> tuple[Node, ...]:
    """The body's outputs on `given`; `fixed` are its constants."""
    done = {**fixed, **dict(zip(body.inputs, given, strict=True))}
    for node in body.nodes():
        if node not in done:
            src = tuple(done[s] for s in node.src)
            done[node] = _under(node, src, f"{prefix}.{node.name}")
    return tuple(done[node] for node in body.outputs)
