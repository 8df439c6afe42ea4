"""Grids of the family `recurrent`: draws of every operator, at full range too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from kernels.cases_core import Case
from milliwatt.ir.ops import Op
from support.ops.recurrent import GRID, OPERATORS

_COUNT = 30
_KERNELS = (Op.SVDF_STATE, Op.SVDF, Op.LSTM)


def _cases() -> Iterator[Case]:
    for name, dtype in GRID:
        made = []
        for seed in range(_COUNT):
            graph = OPERATORS[name](np.random.default_rng([seed, *name.encode()]), dtype)
            made += [node for node in graph.nodes() if node.op in _KERNELS]
        for op in _KERNELS:
            for number, node in enumerate(n for n in made if n.op is op):
                yield f"{op}-{dtype}-{number}", node


CASES: tuple[Case, ...] = tuple(_cases())
