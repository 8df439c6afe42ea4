"""State, operators of several results, control flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from milliwatt.errors import BadData, InvalidGraph
from milliwatt.ir.attrs.control import (
    MAX_DEPTH,
    MAX_INNER_NODES,
    PART_ALIGN,
    Control,
    If,
    Part,
    State,
    While,
    bundle_type,
    pack_parts,
)
from milliwatt.ir.ops.common import want, want_dtype
from milliwatt.ir.ops.table import Op, OpDef
from milliwatt.ir.types import DType, Type, dtype_of

if TYPE_CHECKING:
    from milliwatt.ir.graph import Graph

MAX_ITERATIONS = 100_000
"""Iterations after which the reference takes a `while` for an endless loop."""
MANY = 1 << 30

Arrays = Sequence[np.ndarray]
Types = Sequence[Type]


def _infer_state(attrs: State, ins: Types) -> Type:
    return Type(attrs.value.shape, attrs.dtype or dtype_of(attrs.value), attrs.quant)


def _run_state(attrs: State, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    raise InvalidGraph("a state has no value of its own; a Session of the reference keeps it")


def _infer_part(attrs: Part, ins: Types) -> Type:
    want_dtype("bundle", ins[0], DType.U8)
    _want_bytes("part", attrs.type)
    end = attrs.offset + attrs.type.nbytes
    want(
        attrs.offset >= 0 and attrs.offset % PART_ALIGN == 0 and end <= ins[0].nbytes,
        f"bytes {attrs.offset} to {end} of a bundle of {ins[0].nbytes}; a part inside it, "
        f"aligned to {PART_ALIGN}, wanted",
    )
    return attrs.type


def _run_part(attrs: Part, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    raw = args[0][attrs.offset : attrs.offset + out.size * out.dtype.itemsize]
    return raw.copy().view(out.dtype.numpy).reshape(out.shape)


def _want_bytes(kind: str, value: Type) -> None:
    """Two s4 share a byte in memory, but not in an array: no bundle holds them."""
    want(value.dtype is not DType.S4, f"{kind} is {value.short}; s4 is for constants, s8 wanted")


def _short(types: Sequence[Type]) -> str:
    return ", ".join(str(kind) for kind in types) or "nothing"


def want_types(kind: str, found: Sequence[Type], wanted: Sequence[Type]) -> None:
    """InvalidGraph unless the types are equal, one by one."""
    want(list(found) == list(wanted), f"{kind} {_short(found)}; {_short(wanted)} wanted")


def want_graphs(attrs: Control, values: Types) -> None:
    """Every graph inside takes `values` and keeps nothing; all of them are of a bounded size."""
    want(attrs.depth <= MAX_DEPTH, f"graphs {attrs.depth} deep; at most {MAX_DEPTH} wanted")
    want(
        attrs.node_count <= MAX_INNER_NODES,
        f"graphs of {attrs.node_count:,} nodes; at most {MAX_INNER_NODES:,} wanted",
    )
    for name, graph in attrs.graphs():
        want_types(f"{name} takes", [node.type for node in graph.inputs], values)
        want(bool(graph.outputs), f"{name} has no outputs; one or more wanted")
        states = [node.name for node in graph.nodes() if node.op is Op.STATE]
        want(not graph.updates and not states, f"{name} keeps state; a graph without state wanted")
        for node in graph.outputs:
            _want_bytes(f"{name} gives {node.name}, which", node.type)


def _want_condition(kind: str, value: Type) -> None:
    want_dtype(kind, value, DType.BOOL)
    want(value.size == 1, f"{kind} is {value.short}; one element wanted")


def _infer_if(attrs: If, ins: Types) -> Type:
    _want_condition("condition", ins[0])
    want_graphs(attrs, ins[1:])
    given = [node.type for node in attrs.otherwise.outputs]
    want_types("otherwise gives", given, attrs.results)
    return bundle_type(attrs.results)[0]


def _infer_while(attrs: While, ins: Types) -> Type:
    want_graphs(attrs, ins)
    want_types("body gives", attrs.results, ins)
    count = len(attrs.condition.outputs)
    want(count == 1, f"condition has {count} outputs; 1 wanted")
    _want_condition("condition", attrs.condition.outputs[0].type)
    return bundle_type(attrs.results)[0]


def call(graph: Graph, args: Arrays) -> tuple[np.ndarray, ...]:
    """The outputs of a graph that an operator holds."""
    from milliwatt.ir.reference import run  # it runs these operators

    return run(graph, args)


def _run_if(attrs: If, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    branch = attrs.then if args[0].reshape(-1)[0] else attrs.otherwise
    return pack_parts(call(branch, args[1:]))


def _run_while(attrs: While, out: Type, ins: Types, args: Arrays) -> np.ndarray:
    values = tuple(args)
    for _ in range(MAX_ITERATIONS):
        if not call(attrs.condition, values)[0].reshape(-1)[0]:
            return pack_parts(values)
        values = call(attrs.body, values)
    raise BadData(
        f"no end after {MAX_ITERATIONS:,} iterations; a condition that becomes false wanted"
    )


def graph_macs(graph: Graph) -> int:
    """Multiply-accumulates of all nodes."""
    from milliwatt.ir.ops import OPS  # every family's, this one among them

    return sum(
        OPS[node.op].macs(node.attrs, node.type, [s.type for s in node.src])
        for node in graph.nodes()
    )


def _if_macs(attrs: If, out: Type, ins: Types) -> int:
    """The costlier branch."""
    return max(graph_macs(attrs.then), graph_macs(attrs.otherwise))


def _while_macs(attrs: While, out: Type, ins: Types) -> int:
    """One iteration: nobody knows how many there will be."""
    return graph_macs(attrs.condition) + graph_macs(attrs.body)


OPS = {
    Op.STATE: OpDef(State, (0, 0), _infer_state, _run_state),
    Op.PART: OpDef(Part, (1, 1), _infer_part, _run_part),
    Op.IF: OpDef(If, (1, MANY), _infer_if, _run_if, _if_macs),
    Op.WHILE: OpDef(While, (1, MANY), _infer_while, _run_while, _while_macs),
}
