"""Bad input from the command line: one clear line on stderr, exit code 1 or 2, no traceback."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from milliwatt import api
from milliwatt.ir.ops.table import Op
from support.command import Files, Run

STACK = (3, 8, 8, 3)


def damaged_npy(path: Path) -> None:
    """A .npy whose data ends early."""
    np.save(path, np.zeros(STACK[1:], np.float32))
    path.write_bytes(path.read_bytes()[:200])


INPUTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "shape": (
        lambda p: np.save(p, np.zeros((8, 9, 3), np.float32)),
        "input x: float32[8, 9, 3] given; s8[1,8,8,3] wanted",
    ),
    "type": (
        lambda p: np.save(p, np.zeros((8, 8, 3), np.int64)),
        "input x: int64[8, 8, 3] given; s8[1,8,8,3] wanted, or real values as floats",
    ),
    "complex": (lambda p: np.save(p, np.zeros((8, 8, 3), complex)), "complex128[8, 8, 3] given"),
    "range": (
        lambda p: np.save(p, np.full((8, 8, 3), 255.0)),
        "values from 255 to 255 given",
    ),
    "nan": (
        lambda p: np.save(p, np.full((8, 8, 3), np.nan, np.float32)),
        "input x: NaN at [0, 0, 0, 0]; finite values wanted",
    ),
    "infinity": (lambda p: np.save(p, np.full(STACK, -np.inf)), "sample 0: input x: infinity at"),
    "objects": (
        lambda p: np.save(p, np.array([{}], dtype=object), allow_pickle=True),
        "holds Python objects, which can run code when read",
    ),
    "no samples": (lambda p: np.save(p, np.zeros((0, 8, 8, 3))), "float64[0, 8, 8, 3] given"),
    "cut": (damaged_npy, "is damaged (Failed to read all data"),
    "empty": (lambda p: p.write_bytes(b""), "is empty; a .npy or .npz file wanted"),
    "text": (lambda p: p.write_text("1, 2, 3"), "starts as neither .npy nor .npz files do"),
    "zip": (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(40)), "is damaged"),
    "folder": (lambda p: p.mkdir(), "is a directory"),
    "missing": (lambda p: None, "does not exist; a .npy or .npz file wanted"),
}


@pytest.mark.parametrize("kind", INPUTS)
def test_bad_input_files(run: Run, files: Files, tmp_path: Path, kind: str) -> None:
    """--input refuses what cannot be an input, before anything is compiled."""
    make, message = INPUTS[kind]
    path = tmp_path / "x.npy"
    make(path)
    run("run", files.model, "--board", "host", "--input", path).fails(message)


def test_npz_names(run: Run, files: Files, tmp_path: Path) -> None:
    """A .npz gives the array of the input's name, or x; otherwise it says what it holds."""
    path = tmp_path / "x.npz"
    np.savez(path, a=np.zeros(3), b=np.zeros(3))
    message = "holds a, b; arrays named x wanted"
    run("run", files.model, "-b", "host", "-i", path).fails(message)


MODELS: dict[str, tuple[str, bytes, str]] = {
    "empty": ("m.tflite", b"", "is not a .tflite file"),
    "random": ("m.tflite", bytes(range(256)), "is not a .tflite file"),
    "cut": ("m.mwg", b"graph x\n  y = conv2d(", "m.mwg: text form: line 2 does not parse"),
    "binary": ("m.mwg", b"\xff\xfe\x00", "not text"),
    "deep": (
        "m.mwg",
        b"graph x\n  y = pad() {paddings=" + b"(" * 900 + b")" * 900 + b"} : f32[1]\n  return y",
        "m.mwg",
    ),
    "no outputs": ("m.mwg", b"graph x\n", "no outputs"),
    "suffix": ("m.onnx", b"", ".onnx is no format that milliwatt reads; .tflite or .mwg wanted"),
    "no suffix": ("model", b"", "a name without suffix is no format that milliwatt reads"),
}


@pytest.mark.parametrize("kind", MODELS)
def test_bad_model_files(run: Run, tmp_path: Path, kind: str) -> None:
    """Model files that are none end in a line with the file's name."""
    name, data, message = MODELS[kind]
    path = tmp_path / name
    path.write_bytes(data)
    run("inspect", path).fails(message)


@pytest.mark.parametrize("suffix", ["tflite", "mwg"])
def test_missing_model(run: Run, tmp_path: Path, suffix: str) -> None:
    """A path that leads nowhere is a failure that names it."""
    path = tmp_path / f"gone.{suffix}"
    run("build", path, "-o", tmp_path / "out").fails(f"{path}: does not exist")


