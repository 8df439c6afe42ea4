"""Recurrent layers: SVDF and LSTM: attributes.

Operators without attributes of their own take plain Attrs.
"""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.ir.attrs.core import NO_CLAMP, Attrs, Clamp
from milliwatt.ir.types import Quant


@dataclass(frozen=True)
class Svdf(Attrs):
    """svdf(state [B,F*M], weights_time [F,M], bias [U]) -> [B,U], F = U * rank filters.

    Filter f gives the sum of state[b,f,:] * weights_time[f,:]; `rank` filters in a row add up to a
    unit. `clamp` is for f32: TFLM's integers are bounded by their type alone.
    """

    rank: int = 1
    clamp: Clamp = NO_CLAMP
    quant: Quant | None = None


@dataclass(frozen=True)
class Lstm(Attrs):
    """lstm(x, 4 weights, 4 recurrent weights, 4 biases, h [B,S], c [B,S]) -> bundle (y, h, c).

    x is [B,T,I], [T,B,I] where `time_major`; weights are [S,I] and [S,S], biases [S], of the gates
    input, forget, cell, output in this order. Every step: i, f, o = logistic(W x + R h + b), g =
    tanh(W x + R h + b); c <- f c + i g, bounded by `cell_clip` where that is above 0;
    h <- o tanh(c). y holds every step's h; `quant` is what the bytes of y mean.
    """

    time_major: bool = False
    cell_clip: float = 0.0
    quant: Quant | None = None
