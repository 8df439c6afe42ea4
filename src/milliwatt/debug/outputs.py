"""What a network said, for people: the values of each output and which is the largest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from milliwatt.debug.inputs import Inputs
from milliwatt.ir.graph import Graph, Node
from milliwatt.ir.ops.quantization import dequantize_array

FULL = 64
"""Values of an output that are printed whole; more are shortened in the middle."""
RUNS = 10
"""Runs that are listed."""


def outputs_text(graph: Graph, outputs: Sequence[Inputs], *, stream: bool = False) -> str:
    """Values of one run, or one line a run (a frame of a `stream`) for the first RUNS of many."""
    if len(outputs) == 1:
        pairs = zip(graph.outputs, outputs[0], strict=True)
        return "\n".join(f"output {_line(node, value)}\n{_values(value)}" for node, value in pairs)
    kind = "frame" if stream else "input"
    lines = [
        f"{kind} {index}: " + ", ".join(map(_line, graph.outputs, values))
        for index, values in enumerate(outputs[:RUNS])
    ]
    more = len(outputs) - RUNS
    return "\n".join([*lines, f"and {more:,} more (--json lists all)"] if more > 0 else lines)


def _line(node: Node, value: np.ndarray) -> str:
    """`dense s8[1,12]: largest at index 3, 127 (0.996)`."""
    kind = node.type
    if value.size < 2:
        return f"{node.name} {kind.short}"
    place = int(np.argmax(value))
    largest = value.reshape(-1)[place]
    real = f" ({dequantize_array(value, kind).reshape(-1)[place]:.4g})" if kind.quant else ""
    return f"{node.name} {kind.short}: largest at index {place}, {largest:g}{real}"


def _values(value: np.ndarray) -> str:
    text = np.array2string(value.reshape(-1), threshold=FULL, precision=5, max_line_width=96)
    return "  " + text.replace("\n", "\n  ")
