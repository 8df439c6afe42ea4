"""Kernels against the reference: built sanitized by gcc and clang, fed one node at a time."""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from milliwatt.compiler.bind import Call, bind, choices
from milliwatt.compiler.target import DSP, Target
from milliwatt.ir.attrs import NO_CLAMP
from milliwatt.ir.graph import Node
from milliwatt.ir.ops import OPS, Op
from milliwatt.ir.types import DType
from support.single_ops import random_values

KERNELS = Path(__file__).resolve().parents[2] / "src" / "milliwatt" / "kernels"
WARNINGS = (
    *("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wsign-conversion"),
    *("-Wmissing-prototypes", "-pedantic", "-Werror"),
)
_SANITIZE = ("-O1", "-g", "-shared", "-fPIC", "-fsanitize=address,undefined")
_SANITIZE_ALL = (*_SANITIZE, "-fno-sanitize-recover=all")
F32_TOLERANCE = 1e-5
# Results that are bundles; of float operands they hold floats, gaps of 0 between them.
_BUNDLES = (Op.DETECTION_POSTPROCESS, Op.LSTM)


@dataclass(frozen=True)
class Compiler:
    """A host compiler whose sanitizer runtime can be loaded before Python."""

    name: str
    runtime: str
    flags: tuple[str, ...] = ()

    @property
    def preload(self) -> str | None:
        """Path of the address sanitizer's shared library; None where there is none."""
        if shutil.which(self.name) is None:
            return None
        command = [self.name, f"-print-file-name={self.runtime}"]
        path = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        return path if os.path.isabs(path) else None


COMPILERS = (
    Compiler("gcc", "libasan.so"),
    Compiler("clang", "libclang_rt.asan-x86_64.so", ("-shared-libasan",)),
)


def build_library(compiler: Compiler, folder: Path) -> tuple[Path, subprocess.Popen[bytes] | None]:
    """The sanitized library of all kernels, and the process still making it, if any.

    The process makes `unfinished(library)`: another session may look for the library meanwhile.
    """
    sources = sorted(KERNELS.glob("*.[ch]"))
    digest = hashlib.sha256(repr((compiler, _SANITIZE_ALL)).encode())
    for path in sources:
        digest.update(path.name.encode() + path.read_bytes())
    library = folder / f"{compiler.name}-{digest.hexdigest()[:16]}.so"
    if library.exists():
        return library, None
    files = [str(p) for p in sources if p.suffix == ".c"]
    command = [compiler.name, *WARNINGS, *_SANITIZE_ALL, *compiler.flags, *files]
    made = str(unfinished(library))
    return library, subprocess.Popen([*command, "-o", made], stderr=subprocess.PIPE)


def unfinished(library: Path) -> Path:
    """Where this process makes a library, to rename it when it is whole."""
    return library.with_suffix(f".{os.getpid()}")


class Worker:
    """A sanitized process that runs kernels; one request at a time."""

    def __init__(self, compiler: Compiler, library: Path) -> None:
        """Start the process."""
        self.compiler, self.library = compiler, library
        self.name = compiler.name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by close()
        preload = compiler.preload
        assert preload is not None
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("worker.py")), str(library)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "LD_PRELOAD": preload, "ASAN_OPTIONS": "detect_leaks=0"},
        )

    def run(
        self, call: Call, operands: list[np.ndarray], out_bytes: int, over: int | None
    ) -> bytes:
        """The bytes of one call's result; AssertionError with the sanitizer's report if it died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        request = {
            "kernel": call.kernel,
            "fields": [
                (name, value.tobytes() if isinstance(value, np.ndarray) else value)
                for name, value in call.fields
            ],
            "operands": [array.tobytes() for array in operands],
            "out_bytes": out_bytes,
            "workspace_bytes": call.workspace_bytes,
            "variadic": call.variadic,
            "over": over,
        }
        try:
            pickle.dump(request, self._process.stdin)
            self._process.stdin.flush()
            reply = pickle.load(self._process.stdout)
        except (EOFError, BrokenPipeError):
            self._log.seek(0)
            report = self._log.read().decode(errors="replace")
            raise AssertionError(f"{call.kernel} built by {self.name} died:\n{report}") from None
        assert isinstance(reply, bytes), f"{call.kernel} built by {self.name}: {reply}"
        return reply

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._log.close()


# Kernels for an extension have C twins of their assembly, which are what runs here.
DSP_TARGET = Target(frozenset({DSP}))


def operand_values(node: Node, seed: int) -> list[np.ndarray]:
    """A value for every operand: constants their own, inputs random over their whole range."""
    rng = np.random.default_rng([seed, 7])
    given: dict[Node, np.ndarray] = {}
    for source in node.src:
        if source not in given:
            value = source.value if source.is_constant else random_values(rng, source.type)
            given[source] = value
    return [given[source] for source in node.src]


def check(node: Node, workers: list[Worker], seed: int = 0) -> Call:
    """Every kernel that runs the node, of every compiler, gives the reference's result, also in
    place; the call that portable programs make."""
    values = operand_values(node, seed)
    types = [s.type for s in node.src]
    wanted = OPS[node.op].reference(node.attrs, node.type, types, values)
    if node.op in _BUNDLES and types[0].dtype is DType.F32:
        wanted = wanted.view(np.float32)
    reach = wanted
    if wanted.dtype == np.float32 and getattr(node.attrs, "clamp", NO_CLAMP) != NO_CLAMP:
        # Sums round in proportion to what they hold before the activation cuts it.
        attrs: Any = node.attrs
        open_ended = replace(attrs, clamp=NO_CLAMP)
        reach = OPS[node.op].reference(open_ended, node.type, types, values)
    calls = choices(node, DSP_TARGET)
    for call in calls:
        operands = [np.ascontiguousarray(values[i]) for i in call.operands]
        variable = [k for k, i in enumerate(call.operands) if not node.src[i].is_constant]
        for worker in workers:
            for over in (None, *(variable[k] for k in call.inplace)):
                data = worker.run(call, operands, node.type.nbytes, over)
                got = np.frombuffer(data, wanted.dtype).reshape(wanted.shape)
                where = f"{call.kernel} ({worker.name}{'' if over is None else f', over {over}'})"
                compare(got, wanted, where, reach)
    return bind(node)


def compare(
    got: np.ndarray, wanted: np.ndarray, where: str, reach: np.ndarray | None = None
) -> None:
    """0 differing integers; floats within 1e-5 of their own or of the largest of `reach`.

    `reach` are the results before an activation cuts them, by default the results.
    """
    assert wanted.dtype == got.dtype
    if wanted.dtype == np.float32:
        held = wanted if reach is None else reach
        scale = np.abs(held[np.isfinite(held)]).max(initial=1e-30)
        tolerance = {"rtol": F32_TOLERANCE, "atol": F32_TOLERANCE * scale}
        close = np.isclose(got, wanted, **tolerance, equal_nan=True)
        assert close.all(), f"{where}: {(~close).sum()} of {close.size} values differ"
        return
    differ = np.flatnonzero(got.reshape(-1) != wanted.reshape(-1))
    assert differ.size == 0, (
        f"{where}: {differ.size} of {wanted.size} values differ, the first at {differ[0]}: "
        f"{got.reshape(-1)[differ[0]]}, {wanted.reshape(-1)[differ[0]]} wanted"
    )
