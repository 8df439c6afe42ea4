"""Random graphs of one operator: odd sizes, odd quantization, every option TFLite has for it.

`single_op(name, dtype, seed)` is deterministic, so that a failing seed is a test fixture. A draw
gives a node, whose inputs are its operands, or a small graph where one node does not say it all.

A family's file may say more of its pairs (operator, type): `ORACLE` maps those that TensorFlow
Lite Micro lacks to "litert", their judge; the others are TFLM's.
"""

from __future__ import annotations

import numpy as np

from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType
from support.ops import control, core, matrix, move, pointwise, recurrent, reduce, signal
from support.ops.core import random_inputs, random_values, same_padding

__all__ = ["FAMILIES", "GRID", "OPERATORS", "random_inputs", "random_values", "same_padding"]

FAMILIES = (core, matrix, reduce, pointwise, move, recurrent, signal, control)
OPERATORS = {name: draw for family in FAMILIES for name, draw in family.OPERATORS.items()}
GRID = [pair for family in FAMILIES for pair in family.GRID]
ORACLE: dict[tuple[str, DType], str] = {
    pair: judge for family in FAMILIES for pair, judge in getattr(family, "ORACLE", {}).items()
}
# Runs of a graph with states, one after the other; of any other graph, one.
FRAMES = 3


def single_op(name: str, dtype: DType, seed: int) -> Graph:
    """Graph number `seed` of operator `name` (a key of OPERATORS) with activations of `dtype`."""
    rng = np.random.default_rng([seed, *name.encode(), *dtype.value.encode()])
    drawn = OPERATORS[name](rng, dtype)
    if isinstance(drawn, Graph):
        return drawn
    inputs = tuple(dict.fromkeys(n for n in drawn.src if n.op is Op.INPUT))
    return Graph(inputs, (drawn,), name=f"{name}_{dtype}_{seed}")


def random_frames(graph: Graph, seed: int) -> list[list[np.ndarray]]:
    """The inputs of every run of a graph."""
    count = FRAMES if graph.updates else 1
    return [random_inputs(graph, seed + 1_000_003 * frame) for frame in range(count)]
