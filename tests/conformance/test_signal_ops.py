"""TFLM's audio custom operators in files of another hand, over several runs, against TFLM.

What they keep from run to run becomes states; written back, those are resource variables, which
TFLM runs as well. Where a valid flag is false TFLM leaves the values as they were: not compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from milliwatt.errors import ImportFailed, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.reference import Session
from milliwatt.ir.text import print_graph
from milliwatt.ir.types import DType
from support.conformance import Case, difference
from support.custom_ops import Kind, custom_model
from support.ladder import results
from support.ops.core import random_values
from support.oracle import Tflm

RUNS = 8
Options = dict[str, Any]


def frames(model: bytes, seed: int) -> list[list[np.ndarray]]:
    """Random inputs for every run."""
    rng = np.random.default_rng(seed)
    inputs = read_tflite(model).inputs
    return [[random_values(rng, node.type) for node in inputs] for _ in range(RUNS)]


def same_runs(model: bytes, count: int = 1, flagged: bool = False, seed: int = 0) -> list[bool]:
    """Compare TFLM, the reference, and the written-back file in TFLM; the flags of every run."""
    graph = read_tflite(model)
    again = write_tflite(graph)
    assert print_graph(read_tflite(again)) == print_graph(graph)
    oracle, session, rewritten = Tflm(model), Session(graph), Tflm(again)
    flags = []
    for number, given in enumerate(frames(model, seed)):
        wanted, got = oracle.run_all(given, count), session.run(given)
        ours = rewritten.run_all(given, count)
        if flagged:
            assert got[1] == wanted[1] == ours[1], f"run {number}: valid {got[1]}"
            flags.append(bool(wanted[1]))
        for w, g, o in zip(wanted, got, ours, strict=True):
            assert g.dtype == w.dtype
            if not flagged or flags[-1]:
                np.testing.assert_array_equal(g, w, f"run {number}")
            np.testing.assert_array_equal(g, o, f"run {number} of the file written back")
    return flags


def framer(size: int, step: int, count: int, outer: tuple[int, ...], prefill: bool) -> bytes:
    """A file of one framer: `count` frames a run."""
    return custom_model(
        "SignalFramer",
        [((*outer, step * count), "int16")],
        [((*outer, count, size), "int16"), ((), "bool")],
        {"frame_size": size, "frame_step": step, "prefill": prefill},
    )


def delay(shape: tuple[int, ...], length: int) -> bytes:
    """A file of one delay."""
    kinds = [(shape, "int16")]
    return custom_model("SignalDelay", kinds, kinds, {"delay_length": length})


def stacker(left: int, right: int, step: int, channels: int = 5) -> bytes:
    """A file of one stacker."""
    count = left + right + 1
    options = {
        "num_channels": channels,
        "stacker_left_context": left,
        "stacker_right_context": right,
        "stacker_step": step,
    }
    results: list[Kind] = [((channels * count,), "int16"), ((), "bool")]
    return custom_model("SignalStacker", [((channels,), "int16")], results, options)


def overlap_add(shape: tuple[int, ...], step: int, dtype: str) -> bytes:
    """A file of one overlap-add."""
    *outer, count, _ = shape
    out = [((*outer, count * step), dtype)]
    options = {"T": 7 if dtype == "int16" else 0, "frame_step": step}
    return custom_model("SignalOverlapAdd", [(shape, dtype)], out, options)


def circular_buffer(slots: int, cycles: int = 1) -> bytes:
    """A file of one circular buffer that runs on every call; 0 cycles leave that to TFLM."""
    return custom_model(
        "CIRCULAR_BUFFER",
        [((1, 1, 2, 3), "int8")],
        [((1, slots, 2, 3), "int8")],
        {"cycles_max": cycles},
        variables=True,
    )


@pytest.mark.parametrize("prefill", [False, True])
@pytest.mark.parametrize("outer", [(), (2,), (2, 3)])
@pytest.mark.parametrize(
    ("size", "step", "count"), [(3, 2, 1), (4, 2, 1), (5, 5, 1), (7, 2, 3), (10, 3, 1), (9, 4, 2)]
)
def test_framer(size: int, step: int, count: int, outer: tuple[int, ...], prefill: bool) -> None:
    model = framer(size, step, count, outer, prefill)
    flags = same_runs(model, count=2, flagged=True)
    first = 0 if prefill else -(-(-(-size // step) - 1) // count)
    assert flags == [run >= first for run in range(RUNS)]


def test_framer_shorter_than_its_step() -> None:
    options = {"frame_size": 2, "frame_step": 5, "prefill": False}
    results = [((2, 2), "int16"), ((), "bool")]
    model = custom_model("SignalFramer", [((10,), "int16")], results, options)
    assert same_runs(model, count=2, flagged=True) == [True] * RUNS


@pytest.mark.parametrize("shape", [(6,), (2, 4), (2, 3, 1)])
@pytest.mark.parametrize("length", [0, 1, 4, 13])
def test_delay(shape: tuple[int, ...], length: int) -> None:
    same_runs(delay(shape, length))


@pytest.mark.parametrize(
    ("left", "right", "step"), [(0, 0, 1), (1, 0, 1), (0, 2, 1), (2, 1, 2), (3, 2, 3), (1, 1, 3)]
)
def test_stacker(left: int, right: int, step: int) -> None:
    model = stacker(left, right, step)
    flags = same_runs(model, count=2, flagged=True)
    assert flags == [run >= right and (run - right) % step == 0 for run in range(RUNS)]


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("shape", [(1, 6), (3, 5), (2, 2, 4)])
@pytest.mark.parametrize("step", [1, 3, 4])
def test_overlap_add(shape: tuple[int, ...], step: int, dtype: str) -> None:
    same_runs(overlap_add(shape, step, dtype))


def _subtraction(clamping: bool) -> Options:
    return {
        "alternate_one_minus_smoothing": 15401,
        "alternate_smoothing": 983,
        "clamping": clamping,
        "min_signal_remaining": 819,
        "num_channels": 7,
        "one_minus_smoothing": 15975,
        "smoothing": 409,
        "smoothing_bits": 10,
        "spectral_subtraction_bits": 14,
    }


@pytest.mark.parametrize("clamping", [False, True])
def test_spectral_subtraction(clamping: bool) -> None:
    kind: Kind = ((7,), "uint32")
    name = "SignalFilterBankSpectralSubtraction"
    same_runs(custom_model(name, [kind], [kind, kind], _subtraction(clamping)), count=2)


def test_energy_of_some_frequencies() -> None:
    """TFLM leaves the others as they were, we set them to 0."""
    options = {"end_index": 6, "start_index": 2}
    model = custom_model("SignalEnergy", [((18,), "int16")], [((9,), "uint32")], options)
    oracle, graph = Tflm(model), read_tflite(model)
    for given in frames(model, 0):
        wanted, got = oracle.run(given), Session(graph).run(given)[0]
        np.testing.assert_array_equal(got[2:6], wanted[2:6])
        assert not got[:2].any()
        assert not got[6:].any()


@pytest.mark.parametrize(("slots", "cycles"), [(1, 1), (3, 1), (5, 1), (5, 0), (13, 0)])
def test_circular_buffer(slots: int, cycles: int) -> None:
    same_runs(circular_buffer(slots, cycles))


@pytest.mark.parametrize("options", [{"cycles_max": 2}, {"cycles_max": 0}])
def test_circular_buffer_that_leaves_runs_out(options: Options) -> None:
    results = [((1, 4, 2, 3), "int8")]
    model = custom_model("CIRCULAR_BUFFER", [((1, 1, 2, 3), "int8")], results, options)
    with pytest.raises(UnsupportedOp, match=r"\(CIRCULAR_BUFFER\): cycles_max is 2: what follows"):
        read_tflite(model)


@pytest.mark.parametrize("board", ["host", "cortex-m4"])
def test_c(board: str) -> None:
    """The C code over several runs, every output in every run: the flags, and what is not valid."""
    models = (
        *(framer(*p) for p in ((3, 2, 1, (), False), (7, 2, 3, (2, 3), True))),
        *(framer(*p) for p in ((10, 3, 1, (2,), False), (5, 5, 1, (), True))),
        *(delay((2, 4), length) for length in (0, 1, 13)),
        *(stacker(*p) for p in ((0, 0, 1), (2, 1, 2), (3, 2, 3))),
        *(overlap_add((2, 2, 4), 3, dtype) for dtype in ("int16", "float32")),
        *(circular_buffer(slots) for slots in (1, 5)),
    )
    cases = [
        Case(
            f"file{at}",
            DType.S16,
            0,
            model,
            read_tflite(model),
            tuple(map(tuple, frames(model, 0))),
        )
        for at, model in enumerate(models)
    ]
    for case, got in results(cases, board):
        problem = difference(case, case.reference(), got).problem
        assert problem is None, problem


S16: Kind = ((8,), "int16")
SPECTRUM: Kind = ((10,), "int16")
FLAG: Kind = ((), "bool")
BANK = [np.ones(4, np.int16), np.ones(4, np.int16), *(np.zeros(3, np.int16) for _ in range(3))]


@pytest.mark.parametrize(
    ("name", "results", "options", "message"),
    [
        ("SignalWindow", [S16], {}, "option shift is None; an integer of 32 bits wanted"),
        ("SignalWindow", [S16], {"shift": 32}, "shift is 32; 0 to 31 wanted"),
        ("SignalRfft", [SPECTRUM], {"T": 2, "fft_length": 8}, "option T is 2, the input s16"),
        ("SignalRfft", [SPECTRUM], {"T": 7, "fft_length": 6}, "at most 6 samples on its last axis"),
        ("SignalRfft", [SPECTRUM], {"T": 7, "fft_length": 14}, "FFT of 14 samples; an even"),
        ("SignalRfft", [SPECTRUM], {"T": 7, "fft_length": 0}, "FFT of 0 samples; an even"),
        ("SignalIrfft", [S16], {"T": 7, "fft_length": 8}, "10 numbers on its last axis wanted"),
        ("SignalEnergy", [((4,), "uint32")], {"start_index": 3, "end_index": 9}, "3 to 9 of 4"),
        ("SignalDelay", [S16], {"delay_length": -1}, "delay_length is -1; 0 or more"),
        ("SignalDelay", [S16], {"delay_length": 1 << 40}, "an integer of 32 bits wanted"),
        ("SignalDelay", [S16], {"delay_length": 1 << 30}, "keeps 2,147,483,648 bytes from run"),
        (
            "SignalFramer",
            [((2, 6), "int16"), FLAG],
            {"frame_size": 6, "frame_step": 3, "prefill": True},
            "a step that divides the input",
        ),
        (
            "SignalFramer",
            [((2, 6), "int16")],
            {"frame_size": 6, "frame_step": 4, "prefill": True},
            "1 results; 2 wanted",
        ),
        (
            "SignalFramer",
            [((2, 2), "int16"), FLAG],
            {"frame_size": 2, "frame_step": 4, "prefill": True},
            "is no longer than the frame",
        ),
        (
            "SignalStacker",
            [S16, FLAG],
            {
                "num_channels": 8,
                "stacker_left_context": 0,
                "stacker_right_context": 0,
                "stacker_step": 2,
            },
            "a step of 1 to 1 wanted",
        ),
        ("SignalOverlapAdd", [S16], {"T": 7, "frame_step": 1}, "1 to 0 wanted"),
    ],
)
def test_bad_options(name: str, results: Sequence[Kind], options: Options, message: str) -> None:
    constants = [np.ones(8, np.int16)] if name == "SignalWindow" else []
    model = custom_model(name, [S16], results, options, constants)
    with pytest.raises((ImportFailed, UnsupportedOp), match=message) as caught:
        read_tflite(model)
    assert "y0" in str(caught.value)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (2, 5, "band 1 reads 1 frequencies from 5 .* inside 4 frequencies"),
        (3, 9, "band 1 reads 1 frequencies from 0 with weights from 9"),
        (2, -1, "from -1 with weights"),
    ],
)
def test_filter_bank_outside_its_tables(place: int, value: int, message: str) -> None:
    tables = [table.copy() for table in BANK]
    tables[4][1], tables[place][1] = 1, value
    out: list[Kind] = [((2,), "uint64")]
    options = {"num_channels": 2}
    model = custom_model("SignalFilterBank", [((4,), "uint32")], out, options, tables)
    with pytest.raises(ImportFailed, match=message):
        read_tflite(model)
