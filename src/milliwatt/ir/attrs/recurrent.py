"""Recurrent layers: SVDF, LSTM and scans over any body: attributes.

Operators without attributes of their own take plain Attrs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from milliwatt.ir.attrs.control import Control
from milliwatt.ir.attrs.core import NO_CLAMP, Attrs, Clamp
from milliwatt.ir.types import Quant, Type

if TYPE_CHECKING:
    from milliwatt.ir.graph import Graph


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


@dataclass(frozen=True, eq=False)
class Scan(Control):
    """scan(sequences..., states..., captures...): `body` at every position along axis 1, in turn.

    The first `sequences` operands are [B,steps,...], `states` operands are carried along. The body
    takes a position [B,1,...] of each sequence, the states, the captures; it gives results of a
    position, [B,1,...] each, then the new states. The scan's results are those of all positions,
    [B,steps,...], and the states after the last.
    """

    body: Graph
    steps: int
    sequences: int = 1
    states: int = 1

    def graphs(self) -> Iterator[tuple[str, Graph]]:
        """See Control."""
        yield "body", self.body

    @property
    def positions(self) -> tuple[Type, ...]:
        """Types of the results of one position."""
        outputs = self.body.outputs[: len(self.body.outputs) - self.states]
        return tuple(node.type for node in outputs)

    @property
    def results(self) -> tuple[Type, ...]:
        """Types of all positions' results, then of the states."""
        stacked = tuple(along(kind, self.steps) for kind in self.positions)
        return (*stacked, *(node.type for node in self.body.outputs[len(stacked) :]))


def along(kind: Type, steps: int) -> Type:
    """`kind` with `steps` positions on axis 1."""
    return Type((kind.shape[0], steps, *kind.shape[2:]), kind.dtype, kind.quant)
