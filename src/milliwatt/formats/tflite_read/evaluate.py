"""Runs what a .tflite file computes before its first run: bounded, for the file is not trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.errors import BadData, UnsupportedOp
from milliwatt.ir.attrs.control import Control
from milliwatt.ir.graph import Graph
from milliwatt.ir.ops import OPS
from milliwatt.ir.reference import run

MAX_MACS = 10_000_000
"""Multiplications for the first values of all variables of a file."""


class Evaluator:
    """The reference with a purse: so many bytes of results and multiplications for one file."""

    def __init__(self, file_bytes: int) -> None:
        self._bytes = (1 << 20) + 2 * file_bytes
        self._macs = MAX_MACS

    def run(self, graph: Graph, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """The outputs of `graph`; UnsupportedOp naming the node where that takes too much."""
        for node in graph.nodes():
            where = f"{node.name} ({node.op}), run before the first run,"
            if isinstance(node.attrs, Control):
                raise UnsupportedOp(f"{where} holds other subgraphs; constants wanted")
            if not node.src:
                continue
            self._bytes -= node.type.nbytes
            self._macs -= OPS[node.op].macs(node.attrs, node.type, [s.type for s in node.src])
            if min(self._bytes, self._macs) < 0:
                raise UnsupportedOp(
                    f"{where} computes too much for a first value; store the value in the file"
                )
        try:
            return run(graph, inputs)
        except BadData as error:
            raise UnsupportedOp(f"run before the first run: {error}") from None
