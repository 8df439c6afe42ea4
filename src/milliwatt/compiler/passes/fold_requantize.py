"""Turn chains of one-operand operators between two s8 values into one table lookup."""

from __future__ import annotations

import numpy as np

from milliwatt.ir.attrs import Lookup
from milliwatt.ir.graph import Graph, Node, graph_input
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType

# Operators that map each element alone: a chain of them has 256 cases when it starts from s8.
_UNARY = (
    Op.CLAMP,
    Op.LOGISTIC,
    Op.TANH,
    Op.LOOKUP,
    Op.REQUANTIZE,
    Op.QUANTIZE,
    Op.DEQUANTIZE,
)


def fold_requantize(graph: Graph) -> Graph:
    """Replace s8 -> ... -> s8 chains of elementwise operators by a `lookup` of 256 results.

    The table is the reference evaluated on all 256 inputs, so the fold is exact whatever the chain:
    requantize, clamp, logistic, tanh, and dequantize ... quantize detours through float.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op not in _UNARY or node.type.dtype is not DType.S8:
        return None
    chain = [node]
    start = node.src[0]
    # Walk up to the farthest s8 value: every link between is elementwise.
    links = [node]
    while links[-1].src[0].op in _UNARY:
        links.append(links[-1].src[0])
        if links[-1].src[0].type.dtype is DType.S8:
            chain, start = list(links), links[-1].src[0]
    if start.type.dtype is not DType.S8 or (chain == [node] and node.op is Op.LOOKUP):
        return None
    if len(chain) == 1 and node.src[0].type.dtype is not DType.S8:
        return None
    values = np.arange(-128, 128, dtype=np.int16).astype(np.int8)
    current = graph_input((256,), DType.S8, "x", start.type.quant)
    for link in reversed(chain):
        fresh = Node(link.op, (current,), link.attrs, link.name)
        values = OPS[link.op].reference(link.attrs, fresh.type, [current.type], [values])
        current = graph_input((256,), fresh.type.dtype, "x", fresh.type.quant)
    assert node.type.quant is not None
    values.setflags(write=False)
    return Node(Op.LOOKUP, (start,), Lookup(values, node.type.quant), node.name)
