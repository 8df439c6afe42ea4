"""How long a read takes and how much memory: of honest files and of hostile ones."""

from __future__ import annotations

import contextlib
import tracemalloc

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, MilliwattError, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from support.effort import cpu_seconds
from support.shared import FLOAT_MODELS, INT8_MODELS, mlperf
from support.tflite_build import File, options

SECONDS_A_MEGABYTE = 0.5
SECONDS_A_HOSTILE_FILE = 2.0
MEGABYTE = 1 << 20
NOISE = 2
"""Cores that are shared with other work count more seconds for the same instructions."""
BYTES_AN_OPERATOR = 2000


def seconds_of(model: bytes, enough: float) -> float:
    """CPU seconds of one read."""

    def read() -> None:
        with contextlib.suppress(ImportFailed, UnsupportedOp):
            read_tflite(model)

    return cpu_seconds(read, enough)[0]


def cost(model: bytes, enough: float) -> tuple[float, float, MilliwattError | None]:
    """(CPU seconds, peak memory in sizes of the file, how it was refused) of one read."""
    seconds, refused = seconds_of(model, enough), None
    tracemalloc.start()
    try:
        graph = read_tflite(model)
        del graph
    except (ImportFailed, UnsupportedOp) as error:
        refused = error
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return seconds, peak_bytes / len(model), refused


@pytest.mark.parametrize("file", [*INT8_MODELS.values(), *FLOAT_MODELS.values()])
def test_real_models(file: str) -> None:
    model = mlperf(file).read_bytes()
    limit = SECONDS_A_MEGABYTE * max(1, len(model) / MEGABYTE)
    seconds, times, refused = cost(model, limit)
    assert refused is None
    assert seconds <= limit
    assert times <= 5


def chain(count: int, weight_bytes: int, name: str = "layer{}") -> bytes:
    """`count` sums in a row, each with a constant of its own."""
    file = File("main")
    (main,) = file.parts
    size = weight_bytes // 4
    value = start = main.tensor("x", "f32", (1, size))
    for number in range(count):
        data = np.full((1, size), number, np.float32)
        held = main.tensor(f"held{number}", "f32", (1, size), value=data)
        out = main.tensor(name.format(number), "f32", (1, size))
        (value,) = main.add("ADD", [value, held], [out], options("Add"))
    # One operator code serves all.
    for operator in main.tree.operators:
        operator.opcodeIndex = 0
    file.tree.operatorCodes = file.tree.operatorCodes[:1]
    main.ends([start], [value])
    return file.write()


def test_a_megabyte_of_two_thousand_operators() -> None:
    model = chain(2000, 384)
    assert 0.95 * MEGABYTE < len(model) < 1.4 * MEGABYTE
    seconds, times, refused = cost(model, SECONDS_A_MEGABYTE)
    assert refused is None
    assert seconds <= SECONDS_A_MEGABYTE
    assert times <= 5


@pytest.mark.parametrize("name", ["layer{}", "same"])
def test_twenty_thousand_operators_in_a_row(name: str) -> None:
    limit = NOISE * SECONDS_A_HOSTILE_FILE
    assert seconds_of(chain(20_000, 4, name), limit) <= limit


def test_memory_of_small_operators() -> None:
    """Nodes of four bytes each: what a node takes is what counts."""
    model = chain(2000, 4)
    _, times, refused = cost(model, SECONDS_A_MEGABYTE)
    assert refused is None
    assert times * len(model) <= 5 * len(model) + 2000 * BYTES_AN_OPERATOR


@pytest.mark.parametrize("name", ["a/" * 400, "x" * 60_000, "/" * 5000, ";" * 5000, "_" * 5000])
def test_long_names(name: str) -> None:
    seconds, _, refused = cost(chain(50, 4, name + "{}"), SECONDS_A_HOSTILE_FILE)
    assert refused is None
    assert seconds <= SECONDS_A_HOSTILE_FILE
