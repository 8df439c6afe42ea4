"""The equality ladder's lower rungs: C on the host and on emulated cores against the reference.

The upper rung, the reference against TensorFlow Lite Micro, is in test_single_ops.py (operators)
and test_models.py (models). Integers are equal bit for bit, floats within 1e-5
of what the sums reach.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from bench.common import inputs as model_inputs

from conformance.test_single_ops import first_difference
from milliwatt.compiler.program import compile_graph
from milliwatt.errors import UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.ir.reference import run
from milliwatt.ir.types import DType
from support.ladder import FAMILIES, Case, Family, cases, results, started
from support.shared import INT8_MODELS, mlperf
from support.single_ops import OPERATORS, single_op

CORES = ("cortex-m0plus", "cortex-m3", "cortex-m4", "cortex-m7", "cortex-m33", "rv32imc")
OPERATOR_CORES = ("cortex-m4", "cortex-m0plus", "rv32imc")
# Other seeds than the upper rung's.
FIRST_SEED = 50_000
ON_HOST, ON_CORE, PER_FIRMWARE = 300, 30, 100
MODEL_INPUTS = dict.fromkeys(CORES, 5) | {"host": 100}
QUICK = Family("conv2d", DType.S8)


def seeds(count: int) -> range:
    """The first `count` seeds of this file."""
    return range(FIRST_SEED, FIRST_SEED + count)


def has_kernel(name: str, dtype: DType) -> bool:
    """True where graphs of this operator and type can be drawn and compile."""
    try:
        graph = single_op(name, dtype, FIRST_SEED)
    except (UnsupportedOp, AssertionError, KeyError):  # f32 has no quantization to draw
        return False
    try:
        compile_graph(graph)
    except UnsupportedOp:
        return False
    return True


def check(case: Case, got: np.ndarray, board: str) -> None:
    """Compare with the reference; a failure names all it takes to repeat it."""
    (wanted,) = run(case.graph, case.inputs)
    problem = first_difference(case.graph, list(case.inputs), wanted, got)
    where = f"{board}, family {case.family}, seed {case.seed}, node {case.graph.outputs[0]!r}"
    assert problem is None, f"{where}, the reference as oracle: {problem}"


def climb(family: Family, board: str, wanted: range, per_firmware: int) -> int:
    """Compare a board with the reference on every seed; the number of graphs compared."""
    compared = 0
    for start in range(wanted.start, wanted.stop, per_firmware):
        some = cases(family, range(start, min(start + per_firmware, wanted.stop)))
        for case, got in results(some, board):
            check(case, got, board)
            compared += 1
    return compared


def test_families_are_all_that_compile() -> None:
    dtypes = (DType.S8, DType.S16, DType.S32, DType.F32)
    compiling = {(name, t) for name in OPERATORS for t in dtypes if has_kernel(name, t)}
    assert {(family.name, family.dtype) for family in FAMILIES} == compiling


def test_a_difference_is_named() -> None:
    """The comparison can fail, and says board, family, seed and node."""
    (case, got), _ = results(cases(Family("add", DType.F32), seeds(2)), "host")
    check(case, got, "host")
    other = replace(case, inputs=tuple(-value for value in case.inputs))
    named = f"host, family add-f32, seed {case.seed}, node <y = add"
    with pytest.raises(AssertionError, match=named):
        check(other, got, "host")


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_one_family(board: str) -> None:
    """What `make check` sees of the operators."""
    assert climb(QUICK, board, seeds(ON_CORE), ON_CORE) == ON_CORE


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_operators_on_the_host(family: Family) -> None:
    assert climb(family, "host", seeds(ON_HOST), PER_FIRMWARE) == ON_HOST


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_operators_on_emulated_cores(family: Family) -> None:
    for board in OPERATOR_CORES:
        assert climb(family, board, seeds(ON_CORE), ON_CORE) == ON_CORE


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
