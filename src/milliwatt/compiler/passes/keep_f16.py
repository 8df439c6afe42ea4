"""Keep the weights that a model stores in 16 bits as they are: half the flash, equal values."""

from __future__ import annotations

from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

_PRODUCTS = (Op.CONV2D, Op.DEPTHWISE_CONV2D, Op.FULLY_CONNECTED, Op.TRANSPOSE_CONV2D)


def keep_f16(graph: Graph) -> Graph:
    """Let products read f16 weights and biases directly, not through a dequantize (exact).

    Converters store the constants of a float model in f16 behind a DEQUANTIZE each, which folding
    constants would turn into f32. The kernels convert what they read, filter by filter.
    """
    return graph.rewrite(_rule)


def _rule(node: Node) -> Node | None:
    if node.op not in _PRODUCTS:
        return None
    src = (node.src[0], *map(_stored, node.src[1:]))
    # A bias alone gains nothing: it is short, and f32 weights have faster kernels.
    if src[1] is node.src[1]:
        return None
    return Node(node.op, src, node.attrs, node.name)


def _stored(operand: Node) -> Node:
    """The f16 constant behind a dequantize, the operand itself where there is none."""
    if operand.op is not Op.DEQUANTIZE:
        return operand
    source = operand.src[0]
    return source if source.is_constant and source.type.dtype is DType.F16 else operand
