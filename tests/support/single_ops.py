"""Random graphs of one operator: odd sizes, odd quantization, every option TFLite has for it.

`single_op(name, dtype, seed)` is deterministic, so that a failing seed is a test fixture. A draw
gives a node, whose inputs are its operands, or a small graph where one node does not say it all.
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


def single_op(name: str, dtype: DType, seed: int) -> Graph:
    """Graph number `seed` of operator `name` (a key of OPERATORS) with activations of `dtype`."""
    rng = np.random.default_rng([seed, *name.encode(), *dtype.value.encode()])
    drawn = OPERATORS[name](rng, dtype)
    if isinstance(drawn, Graph):
        return drawn
    inputs = tuple(dict.fromkeys(n for n in drawn.src if n.op is Op.INPUT))
    return Graph(inputs, (drawn,), name=f"{name}_{dtype}_{seed}")
