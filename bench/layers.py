"""Cycles of single layers on NUCLEO-L4R5ZI, the figures that a test holds kernels to.

    python -m bench.layers

writes bench/layers.csv: the layers of bench/nets.py, one firmware each, compiled by zig for speed.
`cycles` are those of the layer's kernel calls, the code around them left out.
"""

from __future__ import annotations

import numpy as np

import milliwatt as mw
from bench.common import HERE, read_csv, save_csv
from bench.nets import LAYERS
from milliwatt.ir.graph import Graph

BOARD = "nucleo-l4r5zi"
RECORDS = HERE / "layers.csv"


def inputs_of(graph: Graph) -> tuple[np.ndarray, ...]:
    """Random inputs, the same in every run."""
    rng = np.random.default_rng(0)
    return tuple(rng.integers(-128, 128, node.type.shape).astype(np.int8) for node in graph.inputs)


def measure(name: str) -> dict[str, str]:
    """One row: the kernels that ran, multiply-accumulates, cycles, cycles a MAC; is it exact?"""
    graph = LAYERS[name]()
    x = inputs_of(graph)
    report = mw.build(graph, board=BOARD, optimize="speed").profile(x)
    layers = [layer for layer in report.layers if layer.kernel]
    cycles, macs = (sum(getattr(layer, what) for layer in layers) for what in ("cycles", "macs"))
    return {
        "layer": name,
        "toolchain": report.toolchain,
        "kernel": "+".join(layer.kernel for layer in layers),
        "macs": str(macs),
        "cycles": str(cycles),
        "cycles_per_mac": f"{cycles / macs:.3f}" if macs else "",
        "bit_exact": "yes" if report.bit_exact else "no",
    }


def records() -> dict[str, dict[str, str]]:
    """The rows of bench/layers.csv by layer."""
    return {row["layer"]: row for row in read_csv(RECORDS)}


def main() -> None:
    """Measure every layer, show what changed, write."""
    before = records() if RECORDS.exists() else {}
    rows = [measure(name) for name in LAYERS]
    for row in rows:
        old = before.get(row["layer"], {}).get("cycles", "new")
        print(
            f"{row['layer']:16} {row['kernel']:36} {old:>9} -> {row['cycles']:>9} cycles "
            f"{row['cycles_per_mac']:>7} a MAC{'' if row['bit_exact'] == 'yes' else ', WRONG'}"
        )
    save_csv(RECORDS, rows)


if __name__ == "__main__":
    main()
