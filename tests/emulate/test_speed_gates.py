"""What kernels may not lose: cycles of single layers, and the size of the code that models need.

Cycles are held to bench/layers.csv; `python -m bench.layers` writes it anew after a kernel changed
on purpose.
"""

from __future__ import annotations

import pytest
from bench.layers import BOARD, measure, records
from bench.nets import LAYERS, NETS

import milliwatt as mw
from support.compilers import want_compiler, want_version
from support.shared import INT8_MODELS, mlperf

TOLERANCE = 0.02
KIB = 1024
CODE_LIMIT = {"speed": 24 * KIB, "flash": 10 * KIB}
"""Bytes of flash without the model's constants."""


def test_every_layer_is_recorded() -> None:
    assert sorted(records()) == sorted(LAYERS)


@pytest.mark.parametrize("name", LAYERS)
def test_cycles_of_a_layer(name: str) -> None:
    """At most 2 % more than recorded, and bit-exact. Estimates are deterministic."""
    old, row = records()[name], measure(name)
    assert row["bit_exact"] == "yes", f"{row['kernel']} differs from the reference"
    want_version(row["toolchain"], old["toolchain"], "python -m bench.layers")
    assert int(row["cycles"]) <= int(old["cycles"]) * (1 + TOLERANCE), (
        f"{name}: {old['kernel']} took {old['cycles']} cycles, {row['kernel']} {row['cycles']}; "
        "where that is wanted: python -m bench.layers"
    )


def code_bytes(graph: mw.Graph, toolchain: str, optimize: str) -> int:
    want_compiler(toolchain)
    return mw.build(graph, board=BOARD, toolchain=toolchain, optimize=optimize).code_bytes


@pytest.mark.parametrize("optimize", CODE_LIMIT)
@pytest.mark.parametrize("toolchain", ["zig", "gcc"])
@pytest.mark.parametrize("key", NETS)
def test_code_of_small_networks(key: str, toolchain: str, optimize: str) -> None:
    """Networks with the operators of the MLPerf Tiny models."""
    assert code_bytes(NETS[key](), toolchain, optimize) <= CODE_LIMIT[optimize]


@pytest.mark.parametrize("optimize", CODE_LIMIT)
@pytest.mark.parametrize("key", INT8_MODELS)
def test_code_of_models(key: str, optimize: str) -> None:
    """The models themselves, by the default compiler."""
    graph = mw.load(mlperf(INT8_MODELS[key]))
    assert code_bytes(graph, "zig", optimize) <= CODE_LIMIT[optimize]
