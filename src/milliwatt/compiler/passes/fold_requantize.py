"""Turn chains of one-operand operators between two s8 values into one table lookup."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from milliwatt.ir.attrs import Lookup
from milliwatt.ir.graph import Graph, Node
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
    Op.ABS,
    Op.NEG,
    Op.SIN,
    Op.COS,
    Op.FLOOR,
    Op.CEIL,
    Op.ROUND,
    Op.ELU,
    Op.HARD_SWISH,
    Op.LEAKY_RELU,
)
_EVERY = np.arange(-128, 128, dtype=np.int16).astype(np.int8)


def fold_requantize(graph: Graph) -> Graph:
    """Replace s8 -> ... -> s8 chains of elementwise operators by a `lookup` of 256 results.

    The table is the reference evaluated on all 256 inputs, so the fold is exact whatever the chain:
    requantize, clamp, logistic, tanh, and dequantize ... quantize detours through float.
    """
    return graph.rewrite(_Chains().rule)


class _Chains:
    """Where each chain begins, and the results of its links; each link is evaluated once."""

    def __init__(self) -> None:
        self._starts: dict[Node, Node] = {}
        self._results: dict[Node, np.ndarray] = {}

    def rule(self, node: Node) -> Node | None:
        """The lookup that stands for the whole chain above an s8 result."""
        if node.op not in _UNARY:
            return None
        x = node.src[0]
        start = self._starts.get(x)
        if start is None:
            if x.type.dtype is not DType.S8:
                return None
            start = x
        self._starts[node] = start
        if node.type.dtype is not DType.S8 or node.type.quant is None:
            return None
        values = self._evaluate(node, start)
        if node.op is Op.LOOKUP and x is start:
            return None
        lookup = Node(Op.LOOKUP, (start,), Lookup(values, node.type.quant), node.name)
        self._starts[lookup], self._results[lookup] = start, values
        return lookup

    def _evaluate(self, node: Node, start: Node) -> np.ndarray:
        """What `node` makes of each of the 256 values of `start`, from -128 up; read-only."""
        links = []
        while node is not start and node not in self._results:
            links.append(node)
            node = node.src[0]
        values = self._results.get(node, _EVERY)
        for link in reversed(links):
            kinds = [replace(each.type, shape=_EVERY.shape) for each in (link, link.src[0])]
            values = OPS[link.op].reference(link.attrs, kinds[0], [kinds[1]], [values])
            values.setflags(write=False)
            self._results[link] = values
        return values
