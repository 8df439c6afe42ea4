"""One frozen dataclass of attributes per operator, one file an operator family.

The names below, of the first family (`core`), are imported from here; those of other families from
their own file.
"""

from __future__ import annotations

from milliwatt.ir.attrs.core import (
    NO_CLAMP,
    RELU,
    RELU6,
    Attrs,
    Clamp,
    ClampAttrs,
    Concat,
    Constant,
    Conv2d,
    ConvAdd,
    Elementwise,
    FullyConnected,
    Input,
    Lookup,
    Mean,
    Pad,
    Pool2d,
    Quantize,
    Reshape,
    Softmax,
    Transpose,
    Unary,
)

__all__ = [
    "NO_CLAMP",
    "RELU",
    "RELU6",
    "Attrs",
    "Clamp",
    "ClampAttrs",
    "Concat",
    "Constant",
    "Conv2d",
    "ConvAdd",
    "Elementwise",
    "FullyConnected",
    "Input",
    "Lookup",
    "Mean",
    "Pad",
    "Pool2d",
    "Quantize",
    "Reshape",
    "Softmax",
    "Transpose",
    "Unary",
]