QUANTIZE = ["quantize", "m.mwg", "--data", "x.npy", "-o", "out.mwg"]
USAGE = {
    "unknown command": (["nope"], "No such command 'nope'"),
    "unknown option": (["run", "m.tflite", "--bord", "host"], "No such option: --bord"),
    "no model": (["run"], "Missing argument"),
    "no folder": (["build", "m.tflite"], "Missing option '--output'"),
    "option without value": (["run", "m.tflite", "--board"], "--board"),
    "toolchain": (["run", "m.tflite", "--toolchain", "clang"], "'zig', 'gcc'"),
    "optimize": (["run", "m.tflite", "--optimize", "size"], "'speed', 'ram', 'flash', 'balanced'"),
    "period": (["run", "m.tflite", "--period-ms", "-1"], "a time above 0 wanted"),
    "period nan": (["run", "m.tflite", "--period-ms", "nan"], "a time above 0 wanted"),
    "output suffix": (
        ["quantize", "m.mwg", "--data", "x.npy", "-o", "m.txt"],
        "ends in .mwg or .tflite wanted",
    ),
    "demo": (["demo", "cats"], "cats"),
    "digits with a count": (["demo", "--count", "3"], "the digits demo has no such option"),
    "digits with a model": (["demo", "--model", "m.mwg"], "the digits demo has no such option"),
    "digits with data": (["demo", "--data", "x.npz"], "the digits demo has no such option"),
    "digits on no board": (["demo", "--board", "nope"], "board 'nope' is not known"),
    "keywords with a folder": (["demo", "kws", "-o", "out"], "the kws demo has no such option"),
    "calibration": ([*QUANTIZE, "--calibration", "max"], "'mse' wanted".replace("'", '"')),
    "drop": ([*QUANTIZE, "--max-drop", "1"], "below 1 wanted"),
    "drop nan": ([*QUANTIZE, "--max-drop", "nan"], "below 1 wanted"),
    "keywords without files": (["demo", "kws"], "needs --model and --data"),
}


@pytest.mark.parametrize("kind", USAGE)
def test_wrong_usage_exits_with_2(run: Run, kind: str) -> None:
    """A wrong command line is told in one line that points to the help."""
    arguments, message = USAGE[kind]
    done = run(*arguments)
    done.fails(message, code=2)
    assert "--help` lists what is allowed)" in done.err


def test_no_command_prints_help_and_exits_with_2(run: Run) -> None:
    """`mw` alone is not a success: scripts must notice."""
    assert run().code == 2


@pytest.mark.parametrize("command", ["run", "profile", "build"])
def test_unknown_board_suggests_the_nearest(
    run: Run, files: Files, tmp_path: Path, command: str
) -> None:
    """A misspelt board costs nothing but a line."""
    extra = ["-o", tmp_path / "out"] if command == "build" else []
    done = run(command, files.model, "--board", "nucleo-l4r5", *extra)
    done.fails("board 'nucleo-l4r5' is not known; did you mean nucleo-l4r5zi?", code=2)


