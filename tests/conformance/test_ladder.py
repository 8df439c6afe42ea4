"""The equality ladder's lower rungs: C on the host and on emulated cores against the reference.

The upper rung, the reference against TensorFlow Lite Micro, is in test_single_ops.py (operators)
and test_models.py (models). Integers are equal bit for bit, floats within 1e-5
of what the sums reach.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from bench.common import inputs as model_inputs

from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType
from support.conformance import Case, difference, single_case, written
from support.ladder import refusal, results, started
from support.random_graphs import random_graph
from support.shared import INT8_MODELS, mlperf
from support.single_ops import GRID

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32imc")
# Pairs that the upper rung tests on its own.
PAIRS = [*GRID, ("clamp", DType.S8)]
# Other seeds than the upper rung's.
FIRST_SEED = 50_000
# By board: files of each pair, and of how many pairs one is taken.
FILES = {"host": (4, 1), "cortex-m4": (2, 1), "cortex-m0plus": (1, 4), "rv32imc": (1, 4)}
NETWORKS = {"host": 40, "cortex-m4": 10, "cortex-m0plus": 4, "rv32imc": 4}
PER_FIRMWARE = 60
MODEL_INPUTS = dict.fromkeys(CORES, 5) | {"host": 100}


def pair_cases(count: int, step: int = 1) -> list[Case]:
    """`count` files of every `step`th pair of the grid, one seed of all after the other."""
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    return [single_case(name, dtype, seed) for seed in seeds for name, dtype in PAIRS[::step]]


def network_cases(count: int) -> list[Case]:
    """Random networks of several operators, as files."""
    made = []
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        for dtype in (DType.S8, DType.F32):
            made.append(written(random_graph(seed, dtype), "network", dtype, seed))
    return made


def climb(chosen: Sequence[Case], board: str) -> int:
    """Compare a board with the reference on every file; the number of files compared."""
    for start in range(0, len(chosen), PER_FIRMWARE):
        for case, got in results(chosen[start : start + PER_FIRMWARE], board):
            problem = difference(case, case.reference(), got).problem
            assert problem is None, f"{board}, the reference as oracle: {problem}"
    return len(chosen)


def test_every_pair_of_the_grid_compiles() -> None:
    """What the reference runs has a kernel; what it has none for is not in the grid."""
    refused = {str(case): why for case in pair_cases(1) if (why := refusal(case))}
    assert not refused, refused


def test_a_difference_is_named() -> None:
    """The comparison can fail, and says board, file, output and place."""
    case = single_case("add", DType.F32, FIRST_SEED)
    (_, got), _ = results([case, single_case("add", DType.S8, FIRST_SEED)], "host")
    assert difference(case, case.reference(), got).problem is None
    wrong = [tuple(value + 1 for value in run) for run in got]
    found = difference(case, case.reference(), wrong)
    assert found.problem is not None
    assert "add-f32, seed 50000, run 0, output y" in found.problem


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_one_operator(board: str) -> None:
    """What `make check` sees of the operators."""
    seeds = range(FIRST_SEED, FIRST_SEED + 30)
    assert climb([single_case("conv2d", DType.S8, seed) for seed in seeds], board) == 30


@pytest.mark.slow
@pytest.mark.parametrize("board", FILES)
def test_operators(board: str) -> None:
    count, step = FILES[board]
    assert climb(pair_cases(count, step), board) >= count * len(PAIRS) // step


@pytest.mark.slow
@pytest.mark.parametrize("board", NETWORKS)
def test_networks(board: str) -> None:
    """Random networks, from their files; what passes do to them is under test as well."""
    assert climb(network_cases(NETWORKS[board]), board) == 2 * NETWORKS[board]


def compare_model(key: str, board: str, count: int) -> None:
    """`count` inputs of an int8 model: 0 bytes may differ between board and reference."""
    path = mlperf(INT8_MODELS[key])
    graph = read_tflite(path)
    values, kind = model_inputs(key, graph, path.parent.parent, count)
    assert len(values) == count
    session = started(graph, board)
    for number, value in enumerate(values):
        (wanted,), (got,) = run(graph, [value]), session.run([value]).outputs
        assert (got.dtype, got.shape) == (wanted.dtype, wanted.shape)
        differ = np.flatnonzero(got != wanted)
        assert differ.size == 0, (
            f"{key} on {board}, {kind} input {number}: {differ.size} of {wanted.size} values of "
            f"{graph.outputs[0].name} differ, the first at {differ[0]}: "
            f"{got.flat[differ[0]]}, {wanted.flat[differ[0]]} wanted"
        )


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_anomaly_model(board: str) -> None:
    """What `make check` sees of the models: the quickest."""
    compare_model("ad", board, 1)


@pytest.mark.slow
@pytest.mark.parametrize("key", INT8_MODELS)
@pytest.mark.parametrize("board", MODEL_INPUTS)
def test_models(key: str, board: str) -> None:
    compare_model(key, board, MODEL_INPUTS[board])
