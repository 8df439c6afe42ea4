"""Fuse a residual add into the convolution before it, where that lowers the peak of memory."""

from __future__ import annotations

from milliwatt.compiler.memory import alive_at_peak, live_peak
from milliwatt.compiler.passes.names import joined
from milliwatt.compiler.target import PORTABLE, Target
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, ConvAdd, Elementwise
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_TRIES = 64
_WORK = 10_000
"""Fusions tried, and nodes planned for them: nets need a few tries, hostile graphs get no more."""


def fuse_add(graph: Graph, target: Target = PORTABLE) -> Graph:
    """Make `add(conv(x), skip)` one `conv2d_add` that writes over the skip, if the peak falls.

    Exact: the fused kernel does the same two roundings per element; only the hidden tensor is gone.
    """
    # Most graphs have nothing to fuse; then no memory is planned.
    candidates = _candidates(graph)
    if not candidates:
        return graph
    tries = min(_TRIES, _WORK // len(list(graph.nodes())))
    peak = live_peak(graph, target) if tries else 0
    while candidates and tries:
        alive = alive_at_peak(graph, target)
        better = None
        # The peak falls only where the hidden tensor is part of it.
        for add, index in [pair for pair in candidates if pair[0].src[pair[1]] in alive][:tries]:
            tries -= 1
            try:
                fused = _fuse(graph, add, index)
                fused_peak = live_peak(fused, target)
            except UnsupportedOp:
                continue  # the fused kernel does not run every convolution
            if fused_peak < peak:
                better, peak = fused, fused_peak
                break
        if better is None:
            break
        graph, candidates = better, _candidates(better)
    return graph


def _candidates(graph: Graph) -> list[tuple[Node, int]]:
    """Adds that can be fused, each with the position of the convolution among its operands."""
    users = graph.users()
    kept = {*graph.outputs, *(new for _, new in graph.updates)}
    found = []
    for add in users:
        if add.op is not Op.ADD:
            continue
        for index in (0, 1):
            conv, skip = add.src[index], add.src[1 - index]
            alone = len(users[conv]) == 1 and conv not in kept
            if conv.op is Op.CONV2D and alone and _fits(add, conv, skip):
                found.append((add, index))
                break
    return found


def _fuse(graph: Graph, add: Node, index: int) -> Graph:
    """The graph with `add` fused into its operand number `index`."""
    conv = add.src[index]
    assert isinstance(conv.attrs, Conv2d) and isinstance(add.attrs, Elementwise)
    attrs = ConvAdd(conv.attrs, add.attrs)
    fused = Node(Op.CONV2D_ADD, (*conv.src, add.src[1 - index]), attrs, joined(graph, conv, add))
    return graph.rewrite(lambda node: fused if node is add else None)


def _fits(add: Node, conv: Node, skip: Node) -> bool:
    same = conv.type.shape == skip.type.shape
    return add.type.dtype is DType.S8 and same and len(conv.src) == 3 and not skip.is_constant
