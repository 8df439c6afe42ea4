"""Mixed precision: give the few layers that need it 16 bits or f32, so that accuracy holds.

Source: the sensitivity of each layer alone, as in Wu et al., "Integer Quantization for Deep
Learning Inference", 2020, section 5.2 (partial quantization).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from milliwatt.compress.accuracy import Arrays, LayerCost, predict, sqnr_db
from milliwatt.compress.progress import track
from milliwatt.compress.rebuild import Ranges, rebuild
from milliwatt.compress.rules import F32, S16, WEIGHTED, has_form, is_layer
from milliwatt.errors import MilliwattError
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops import OPS
from milliwatt.ir.types import DType

# 16 bits cure a layer where they leave at most a quarter of its noise.
CURED_DB = 6.0
Chosen = Mapping[str, DType]


@dataclass(frozen=True)
class Promotion:
    """A layer that accuracy control gave another element type than the rest.

    dtype: "s16" or "f32". reason: what loses accuracy in the layer, its "activations" or its
    "weights". drop and sqnr_db: its LayerCost before. mac_bytes: MACs (of an operator that has
    none, results) times bytes of an activation, more than before. flash_bytes: more of them, for
    weights and biases.
    """

    name: str
    op: str
    dtype: str
    reason: str
    drop: float
    sqnr_db: float
    mac_bytes: int
    flash_bytes: int


@dataclass(frozen=True)
class Trial:
    """One float graph, its ranges and samples: quantizes it in mixes and measures them.

    base: element type of what is not promoted. edges: that of inputs and outputs.
    """

    graph: Graph
    ranges: Ranges
    samples: Arrays
    measure: Callable[[Arrays], float]
    float_outputs: Arrays
    base: DType
    edges: DType

    @property
    def float_score(self) -> float:
        """Score of the float graph."""
        return self.measure(self.float_outputs)

    @property
    def layers(self) -> list[Node]:
        """The operators whose element type can be chosen."""
        return [n for n in self.graph.nodes() if is_layer(n) and has_form(n, self.base)]

    def quantized(self, chosen: Chosen | None = None) -> Graph:
        """The graph in `base`, layers in `chosen` in the type named there."""
        return rebuild(
            self.graph, self.ranges, base=self.base, chosen=chosen or {}, edges=self.edges
        )

    def drop(self, chosen: Chosen | None = None) -> float:
        """Loss of score against the float graph with `chosen` promoted."""
        return self.float_score - self.measure(predict(self.quantized(chosen), self.samples))

    def alone(self, node: Node, dtype: DType) -> LayerCost:
        """What the layer costs in `dtype` with all others in f32."""
        chosen = {other.name: F32 for other in self.layers} | {node.name: dtype}
        outputs = predict(self.quantized(chosen), self.samples)
        error = outputs[0].astype(np.float64) - self.float_outputs[0]
        signal = float(np.square(self.float_outputs[0].astype(np.float64)).sum())
        ratio = sqnr_db(signal, float(np.square(error).sum()))
        return LayerCost(node.name, str(node.op), self.float_score - self.measure(outputs), ratio)

    def costs(self) -> tuple[LayerCost, ...]:
        """The cost of every layer quantized alone, dearest first (noise decides between equals)."""
        layers = self.layers
        rows = [
            self.alone(node, self.base) for node in track(layers, "measuring layers", len(layers))
        ]
        return tuple(sorted(rows, key=lambda row: (-row.drop, row.sqnr_db)))


def price(node: Node, dtype: DType) -> int:
    """MACs, or results where there are none, times bytes of an activation of `dtype`."""
    macs = OPS[node.op].macs(node.attrs, node.type, [s.type for s in node.src])
    return (macs or node.type.size) * dtype.itemsize


def _flash_bytes(node: Node, dtype: DType) -> int:
    """Bytes of weights and biases of a layer in `dtype`."""
    if node.op not in WEIGHTED:
        return 0
    weight = node.src[1].type.size * (4 if dtype is F32 else 1)
    bias = sum(s.type.size for s in node.src[2:]) * (8 if dtype is S16 else 4)
    return weight + bias


@dataclass(frozen=True)
class Mix:
    """What `promote` found: types of promoted layers by name, every layer's cost, dearest first.

    cured: names of layers whose loss 16 bits take away; the others' comes from their weights.
    """

    chosen: Chosen
    costs: tuple[LayerCost, ...] = ()
    cured: frozenset[str] = frozenset()

    def promotions(self, trial: Trial) -> tuple[Promotion, ...]:
        """The rows of the report, in graph order."""
        costs = {row.name: row for row in self.costs}
        rows = []
        for node in trial.layers:
            dtype = self.chosen.get(node.name, trial.base)
            if dtype is trial.base:
                continue
            row, of_weights = costs[node.name], node.op in WEIGHTED and node.name not in self.cured
            rows.append(
                Promotion(
                    row.name,
                    row.op,
                    str(dtype),
                    "weights" if of_weights else "activations",
                    row.drop,
                    row.sqnr_db,
                    price(node, dtype) - price(node, trial.base),
                    _flash_bytes(node, dtype) - _flash_bytes(node, trial.base),
                )
            )
        return tuple(rows)


def promote(trial: Trial, max_drop: float) -> Mix:
    """Which layers to promote so that the score drops by `max_drop` at most.

    Layers are added dearest first until the limit holds: in s16 where 16 bits cure them, else, and
    where that is not enough for all, in f32. Then each is taken back, that of the highest price
    first, where the limit still holds: to the base, or from f32 to s16. No layer in the result can
    be spared. MilliwattError where even all layers in f32 lose more; it says the best reached.
    """
    costs, limit = trial.costs(), max_drop + 1e-9
    by_name = {node.name: node for node in trial.layers}
    chosen: dict[str, DType] = {}
    cured: set[str] = set()
    best = float("inf")
    steps = [(row, True) for row in costs] + [(row, False) for row in costs]
    for row, may_be_s16 in track(steps, "choosing layers to promote", len(steps)):
        if may_be_s16 and _is_cured(trial, by_name[row.name], row):
            cured.add(row.name)
        wanted = S16 if may_be_s16 and row.name in cured else F32
        if chosen.get(row.name) is wanted:
            continue
        chosen[row.name] = wanted
        drop = trial.drop(chosen)
        best = min(best, drop)
        if drop <= limit:
            return Mix(_spared(trial, chosen, limit), costs, frozenset(cured))
    raise MilliwattError(
        f"{trial.graph.name}: score drops by {best:.4f} at best with all layers promoted to f32; "
        f"max_drop {max_drop:g} wanted; give more samples or keep the edges float (io='f32')"
    )


def _is_cured(trial: Trial, node: Node, row: LayerCost) -> bool:
    """True where 16 bits leave at most a quarter of the noise of the base type.

    From s16 there is only f32 left, whatever the reason.
    """
    if trial.base is S16 or not has_form(node, S16):
        return False
    return trial.alone(node, S16).sqnr_db >= row.sqnr_db + CURED_DB


def _spared(trial: Trial, chosen: dict[str, DType], limit: float) -> dict[str, DType]:
    """What remains when promotions are taken back, those of the highest price first."""
    by_name = {node.name: node for node in trial.layers}

    def extra(name: str) -> int:
        return price(by_name[name], chosen[name]) - price(by_name[name], trial.base)

    for name in sorted(chosen, key=extra, reverse=True):
        fewer = {other: kind for other, kind in chosen.items() if other != name}
        narrower = [fewer]
        if chosen[name] is F32 and trial.base is not S16 and has_form(by_name[name], S16):
            narrower.append(fewer | {name: S16})
        chosen = next((mix for mix in narrower if trial.drop(mix) <= limit), chosen)
    return chosen
