"""What a spoiled .tflite file goes through, and what may come of it.

Read and verified it becomes a graph, the graph is compiled (passes, verify, plan, bind), written
and read again. A file ends in success or in a refusal that says where; anything else is a failure.
"""

from __future__ import annotations

import re
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import NoReturn

from milliwatt.compiler.program import compile_graph
from milliwatt.errors import ImportFailed, InvalidGraph, MilliwattWarning, UnsupportedOp
from milliwatt.formats.tflite import read_tflite
from milliwatt.formats.tflite_writer import write_tflite
from milliwatt.ir.graph import Graph

SECONDS_A_FILE = 2.0
MEMORY_BYTES = 512 << 20
MAX_MESSAGE = 2000

# What a refusal names: a place in the file, or a node by its name and operator.
_PLACE = re.compile(r"(offset|tensor|operator|subgraph|buffer) -?\d|variable |\S \(\w[^)]*\)")
# True of a file as a whole.
_WHOLE = re.compile(r"schema version \d+;|the file has no subgraph;|the file declares no outputs")


class TooSlow(BaseException):
    """Raised by the timer; no Exception, so that nothing on the way takes it for its own."""


@dataclass(frozen=True)
class Outcome:
    """What came of one file.

    `kind`: "ImportFailed", "UnsupportedOp" (while it is read), "uncompiled" (UnsupportedOp while it
    is compiled), "compiled" or "failure". `signature` is the same for files that take much the same
    way; `problem` says what was wrong of a failure.
    """

    kind: str
    signature: str
    problem: str = ""
    seconds: float = 0.0


def limit_memory(nbytes: int = MEMORY_BYTES) -> None:
    """Let this process take `nbytes` of address space more than it has; MemoryError beyond."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[0])
    limit = pages * resource.getpagesize() + nbytes
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def strict_warnings() -> None:
    """Make every warning an error, but for milliwatt's own notices."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", MilliwattWarning)


def check(model: bytes) -> Outcome:
    """Send one file down the path; processor time counts, so that a busy machine does no harm."""
    start = time.process_time()
    try:
        with _timer():
            outcome = _path(model)
    except (Exception, TooSlow) as error:
        outcome = Outcome("failure", _signature(error), _described(error))
    took = time.process_time() - start
    if took > SECONDS_A_FILE and outcome.kind != "failure":
        problem = f"took {took:.1f} s, {SECONDS_A_FILE} wanted"
        outcome = Outcome("failure", "slow " + outcome.signature, problem)
    return Outcome(outcome.kind, outcome.signature, outcome.problem, took)


def _path(model: bytes) -> Outcome:
    try:
        graph = read_tflite(model)
    except (ImportFailed, UnsupportedOp) as error:
        return _refused(type(error).__name__, error)
    again = _again(graph)
    try:
        program = compile_graph(graph)
    except UnsupportedOp as error:
        return _refused("uncompiled", error)
    kernels = sorted({step.call.kernel for step in program.all_steps()})
    return Outcome("compiled", f"compiled {again} {' '.join(kernels)}")


def _again(graph: Graph) -> str:
    """Write a graph that was read and read it again: the same graph, or TFLite cannot say it."""
    try:
        written = write_tflite(graph)
    except InvalidGraph as error:
        _refused("unwritten", error)
        return "unwritten"
    other = read_tflite(written, name=graph.name)
    if _nameless(other) != _nameless(graph):
        raise AssertionError(f"written and read it is another graph:\n{graph}\n{other}")
    return "written"


def _nameless(graph: Graph) -> list[tuple[str, str]]:
    """The nodes without what may differ: names, the scale a bias is given, the order of states."""
    return sorted((node.op.value, node.type.short) for node in graph.nodes())


def _refused(kind: str, error: Exception) -> Outcome:
    """A refusal, if its message is one line that names a place."""
    text = str(error)
    bare = text.removeprefix("model.tflite: ")
    if not text.isprintable() or len(text) > MAX_MESSAGE:
        raise AssertionError(f"message of {len(text)} characters is no line: {text[:300]!r}")
    if not (_PLACE.search(bare) or _WHOLE.match(bare)):
        raise AssertionError(f"message names no place: {text}")
    return Outcome(kind, f"{kind} {_bare(text)}")


@contextmanager
def _timer() -> Iterator[None]:
    signal.signal(signal.SIGPROF, _too_slow)
    signal.setitimer(signal.ITIMER_PROF, SECONDS_A_FILE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def _too_slow(number: int, frame: FrameType | None) -> NoReturn:
    raise TooSlow(f"more than {SECONDS_A_FILE} s")


def _bare(text: str) -> str:
    """A message without the names and numbers of one file."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", "Q", text)
    text = re.sub(r"[^\s:]+ \((\w+)\)", r"N (\1)", text)
    text = re.sub(r"\[[^\]]*\]|\([^)]*[\d,][^)]*\)", "L", text)
    return re.sub(r"[-+]?\d[\d.,e+-]*", "0", text)[:160]


def _signature(error: BaseException) -> str:
    """Where a failure was raised, and what."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "milliwatt" in f.filename] or frames
    place = f"{ours[-1].filename.rsplit('/', 1)[-1]}:{ours[-1].lineno}" if ours else "?"
    if isinstance(error, TooSlow):  # the timer strikes anywhere
        place = " ".join(f.name for f in ours[2:5])
    return f"failure {type(error).__name__} {place} {_bare(str(error).partition(chr(10))[0])[:80]}"


def _described(error: BaseException) -> str:
    frames = traceback.format_tb(error.__traceback__)[-4:]
    return f"{type(error).__name__}: {str(error)[:1500]}\n{''.join(frames)}"