def test_no_c_compiler(run: Run, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the compiler that was asked for: its name and the line that installs it."""
    monkeypatch.setenv("PATH", "")
    done = run("run", files.model, "-i", files.one, "--board", "esp32-c3", "--toolchain", "gcc")
    done.fails("gcc is not installed; run: apt-get install gcc-riscv64-unknown-elf")


def test_a_model_that_does_not_fit(run: Run, tmp_path: Path) -> None:
    """What is missing, in which memory, and the three largest tensors."""
    model = tmp_path / "wide.mwg"
    from milliwatt.debug.files import write_graph
    from milliwatt.ir.attrs import FullyConnected
    from milliwatt.ir.graph import Graph, Node, constant, graph_input
    from milliwatt.ir.types import DType

    x = graph_input((1, 256), DType.F32, "x")
    weight = constant(np.ones((256, 256), np.float32), "w")
    out = Node(Op.FULLY_CONNECTED, (x, weight), FullyConnected(), "wide")
    write_graph(Graph((x,), (out,)), model)
    done = run("build", model, "--board", "bluepill-f103", "-o", tmp_path / "out")
    done.fails("bytes of flash are missing")
    assert "largest tensors: w f32[256,256] 262,144 bytes (flash)" in done.err
    assert not (tmp_path / "out").exists()


def test_nan_in_calibration_data(run: Run, files: Files, tmp_path: Path) -> None:
    """The sample is named and no model is written."""
    data = np.load(files.three)
    data[1, 0, 0, 0] = np.nan
    path, made = tmp_path / "x.npy", tmp_path / "made.mwg"
    np.save(path, data)
    run("quantize", files.float_model, "--data", path, "-o", made).fails("sample 1, input x: NaN")
    assert not made.exists()


def test_one_constant_sample_is_warned_about(run: Run, files: Files, tmp_path: Path) -> None:
    """Warnings are one line each, without a place in the code."""
    path = tmp_path / "one.npy"
    np.save(path, np.zeros_like(np.load(files.three)[:1]))
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        done = run("quantize", files.float_model, "--data", path, "-o", tmp_path / "m.mwg")
    assert done.code == 0
    lines = [line for line in done.err.splitlines() if "warning" in line]
    assert lines
    assert all(line.startswith("mw: warning: ") and ".py" not in line for line in lines)


def test_quantizing_twice(run: Run, files: Files, tmp_path: Path) -> None:
    """An int8 model is refused by name."""
    done = run("quantize", files.model, "--data", files.three, "-o", tmp_path / "m.mwg")
    done.fails("is quantized already")


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOSPC])
def test_output_that_cannot_be_written(
    run: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """No permission, or a disk that fills: the reason, and nothing half-written."""
    import os
    import tempfile

    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(tempfile, "mkstemp", refuse)
    done = run("quantize", files.float_model, "--data", files.three, "-o", tmp_path / "m.mwg")
    done.fails(f"m.mwg: cannot be written ({os.strerror(code).lower()}); nothing was left behind")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["quantize", "build"])
def test_an_impossible_output_is_told_before_the_work(
    run: Run, files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A file where a folder must be: no model is read, nothing is quantized or compiled."""
    monkeypatch.setattr(api, "load", lambda *_: pytest.fail("loaded first"))
    (tmp_path / "file").write_text("mine")
    extra = ["--data", files.three] if command == "quantize" else []
    done = run(command, files.float_model, *extra, "-o", tmp_path / "file" / "sub" / "m.mwg")
    done.fails("m.mwg: cannot be written (not a directory)")


def test_a_period_too_short(run: Run, files: Files) -> None:
    """A period below the latency cannot be met."""
    done = run("run", files.model, "-i", files.one, "--period-ms", "0.001")
    done.fails("period is 0.001 ms; at least the latency")


def test_a_board_without_power(run: Run, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare core has no energy, so no energy over a period; told before the model is built."""
    monkeypatch.setattr(api, "build", lambda *_, **__: pytest.fail("built first"))
    done = run("run", files.model, "-i", files.one, "-b", "cortex-m4", "--period-ms", "1000")
    done.fails("cortex-m4: its board file gives no active or no sleep power")


def test_bugs_are_one_line_too(run: Run, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error says that it is one; --debug, anywhere in the line, shows where."""

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.setattr(api, "load", broken)
    run("inspect", files.model).fails("ZeroDivisionError: two lines (this is a bug in milliwatt")
    for arguments in (["--debug", "inspect", files.model], ["inspect", files.model, "--debug"]):
        done = run(*arguments)
        assert done.code == 1
        assert "Traceback (most recent call last)" in done.err
        assert "in broken" in done.err


def test_memory_that_runs_out_is_no_bug(
    run: Run, files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NumPy's and Python's own: one line that says what to do."""

    def starved(*_: object, **__: object) -> None:
        raise MemoryError("Unable to allocate 9.1 TiB")

    monkeypatch.setattr(api, "load", starved)
    done = run("inspect", files.model)
    done.fails("not enough memory (Unable to allocate 9.1 TiB); ")
    assert "bug" not in done.err
    monkeypatch.setattr(api, "load", lambda *_: bytearray(1 << 62))
    run("inspect", files.model).fails("not enough memory; a smaller model")


@pytest.mark.parametrize("stack", ["0", "-8", "100", "x"])
def test_wrong_stacks(run: Run, files: Files, stack: str) -> None:
    """A reserve that is no positive multiple of 8 is wrong usage."""
    message = f"{stack}: a positive multiple of 8 wanted" if stack != "x" else "valid integer"
    run("run", files.model, "--stack", stack).fails(message, code=2)


def test_a_stack_beyond_the_board(run: Run, files: Files) -> None:
    """The stack counts as RAM, however large it is asked for."""
    for size in (1 << 20, 1 << 40):
        done = run("run", files.model, "-i", files.one, "--stack", str(size))
        assert done.code == 1
        assert "RAM" in done.err
        assert "bug" not in done.err


def test_interrupt(run: Run, files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends with the shell's code for it and three words."""

    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "load", interrupted)
    done = run("inspect", files.model)
    assert (done.code, done.out, done.err) == (130, "", "mw: interrupted\n")
