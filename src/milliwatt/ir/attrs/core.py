"""One frozen dataclass of attributes per operator; what is not an operand of a node is here.

`quant` is the quantization of the result, None for float results. `clamp` is a fused activation:
real-valued bounds applied to the result, (-inf, inf) for none, (0, inf) for ReLU, (0, 6) for ReLU6.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from milliwatt.ir.types import DType, Quant, Type

Clamp = tuple[float, float]
NO_CLAMP: Clamp = (-math.inf, math.inf)
RELU: Clamp = (0.0, math.inf)
RELU6: Clamp = (0.0, 6.0)


@dataclass(frozen=True, eq=False)
class Attrs:
    """Base class of all attributes; operators without any use it as it is.

    Equality is by fields where a class does not say `eq=False`: those hold arrays or graphs, and
    two of them are equal only where they are one.
    """


@dataclass(frozen=True)
class Input(Attrs):
    """A value given by the caller."""

    type: Type


@dataclass(frozen=True, eq=False)
class Constant(Attrs):
    """A value known at compile time; `value` is read-only. `dtype` says s4 where it is int8."""

    value: np.ndarray
    quant: Quant | None = None
    dtype: DType | None = None


@dataclass(frozen=True)
class Conv2d(Attrs):
    """conv2d(x [N,H,W,C], weight [O,KH,KW,C/G], bias [O]?) and depthwise (weight [1,KH,KW,C*M]).

    A conv2d of G groups: output channel o reads the C/G input channels of group o // (O/G).
    `padding` is (top, bottom, left, right) in elements; padded cells read as real 0.
    `folded` means the bias already holds -zero_point(x) * sum(weight) (integer types only).
    """

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)
    clamp: Clamp = NO_CLAMP
    quant: Quant | None = None
    folded: bool = False


@dataclass(frozen=True)
class FullyConnected(Attrs):
    """fully_connected(x [..., I], weight [O,I], bias [O]?) -> [..., O]; `folded` as in Conv2d."""

    clamp: Clamp = NO_CLAMP
    quant: Quant | None = None
    folded: bool = False


@dataclass(frozen=True)
class Pool2d(Attrs):
    """max_pool2d and average_pool2d over [N,H,W,C]; padded cells do not take part."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    clamp: Clamp = NO_CLAMP


@dataclass(frozen=True)
class Mean(Attrs):
    """Mean over `axes` (sorted, non-negative)."""

    axes: tuple[int, ...]
    keep_dims: bool = False
    quant: Quant | None = None


@dataclass(frozen=True)
class Elementwise(Attrs):
    """add, sub, mul with NumPy broadcasting."""

    clamp: Clamp = NO_CLAMP
    quant: Quant | None = None


@dataclass(frozen=True)
class ConvAdd(Attrs):
    """conv2d, then add(conv, skip): what `fuse_add` makes. `conv.quant` is the hidden value's."""

    conv: Conv2d
    add: Elementwise


@dataclass(frozen=True)
class Pad(Attrs):
    """`paddings` is ((before, after), ...) per axis; `value` in the element type (None: real 0)."""

    paddings: tuple[tuple[int, int], ...]
    value: float | None = None


@dataclass(frozen=True)
class Reshape(Attrs):
    """Row-major reshape; `shape` has no -1.

    `stored` is the quantization under which the same integers are read from here on, None for the
    operand's own.
    """

    shape: tuple[int, ...]
    stored: Quant | None = None


@dataclass(frozen=True)
class Transpose(Attrs):
    """Output axis i is input axis perm[i]."""

    perm: tuple[int, ...]


@dataclass(frozen=True)
class Concat(Attrs):
    """Concatenation along `axis` (non-negative); all operands share one quantization."""

    axis: int


@dataclass(frozen=True)
class Softmax(Attrs):
    """Softmax over the last axis; the quantization of the result is fixed by its element type.

    `dtype` is s16 where an s8 operand has an s16 result, None for the operand's own type. `nearly`
    is of an s16 result whose scale is not quite the specification's: within a thousandth of it. It
    is not called `quant`, for no step chooses it.
    """

    beta: float = 1.0
    dtype: DType | None = None
    nearly: Quant | None = None


@dataclass(frozen=True)
class Unary(Attrs):
    """logistic and tanh; their integer result types are fixed by the TFLite specification."""


@dataclass(frozen=True)
class ClampAttrs(Attrs):
    """min(max(x, low), high) in real values: ReLU is (0, inf), ReLU6 (0, 6). May requantize."""

    bounds: Clamp
    quant: Quant | None = None


@dataclass(frozen=True)
class Quantize(Attrs):
    """quantize (f32 -> integer) and requantize (integer -> integer)."""

    dtype: DType
    quant: Quant


@dataclass(frozen=True, eq=False)
class Lookup(Attrs):
    """s8 -> s8 through a table: result = table[x + 128], what integer unary operators become."""

    table: np.ndarray
    quant: Quant = field(default_factory=lambda: Quant.per_tensor(1.0))
