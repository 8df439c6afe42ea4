"""Float16 quantization: constants in binary16, arithmetic in f32. Half the flash, no samples."""

from __future__ import annotations

import numpy as np

from milliwatt.errors import BadData
from milliwatt.ir.attrs import Attrs
from milliwatt.ir.fold import unique_names
from milliwatt.ir.graph import Graph, Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType

LARGEST = float(np.finfo(np.float16).max)


def to_float16(graph: Graph) -> Graph:
    """Store every f32 constant of a float graph as f16 behind a dequantize.

    That is what TensorFlow Lite's float16 quantization writes. The compiler lets products read such
    weights as they are; other constants become f32 again. Values below 2**-25 become 0.
    BadData where a constant is too large for binary16; it names it.
    """
    return unique_names(graph.rewrite(_halved))


def _halved(node: Node) -> Node | None:
    if not node.is_constant or node.type.dtype is not DType.F32:
        return None
    largest = float(np.abs(node.value).max())
    # The first value that rounds to infinity.
    if largest >= LARGEST + 16:
        raise BadData(
            f"{node.name} (constant): holds {largest:g}; at most {LARGEST:g} wanted for f16; "
            'scale the layer, or quantize with weights="int8"'
        )
    half = constant(node.value.astype(np.float16), f"{node.name}.f16")
    return Node(Op.DEQUANTIZE, (half,), Attrs(), node.name)
