"""Reports and the search for the first layer that differs, on emulated firmware."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

import milliwatt as mw
from milliwatt.compiler import build as compiler
from milliwatt.compiler.program import Program
from milliwatt.debug import compare
from milliwatt.debug.inputs import as_inputs
from milliwatt.debug.inputs import samples as take
from milliwatt.debug.report import (
    differing_bytes,
    equal,
    largest_difference,
    make_report,
    reference_outputs,
)
from milliwatt.emulate.machine import RUNTIME
from milliwatt.ir.reference import run
from support.quantize_nets import samples, small_cnn

BOARD = "nucleo-l4r5zi"


@functools.cache
def firmware(board: str = BOARD) -> mw.Firmware:
    """The small net, quantized and built."""
    return mw.build(mw.quantize(small_cnn(), DATA), board=board)


DATA = samples(small_cnn(), 12)


def test_report_adds_up() -> None:
    """Layers sum to the totals and carry the firmware's names, kernels and bytes."""
    report = firmware().profile(DATA[0])
    assert report.layers[-1].name == RUNTIME
    layers = report.layers[:-1]
    image = firmware().image
    assert [(x.name, x.kernel) for x in layers] == [(x.name, x.kernel) for x in image.layers]
    assert sum(x.cycles for x in report.layers) == report.cycles
    for row, layer in zip(layers, image.layers, strict=True):
        assert layer.weight_bytes < row.flash_bytes < layer.weight_bytes + 400
        assert row.cycles_per_mac == (row.cycles / row.macs if row.macs else None)
    assert report.ram_bytes == image.static_ram_bytes + (report.stack_bytes or 0)
    assert report.input == "given"
    assert report.period is None


def test_report_prints_at_100_columns() -> None:
    """str(report) is the layer table and the totals, with units and thousands."""
    text = str(firmware().profile(period_ms=500))
    assert "input: random, seed 0" in text
    assert "one inference every 500 ms" in text
    assert f"{firmware().flash_bytes:,}  bytes" in text
    table = text.split("latency", maxsplit=1)[0].splitlines()
    assert max(map(len, table)) <= 100
    assert all(line == line.rstrip() for line in text.splitlines())


def test_many_inputs_report_the_slowest() -> None:
    """Cycles, instructions and layers are those of one run, the one with most cycles."""
    inputs = list(take(firmware().graph, DATA[:3]))
    traces = list(firmware().run_many(DATA[:3]))
    report = make_report(firmware().graph, firmware().image, inputs, traces, "three")
    slowest = max(traces, key=lambda trace: trace.cycles or 0)
    assert (report.cycles, report.instructions) == (slowest.cycles, slowest.instructions)
    assert report.inputs == 3
    assert report.bit_exact
    worse = [traces[0], replace(traces[1], outputs=traces[0].outputs), traces[2]]
    found = make_report(firmware().graph, firmware().image, inputs, worse, "three")
    assert not found.bit_exact
    assert found.largest_difference > 0


def test_reference_outputs_in_batches_are_those_of_single_runs() -> None:
    """Batching is an optimisation, not a difference."""
    inputs = list(take(firmware().graph, DATA[:5]))
    for one, found in zip(inputs, reference_outputs(firmware().graph, inputs), strict=True):
        assert equal(found, run(firmware().graph, one))


def test_equality_is_of_bytes_types_and_shapes() -> None:
    """NaN equals itself; 0.0 does not equal -0.0; a wider type does not equal a narrower."""
    nan = (np.array([np.nan, 0], np.float32),)
    assert equal(nan, (nan[0].copy(),))
    assert not equal((np.zeros(2, np.float32),), (-np.zeros(2, np.float32),))
    assert not equal((np.zeros(2, np.int8),), (np.zeros(2, np.int16),))
    assert not equal((np.zeros((1, 2), np.int8),), (np.zeros(2, np.int8),))
    far = (np.array([-128, 5], np.int8),)
    near = (np.array([127, 5], np.int8),)
    assert differing_bytes(far, near) == 1
    assert largest_difference(far, near) == 255


def test_check_and_first_divergence_agree_on_right_firmware() -> None:
    """Nothing differs, so there is nothing to name."""
    assert firmware().check(DATA[0])
    assert firmware("host").check(DATA[0])
    assert firmware("host").first_divergence(DATA[0]) is None


@pytest.mark.parametrize("layer", ["first", "side", "head"])
def test_first_divergence_names_the_broken_layer(
    monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    """One layer's call is left out of the firmware; the search finds it among right and wrong."""
    built = firmware("host")
    wrong = next(x for x in built.image.layers if x.name == layer)
    emit = compiler.emit

    def without_call(program: Program) -> dict[str, str]:
        call = f"  {wrong.symbol}(model->arena);"
        return {k: v.replace(call, f"  (void){wrong.symbol};") for k, v in emit(program).items()}

    monkeypatch.setattr(compiler, "emit", without_call)
    found = built.first_divergence(DATA[0])
    assert found is not None
    assert (found.layer, found.op, found.kernel) == (layer, wrong.op, wrong.kernel)
    assert str(found).startswith(f"first differing layer: {layer} (")


def test_first_divergence_blames_the_passes() -> None:
    """A lowered graph that computes something else is told before any device runs."""
    built = firmware("host")
    other = mw.build(mw.quantize(small_cnn(seed=5), DATA), board="host")
    target = compare.Target(built.board, "zig", "speed")
    x = as_inputs(built.graph, DATA[0])
    found = compare.first_divergence(built.graph, other.program, target, x)
    assert found is not None
    assert found.layer == "(passes)"
