"""What every kernel file obeys with every compiler, and what bind promises about its calls."""

from __future__ import annotations

import importlib.util
import itertools
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kernels.cases import CASES
from kernels.harness import DSP_TARGET, KERNELS, WARNINGS
from milliwatt.compiler.bind import TABLE, Call, bind, call_of, kernel_sources
from milliwatt.errors import UnsupportedOp
from milliwatt.ir.attrs import Conv2d, Elementwise, FullyConnected, Reshape
from milliwatt.ir.graph import Node, constant, graph_input
from milliwatt.ir.ops import Op
from milliwatt.ir.types import DType, Quant

SOURCES = sorted(KERNELS.glob("*.c"))
HEADERS = sorted(KERNELS.glob("*.h"))
DEFINITION = re.compile(r"^(?!static|typedef|MW_)\w[\w *]*?\b(mw_\w+)\([^;]*?\)\s*\{", re.MULTILINE)
TARGETS = {
    "cortex-m0plus": ("thumb-freestanding-eabi", "cortex_m0plus"),
    "cortex-m3": ("thumb-freestanding-eabi", "cortex_m3"),
    "cortex-m4": ("thumb-freestanding-eabihf", "cortex_m4+vfp4d16sp"),
    "cortex-m7": ("thumb-freestanding-eabi", "cortex_m7"),
    "cortex-m33": ("thumb-freestanding-eabi", "cortex_m33+dsp"),
    "rv32imc": ("riscv32-freestanding-none", "generic_rv32+m+c"),
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_source_file(path: Path) -> None:
    """One public function named after the file; a head comment with the contract."""
    text = path.read_text()
    assert DEFINITION.findall(text) == [f"mw_{path.stem}"]
    head = text[: text.index("*/")]
    assert head.startswith("/* ")
    for word in ("Layouts", "anges", "orkspace"):
        assert word in head, f"{path.name}: the head comment says nothing about {word}"
    assert "out" in head.split("Layouts")[0], f"{path.name}: the head comment has no formula"


@pytest.mark.parametrize("path", [*SOURCES, *HEADERS], ids=lambda p: p.name)
def test_any_file(path: Path) -> None:
    """Sizes, and nothing from outside but two headers of the C library."""
    text = path.read_text()
    lines = text.splitlines()
    assert len(lines) <= 250
    assert max(map(len, lines)) <= 100
    outside = set(re.findall(r"#include <([^>]+)>", text))
    assert outside <= {"stddef.h", "stdint.h"}
    assert not re.search(r"\b(malloc|free|printf|goto)\b", text)
    assert "_dsp" in path.stem or not re.search(r"\b(asm|__asm__)\b", text)


def test_every_file_is_reached() -> None:
    """The table's kernels are the files, no more and no fewer, and all headers are used."""
    named = {f"{row.kernel}.c" for row in TABLE} | {file for row in TABLE for file in row.files}
    assert named == {p.name for p in SOURCES}
    found = kernel_sources(p.name for p in SOURCES)
    assert set(found) == {p.name for p in (*SOURCES, *HEADERS)}


def test_sources_come_with_their_headers_only() -> None:
    """One kernel brings what it includes, directly or not."""
    found = kernel_sources(["conv2d_s8.c"])
    assert {"conv2d_s8.c", "mw.h", "mw_data.h", "mw_dot.h", "mw_fixed.h"} <= set(found)
    assert "mw_math.h" not in found
    with pytest.raises(FileNotFoundError):
        kernel_sources(["no_such_kernel.c"])


def _compile(command: list[str], text: str, folder: Path) -> None:
    """Check a C text with a compiler's full warnings."""
    path = folder / "check.c"
    path.write_text(text)
    line = [*command, *WARNINGS, f"-I{KERNELS}", "-c", str(path), "-o", str(path) + ".o"]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _everything() -> str:
    return "".join(f'#include "{p}"\n' for p in SOURCES)


@pytest.mark.parametrize(
    "compiler", ["gcc", "clang", "arm-none-eabi-gcc", "arm-none-eabi-gcc -mcpu=cortex-m4"]
)
def test_warnings_of_installed_compilers(compiler: str, tmp_path: Path) -> None:
    """No warning in any kernel."""
    command = compiler.split()
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed; apt-get install it")
    _compile(command, _everything(), tmp_path)


@pytest.mark.parametrize("core", sorted(TARGETS))
def test_warnings_of_zig(core: str, tmp_path: Path) -> None:
    """No warning in any kernel for the cores we run on."""
    if importlib.util.find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed; pip install 'milliwatt[emulate]'")
    target, cpu = TARGETS[core]
    zig = [sys.executable, "-m", "ziglang", "cc", "-target", target, f"-mcpu={cpu}"]
    _compile(zig, _everything(), tmp_path)


def _one_call_a_row() -> Iterator[Call]:
    for row in TABLE:
        yield call_of(next(n for _, n in CASES if bind(n) and row.matches(n, DSP_TARGET)), row)


def test_fields_are_the_struct(tmp_path: Path) -> None:
    """Every call initialises every member of its struct, in the struct's order."""
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed; apt-get install gcc")
    text = '#include <stddef.h>\n#include "mw.h"\n'
    for number, call in enumerate(_one_call_a_row()):
        values = ["NULL" if isinstance(v, np.ndarray) else "1" for _, v in call.fields]
        kind, names = call.params_type, [name for name, _ in call.fields]
        # Too many values or too few are warnings, so errors; the order is checked by offset.
        text += f"const {kind} p{number};\n"
        text += f"const {kind} p{number} = {{{', '.join(values)}}};\n"
        for index, (a, b) in enumerate(itertools.pairwise(names)):
            order = f"offsetof({kind}, {a}) < offsetof({kind}, {b})"
            text += f"typedef char order_{number}_{index}[{order} ? 1 : -1];\n"
    _compile(["gcc", "-Wno-missing-braces"], text, tmp_path)


def test_bound_once() -> None:
    """Packing weights is not repeated for the same node."""
    node = CASES[0][1]
    assert bind(node) is bind(node)


def _image(shape: tuple[int, ...] = (1, 4, 4, 2), name: str = "x") -> Node:
    return graph_input(shape, DType.S8, name, Quant.per_tensor(0.1, 3))


def test_no_row_names_what_would_do() -> None:
    """An operator on types without a kernel: node, types, what is wanted."""
    lookup = next(n for name, n in CASES if name.startswith("lookup"))
    odd = Node(lookup.op, lookup.src, lookup.attrs, "odd")
    kind = lookup.type.__class__(lookup.type.shape, DType.U8, lookup.type.quant)
    object.__setattr__(odd, "type", kind)
    with pytest.raises(UnsupportedOp, match=r"odd \(lookup\): no kernel for s8.* s8 to s8 wanted"):
        bind(odd)
    with pytest.raises(UnsupportedOp, match=r"x \(input\): .*not a computation"):
        bind(_image())
    flat = Node(Op.RESHAPE, (_image(),), Reshape((32,)), "flat")
    with pytest.raises(UnsupportedOp, match=r"flat \(reshape\): .*the same bytes under another"):
        bind(flat)


def test_computed_parameters() -> None:
    """Weights may be computed at run time, biases and weights of 4 bits may not."""
    x = graph_input((1, 8), DType.S8, "x", Quant.per_tensor(0.1))
    attrs = FullyConnected(quant=Quant.per_tensor(0.1))

    def dense(dtype: DType, *bias: Node) -> Node:
        weight = graph_input((3, 8), dtype, "w", Quant.per_tensor(0.1))
        return Node(Op.FULLY_CONNECTED, (x, weight, *bias), attrs, "fc")

    assert bind(dense(DType.S8)).kernel == "mw_conv2d_runtime_s8"
    with pytest.raises(UnsupportedOp, match=r"fc \(fully_connected\): bias is computed by b; a"):
        bind(dense(DType.S8, graph_input((3,), DType.S32, "b")))
    with pytest.raises(UnsupportedOp, match=r"fc .*: weight s4\[3,8\] is computed by w; s8 or a"):
        bind(dense(DType.S4))


@pytest.mark.parametrize(
    ("bias", "fits"), [(2**31 - 1024 - 256, False), (2**31 - 1024 - 257, True)]
)
def test_sums_that_leave_32_bits(bias: int, fits: bool) -> None:
    """A bias that may overflow the accumulator is refused; one just below is not."""
    x = graph_input((1, 2), DType.S8, "x", Quant.per_tensor(0.1))
    weight = constant(np.ones((1, 2), np.int8), "w", Quant.per_tensor(0.1))
    node = Node(
        Op.FULLY_CONNECTED,
        (x, weight, constant(np.array([bias], np.int32), "b")),
        FullyConnected(quant=Quant.per_tensor(0.1)),
        "fc",
    )
    if fits:
        assert bind(node).kernel == "mw_fully_connected_s8"
    else:
        with pytest.raises(UnsupportedOp, match="sum of channel 0 may reach"):
            bind(node)


def test_inplace() -> None:
    """What may be overwritten: operands of the result's size that are read element by element."""
    x, y = _image(), _image(name="y")
    row, fixed = _image((2,), "row"), constant(np.ones((1, 4, 4, 2), np.int8), "c", x.type.quant)
    attrs = Elementwise(quant=x.type.quant)
    assert bind(Node(Op.ADD, (x, y), attrs, "add")).inplace == (0, 1)
    assert bind(Node(Op.ADD, (row, x), attrs, "add")).inplace == (1,)
    assert bind(Node(Op.ADD, (fixed, x), attrs, "add")).inplace == (0,)
    weight = constant(np.ones((2, 1, 1, 2), np.int8), "w", Quant.per_tensor(0.1))
    conv = Node(Op.CONV2D, (x, weight), Conv2d(quant=x.type.quant), "conv")
    assert bind(conv).inplace == ()
    assert bind(conv).workspace_bytes == 0
