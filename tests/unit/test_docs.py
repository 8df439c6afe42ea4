"""The documents' commands and code run as printed; their figures are the measured ones."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import milliwatt as mw
from milliwatt.cli import app
from milliwatt.debug.files import write_graph
from milliwatt.ir.attrs import Conv2d, FullyConnected, Reshape
from milliwatt.ir.graph import Graph, Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

ROOT = Path(__file__).resolve().parents[2]
S8 = Quant.per_tensor(1 / 256, -128)


def blocks(document: str, *languages: str) -> Iterator[tuple[str, str]]:
    """(language, text) of a document's fenced blocks in the given languages."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.M | re.S):
        if language in languages:
            yield language, block


def small_net() -> Graph:
    """An s8 net for 8 x 8 images with input `image` and output `label`, made in no time."""
    rng = np.random.default_rng(0)

    def weight(name: str, *shape: int) -> Node:
        scales = np.full(shape[0], 0.01)
        return constant(
            rng.integers(-99, 99, shape).astype(np.int8), name, Quant.per_axis(scales, 0)
        )

    x = graph_input((1, 8, 8, 1), DType.S8, "image", S8)
    conv = Conv2d(stride=(2, 2), quant=Quant.per_tensor(0.02, 0))
    y = Node(Op.CONV2D, (x, weight("w1", 4, 3, 3, 1)), conv, "conv")
    y = Node(Op.RESHAPE, (y,), Reshape((1, 36)), "flat")
    dense = FullyConnected(quant=Quant.per_tensor(0.1, 0))
    y = Node(Op.FULLY_CONNECTED, (y, weight("w2", 3, 36)), dense, "label")
    return Graph((x,), (y,), name="small")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the files that the documents' commands name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "demo").mkdir()
    write_graph(small_net(), tmp_path / "demo" / "digits_s8.mwg")
    write_graph(small_net(), tmp_path / "model.mwg")
    images = np.random.default_rng(1).random((2, 8, 8, 1), np.float32)
    np.save(tmp_path / "demo" / "held_out.npy", images)
    np.save(tmp_path / "samples.npy", images)
    return tmp_path


def run_command(line: str) -> None:
    """A `mw` command runs; a `make` command names a target of the Makefile."""
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        target = next(w for w in words[1:] if "=" not in w)
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        return
    assert words[0] == "mw", f"what is {line!r}?"
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_commands_run(document: str) -> None:
    """Every line after a `$` in a console block."""
    lines = [
        line[2:]
        for _, block in blocks(document, "console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert lines
    for line in lines:
        run_command(line)


@pytest.mark.usefixtures("folder")
def test_the_readmes_python_runs() -> None:
    """Its Python blocks, in order, in one namespace."""
    pytest.importorskip("torch", reason="the documents import a torch module")
    code = "\n".join(block for _, block in blocks("README.md", "python"))
    assert "mw.quantize" in code
    exec(compile(code, "README.md", "exec"), {"__name__": "document"})


def test_the_tutorial_runs_in_an_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python and shell blocks, in the document's order; the first make what the others read."""
    pytest.importorskip("torch", reason="the documents import a torch module")
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "document"}
    ran = set()
    for language, block in blocks("docs/tutorial.md", "python", "console"):
        ran.add(language)
        if language == "python":
            exec(compile(block, "docs/tutorial.md", "exec"), names)
        else:
            for line in block.splitlines():
                run_command(line.removeprefix("$ "))
    assert ran == {"python", "console"}


def test_porting_compiles_and_runs(tmp_path: Path) -> None:
    """The C of docs/porting.md with a generated folder: gcc, warnings as errors."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler on the host")
    firmware = mw.build(small_net(), board="cortex-m4")
    firmware.save(tmp_path / "firmware")
    application = next(block for _, block in blocks("docs/porting.md", "c"))
    image = np.arange(64, dtype=np.int8)
    main = (
        "int main(void) {\n"
        f"  static const int8_t image[64] = {{{', '.join(map(str, image))}}};\n"
        "  return setup_model() ? classify(image, sizeof image) + 10 : 99;\n}\n"
    )
    prototypes = "int setup_model(void);\nint classify(const int8_t *image, size_t bytes);\n"
    (tmp_path / "app.c").write_text("#include <stddef.h>\n#include <stdint.h>\n" + prototypes)
    with (tmp_path / "app.c").open("a") as file:
        file.write(application + main)
    sources = [str(p) for p in (tmp_path / "firmware").glob("*.c") if p.name != "main.c"]
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-O2"]
    command = [compiler, *flags, "-Ifirmware", "app.c", *sources, "-o", "app"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    wanted = int(firmware.run(image.reshape(1, 8, 8, 1)).outputs[0].argmax())
    assert subprocess.run([tmp_path / "app"], check=False).returncode == wanted + 10


def test_tflms_operators_are_read_or_left_out_with_a_reason() -> None:
    """The tables of docs/ops.md leave none of them out, and name none that is not there."""
    from tools.tflm_ops import BUILTIN, CUSTOM, LEFT_OUT, LIMITS

    from milliwatt.formats.tflite_names import OPERATORS
    from milliwatt.formats.tflite_read import READERS

    registered = set(BUILTIN) | set(CUSTOM)
    assert len(registered) == len(BUILTIN) + len(CUSTOM) == 118
    assert set(BUILTIN) <= set(OPERATORS)
    assert registered - set(READERS) == set(LEFT_OUT)
    assert all(len(reason) > 20 for reason in LEFT_OUT.values())
    named = {name for names in LIMITS for name in names.split(", ")} - {"any"}
    assert named <= set(READERS)


def test_measured_figures_are_not_stale() -> None:
    """The README's tables and transcript are those of bench/results."""
    from tools.gen_readme import README, render

    text = README.read_text(encoding="utf-8")
    assert render(text) == text, "run: make docs"
