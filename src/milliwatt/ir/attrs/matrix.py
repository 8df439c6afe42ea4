"""Matrix products beyond conv2d and fully_connected: transpose_conv2d, batch_matmul: attributes."""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import NO_CLAMP, Attrs, Clamp
from milliwatt.ir.types import Quant


@dataclass(frozen=True)
class TransposeConv2d(Attrs):
    """transpose_conv2d(x [N,H,W,C], weight [O,KH,KW,C], bias [O]?) -> [N, *size, O].

    Input cell (y, x) times weight (ky, kx) is added to result cell (y * stride + ky - top, x *
    stride + kx - left), columns alike; what falls outside `size` is dropped. `offset` is (top,
    left). A result cell that nothing falls on holds its bias.
    """

    size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    offset: tuple[int, int] = (0, 0)
    clamp: Clamp = NO_CLAMP
    quant: Quant | None = None


@dataclass(frozen=True)
class BatchMatmul(Attrs):
    """batch_matmul(a [..., M, K], b [..., K, N]) -> [..., M, N]; leading axes broadcast.

    `transpose_a` reads a as [..., K, M], `transpose_b` reads b as [..., N, K].
    """

    transpose_a: bool = False
    transpose_b: bool = False
    quant: Quant | None = None
