"""Drop operations that return their operand unchanged."""

from __future__ import annotations

from milliwatt.ir.attrs import Pad, Pool2d, Transpose
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.ops.common import clamp_range


def drop_identities(graph: Graph) -> Graph:
    """Remove nodes that change nothing.

    Reshapes to the same shape, empty pads, 1x1 pools, unmoved axes, idle clamps and requantizes.
    """
    return graph.rewrite(lambda node: node.src[0] if _is_identity(node) else None)


def _is_identity(node: Node) -> bool:
    if not node.src or node.src[0].type != node.type:
        return False
    attrs = node.attrs
    match node.op:
        case Op.RESHAPE | Op.REQUANTIZE:
            return True
        case Op.CONCAT:
            return len(node.src) == 1
        case Op.PAD:
            assert isinstance(attrs, Pad)
            return not any(amount for pair in attrs.paddings for amount in pair)
        case Op.TRANSPOSE:
            assert isinstance(attrs, Transpose)
            # Axes of size 1 may move without moving a byte, but only equal shapes come this far.
            moved = [p for p in attrs.perm if node.type.shape[p] > 1]
            return moved == sorted(moved)
        case Op.MAX_POOL2D | Op.AVERAGE_POOL2D:
            assert isinstance(attrs, Pool2d)
            return attrs.kernel == (1, 1) and not _clamps(node)
        case Op.CLAMP:
            return not _clamps(node)
    return False


def _clamps(node: Node) -> bool:
    """True where the clamp of `node` can change a value of its (unchanged) type."""
    bounds = getattr(node.attrs, "clamp", None) or getattr(node.attrs, "bounds", None)
    assert bounds is not None
    if node.type.dtype.is_float:
        return bool(bounds[0] > float("-inf") or bounds[1] < float("inf"))
    return clamp_range(bounds, node.type) != node.type.dtype.limits
