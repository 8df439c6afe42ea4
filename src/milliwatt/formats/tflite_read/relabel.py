"""Results that TFLite copies byte by byte under whatever quantization the file declares.

Converters keep one quantization through such operators; files of other hands do not, and TFLM does
not look. The same bytes then stand for other numbers from here on.
"""

from __future__ import annotations

from dataclasses import replace

from milliwatt.formats.tflite_schema import Tensor
from milliwatt.ir.attrs import NO_CLAMP, Pad, Reshape
from milliwatt.ir.graph import Node, constant
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant, Type

COPIES = frozenset(
    """
    RESHAPE SQUEEZE EXPAND_DIMS TRANSPOSE PAD PADV2 MIRROR_PAD STRIDED_SLICE SLICE SPLIT SPLIT_V
    UNPACK GATHER GATHER_ND REVERSE_V2 TILE BROADCAST_TO RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
    SPACE_TO_DEPTH DEPTH_TO_SPACE SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND
    """.split()  # noqa: SIM905
)
# int8 kernels that compute in the specification's scale whatever the file says.
_FIXED = frozenset(("LOGISTIC", "TANH"))
# TFLM wants the scales of these alike to a millionth, and the zero points equal.
_NEAR = frozenset(("MAX_POOL_2D", "AVERAGE_POOL_2D"))


def as_declared(kind: str, node: Node, declared: Tensor) -> Node:
    """`node` with the quantization that its tensor declares, where operator `kind` looks at none.

    Other nodes are given back as they are: their types are compared.
    """
    found, quant = node.type, declared.quant
    same = (found.shape, found.dtype) == (declared.shape, declared.dtype)
    looks = kind not in COPIES and not _is_scale_ignored(kind, found, quant)
    clamped = getattr(node.attrs, "clamp", NO_CLAMP) != NO_CLAMP
    if not same or looks or clamped or quant in (None, found.quant) or quant.axis is not None:
        return node
    if node.is_constant:
        return constant(node.value, node.name, quant, found.dtype)
    if isinstance(node.attrs, Reshape):
        return Node(node.op, node.src, replace(node.attrs, stored=quant), node.name)
    attrs = node.attrs
    if isinstance(attrs, Pad) and attrs.value is None:
        attrs = replace(attrs, value=float(quant.zero_point[0]))  # what the result calls real 0
    bytes_ = Node(node.op, node.src, attrs, f"{node.name}.bytes")
    return Node(Op.RESHAPE, (bytes_,), Reshape(found.shape, quant), node.name)


def _is_scale_ignored(kind: str, found: Type, quant: Quant | None) -> bool:
    """True where only the scale differs, and the kernel does not look at it, or at so little."""
    if quant is None or quant.zero_point != (found.zero_point,):
        return False
    if kind in _FIXED:
        return found.dtype is DType.S8
    return kind in _NEAR and abs(quant.scale[0] - found.scale) <= 1e-6
