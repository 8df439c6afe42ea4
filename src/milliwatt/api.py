"""The public verbs: load and save, to_torch and from_torch, quantize, build; and Firmware, which
runs, measures, checks and saves.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from milliwatt.compiler.aim import Aim
from milliwatt.compiler.board import Board
from milliwatt.compiler.build import build_for
from milliwatt.compiler.firmware import Firmware as Image
from milliwatt.compiler.memory import draw_plan
from milliwatt.compiler.program import Program
from milliwatt.compiler.toolchain import STACK_BYTES
from milliwatt.compress.quantize import quantize as quantize_graph
from milliwatt.compress.report import layer_report
from milliwatt.compress.stream import stream as stream_graph
from milliwatt.debug.compare import (
    Divergence,
    Target,
    first_divergence,
    first_stream_divergence,
)
from milliwatt.debug.files import GRAPH_SUFFIXES, read_graph, write_folder, write_graph
from milliwatt.debug.inputs import Inputs, as_inputs, random_inputs, samples
from milliwatt.debug.measure import known_cycles
from milliwatt.debug.report import Report, check_period, equal, make_report, reference_outputs
from milliwatt.emulate.boards import board, boards
from milliwatt.emulate.boards import board as find_board
from milliwatt.emulate.machine import LIMIT_CYCLES, Trace, machine_for
from milliwatt.emulate.machine import run as run_firmware
from milliwatt.errors import BadData, ImportFailed
from milliwatt.formats.bridge import from_torch, to_torch
from milliwatt.ir.graph import Graph

if TYPE_CHECKING:
    import torch

__all__ = [
    "Firmware",
    "board",
    "boards",
    "build",
    "from_torch",
    "layer_report",
    "load",
    "quantize",
    "save",
    "stream",
    "to_torch",
]

DEFAULT_BOARD = "nucleo-l4r5zi"
SEED = 0
"""Seed of the random input that a profile without an input uses."""

P = ParamSpec("P")
R = TypeVar("R")


def _wants_graph(verb: Callable[P, R]) -> Callable[P, R]:
    """The verb, with BadData where its first argument is a model that was not loaded."""

    @functools.wraps(verb)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        given = args[0] if args else kwargs.get("graph")
        if (args or "graph" in kwargs) and not isinstance(given, Graph):
            raise BadData(
                f"{verb.__name__}: {type(given).__name__} given; a Graph wanted, "
                "call mw.load(...) first"
            )
        return verb(*args, **kwargs)

    return checked


quantize = _wants_graph(quantize_graph)
stream = _wants_graph(stream_graph)


def load(
    source: str | os.PathLike[str] | bytes | torch.nn.Module,
    *,
    example: Any = None,
    name: str | None = None,
) -> Graph:
    """Read a model into a Graph.

    Args:
        source: a .tflite file (path or bytes), a .mwg file (a Graph as text, as `mw quantize`
            writes it), or a torch.nn.Module.
        example: for a module, an input that it runs on, float32 in torch's axis order with the
            batch that the firmware runs (1 as a rule), or a tuple of them.
        name: of the graph; the file's stem or the module's class by default.
    Raises: ImportFailed where the source cannot be read; UnsupportedOp for an operator that
        milliwatt does not have.
    """
    from milliwatt.formats.tflite import read_tflite

    if isinstance(source, bytes | bytearray | memoryview):
        return read_tflite(bytes(source), name=name)
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if path.suffix.lower() == ".tflite":
            return read_tflite(path, name=name)
        if path.suffix.lower() == ".mwg":
            return read_graph(path)
        raise ImportFailed(
            f"{path}: {path.suffix or 'a name without suffix'} is no format that milliwatt reads; "
            ".tflite or .mwg wanted (in Python also a torch.nn.Module)"
        )
    if not callable(getattr(source, "state_dict", None)):
        raise ImportFailed(
            f"{type(source).__name__} is not a model; a path, bytes or torch.nn.Module wanted"
        )
    if example is None:
        raise ImportFailed(
            f"{type(source).__name__}: a module needs an input to be traced with; "
            "pass example=, float32 with a batch of 1"
        )
    from milliwatt.formats.torch import read_torch

    return read_torch(source, example, name=name)


@_wants_graph
def save(graph: Graph, path: str | os.PathLike[str]) -> None:
    """Write a graph as a .mwg file, text that `load` and `mw` read, or as a .tflite file for them
    and for other tools; its folder is made.

    The file appears whole or not at all, over an older one if there is one. Raises: BadData for
    another suffix; InvalidGraph naming the node that TFLite cannot say; MilliwattError naming the
    file where it cannot be written.
    """
    if not isinstance(path, str | os.PathLike):
        raise BadData(f"save: {type(path).__name__} given; a path wanted")
    if Path(path).suffix.lower() not in GRAPH_SUFFIXES:
        raise BadData(f"{path}: a name that ends in .mwg or .tflite wanted")
    write_graph(graph, Path(path))


@_wants_graph
def build(
    graph: Graph,
    *,
    board: str | Path | Board = DEFAULT_BOARD,
    toolchain: str = "zig",
    optimize: str = "speed",
    stack_bytes: int = STACK_BYTES,
    flash: int | None = None,
    ram: int | None = None,
    latency_ms: float | None = None,
    measure: bool = False,
) -> Firmware:
    """Compile a graph to firmware for a board.

    Args:
        board: a name that `mw boards` lists, a TOML file, or a Board.
        toolchain: "zig" or "gcc".
        optimize: "speed": fewest cycles; "ram": smallest arena; "flash": smallest image;
            "balanced": smallest product of cycles and the root of the arena (docs/schedule.md).
        stack_bytes: RAM kept for the stack, a multiple of 8; reports say how much a run used.
        flash: budget of the whole image in bytes.
        ram: budget of all RAM with a fixed address and the stack, in bytes.
        latency_ms: budget of the predicted time of one inference.
        measure: run the candidates of every layer in the emulator instead of predicting their
            cycles; what was measured is kept in the cache folder.
    Raises: InvalidGraph, UnsupportedOp naming a node; DoesNotFit saying what is missing in which
        memory and in which layer most; ToolMissing without the compiler; BadData for an unknown
        board or option.
    """
    target = board if isinstance(board, Board) else find_board(board)
    aim = Aim(optimize, flash, ram, latency_ms)
    built = build_for(
        graph,
        target,
        aim,
        toolchain=toolchain,
        stack_bytes=stack_bytes,
        measured=known_cycles(graph, target, aim, toolchain, measure=measure),
    )
    program, image = built.found.program, built.firmware
    return Firmware(graph, program, image, toolchain, stack_bytes, built.compiled_for)


@dataclass(frozen=True)
class Firmware:
    """A graph, its compiled program and the linked image for one board.

    Sizes in bytes: `flash_bytes` = `code_bytes` + `weight_bytes`; `arena_bytes` is the one buffer
    that holds activations; `static_ram_bytes` is all RAM with a fixed address, arena included;
    `stack_bytes` is the RAM kept for the stack, which a board needs on top. `compiled_for` is the
    aim whose compiler flag was used: "flash" may be that of an image with a flash budget.
    """

    graph: Graph
    program: Program
    image: Image
    toolchain: str
    stack_bytes: int = STACK_BYTES
    compiled_for: str = "speed"

    def __repr__(self) -> str:
        sizes = f"{self.flash_bytes:,} flash, {self.static_ram_bytes:,} RAM bytes"
        return f"<Firmware {self.image.name} for {self.board.name}: {sizes}>"

    @property
    def board(self) -> Board:
        """The board the image is for."""
        return self.image.board

    @property
    def flash_bytes(self) -> int:
        """Flash the image takes."""
        return self.image.flash_bytes

    @property
    def code_bytes(self) -> int:
        """Flash without the model's constants."""
        return self.image.code_bytes

    @property
    def weight_bytes(self) -> int:
        """Flash of the model's constants."""
        return self.image.weight_bytes

    @property
    def arena_bytes(self) -> int:
        """RAM of inputs, activations and outputs."""
        return self.image.arena_bytes

    @property
    def static_ram_bytes(self) -> int:
        """RAM with a fixed address, the stack not included."""
        return self.image.static_ram_bytes

    def run(self, x: Any, *, limit_cycles: int = LIMIT_CYCLES) -> Trace:
        """Run one inference on the emulated board; states hold their first values.

        Args:
            x: one array, or a tuple with one an input, in the input's own type or as floats, which
                are quantized; a batch axis of 1 may be left out.
            limit_cycles: where to stop an endless run.
        Raises: BadData for a wrong input; MachineFault where the firmware crashes or does not end.
        """
        values = as_inputs(self.graph, x)
        return run_firmware(self.image, values, limit_cycles=limit_cycles)

    def run_many(self, xs: Any) -> Iterator[Trace]:
        """Run many independent inferences and yield a Trace each as they finish.

        All run on one machine; what a model remembers is forgotten before each, see `stream`.
        `xs`: an array [N, ...], a tuple of such arrays, one an input, or an iterable of what `run`
        takes. Raises as `run` does, with the sample's number where it is wrong.
        """
        session = machine_for(self.board).load(self.image)
        for index, x in enumerate(samples(self.graph, xs)):
            if index and self.graph.updates:
                session.reset()
            yield session.run(x)

    def stream(self, frames: Any) -> Iterator[Trace]:
        """Run frame after frame, states going on from one to the next, and yield a Trace each.

        `frames`: as `xs` of `run_many`, in their order in time. Raises as `run_many` does.
        """
        session = machine_for(self.board).load(self.image)
        for frame in samples(self.graph, frames):
            yield session.run(frame)

    def check(self, x: Any, *, stream: bool = False) -> bool:
        """True where the emulated board gives the reference's outputs, bit for bit.

        With `stream`, x are frames as `stream` takes them, and all of them are compared.
        """
        inputs = self._inputs(x, stream)
        wanted = reference_outputs(self.graph, inputs, stream=stream)
        found = self.stream(inputs) if stream else self.run_many(inputs)
        return all(equal(a.outputs, b) for a, b in zip(found, wanted, strict=True))

    def profile(
        self, x: Any = None, *, period_ms: float | None = None, stream: bool = False
    ) -> Report:
        """Run, compare with the reference, and report cycles, energy and memory by layer.

        Without `x` the input is random with a fixed seed, and the report's `input` says so. With
        `stream`, x are frames as `stream` takes them, all are compared and the slowest is reported.
        period_ms: time from one inference to the next, adds energy with sleep. Raises as `run`
        does; BadData where the period is shorter than the latency or the board lacks a power.
        """
        check_period(self.board, period_ms)
        text = "given" if x is not None else f"random, seed {SEED}"
        inputs = [random_inputs(self.graph, SEED)] if x is None else self._inputs(x, stream)
        traces = list(self.stream(inputs) if stream else self.run_many(inputs))
        return make_report(
            self.graph, self.image, inputs, traces, text, period_ms=period_ms, stream=stream
        )

    def first_divergence(self, x: Any, *, stream: bool = False) -> Divergence | None:
        """The first layer whose value on the board differs from the reference's, if any.

        With `stream`, x are frames as `stream` takes them: the layer is one of the first frame
        that leaves a wrong output or state. Takes some builds and runs of a second or so each;
        errors as in `run`.
        """
        target = Target(self.board, self.toolchain, self.compiled_for, self.stack_bytes)
        inputs = self._inputs(x, stream)
        if stream:
            return first_stream_divergence(self.graph, self.program, target, inputs)
        return first_divergence(self.graph, self.program, target, inputs[0])

    def _inputs(self, x: Any, stream: bool) -> list[Inputs]:
        """One inference's inputs, or those of every frame."""
        if not stream:
            return [as_inputs(self.graph, x)]
        frames = list(samples(self.graph, x))
        if not frames:
            raise BadData(f"{self.graph.name}: no frames given; one or more wanted")
        return frames

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the C sources, the linked image, the memory plan and checksums as a folder.

        The folder must be new, empty, or an unchanged one of an earlier `save`. It appears whole
        or, where writing fails, not at all. Raises: MilliwattError naming folder and reason.
        """
        suffix = "so" if self.board.is_host else "elf"
        files = {path: text.encode() for path, text in self.image.sources.items()}
        files[f"firmware.{suffix}"] = self.image.image
        files["plan.txt"] = draw_plan(self.program.plan).encode()
        write_folder(Path(folder), files)
