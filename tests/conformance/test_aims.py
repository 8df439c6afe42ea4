"""The ladder over all models in all aims: what the search chooses changes no byte."""

from __future__ import annotations

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler.build import link
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.ir.reference import run
from support.oracle import Tflm
from support.shared import INT8_MODELS, mlperf

AIMS = ("speed", "ram", "flash", "balanced")
INPUTS = 2


def inputs(graph: mw.Graph, seed: int) -> list[np.ndarray]:
    """Values over the whole range, and the extremes side by side."""
    rng = np.random.default_rng(seed)
    shape = graph.inputs[0].type.shape
    full = rng.integers(-128, 128, shape).astype(np.int8)
    return [full, rng.choice(np.array([-128, 127], np.int8), shape)][:INPUTS]


@pytest.mark.parametrize("aim", AIMS)
@pytest.mark.parametrize("key", INT8_MODELS)
def test_every_aim_gives_the_oracle(key: str, aim: str) -> None:
    """TFLM == reference == the chosen kernels' C on the host == on the emulated board."""
    path = mlperf(INT8_MODELS[key])
    graph = mw.load(path)
    firmware = mw.build(graph, board="nucleo-l4r5zi", optimize=aim)
    host = link(firmware.program, find_board("host"))
    oracle = Tflm(path.read_bytes())
    for x in inputs(graph, 3):
        wanted = oracle.run([x])
        for rung in (
            run(graph, [x])[0],
            run_firmware(host, [x]).outputs[0],
            firmware.run(x).outputs[0],
        ):
            np.testing.assert_array_equal(rung, wanted)


@pytest.mark.parametrize("board", ["nucleo-u575zi-q", "disco-f746ng"])
@pytest.mark.parametrize("key", INT8_MODELS)
def test_other_cores_with_the_extension(key: str, board: str) -> None:
    """Cortex-M33 and Cortex-M7 run the same kernels."""
    graph = mw.load(mlperf(INT8_MODELS[key]))
    assert mw.build(graph, board=board).check(inputs(graph, 4)[0])
