"""Arguments and options that commands share, with their help and completion."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

DEFAULT_BOARD = "nucleo-l4r5zi"
DEFAULT_STACK = 2048
"""compiler.toolchain.STACK_BYTES, which is slow to import for a help text."""


class Toolchain(enum.StrEnum):
    """Compilers that `build` takes."""

    ZIG = "zig"
    GCC = "gcc"


class Optimize(enum.StrEnum):
    """What the choice of kernels and the compiler favour."""

    SPEED = "speed"
    RAM = "ram"
    FLASH = "flash"
    BALANCED = "balanced"


class Precision(enum.StrEnum):
    """Element types of activations and weights that `quantize` writes."""

    INT8 = "int8"
    INT16 = "int16"
    FLOAT16 = "float16"


def complete_board(incomplete: str) -> list[tuple[str, str]]:
    """Board names that start with what is typed, each with its title."""
    from milliwatt.emulate.boards import boards

    return [(b.name, b.title) for b in boards() if b.name.startswith(incomplete)]


def check_board(value: str | None) -> str | None:
    """Refuse an unknown name: wrong usage. A TOML file is read where it is needed."""
    from milliwatt.emulate.boards import board
    from milliwatt.errors import BadData

    if value is not None and not value.endswith(".toml"):
        try:
            board(value)
        except BadData as error:
            raise typer.BadParameter(str(error)) from None
    return value


def check_suffix(path: Path, option: str) -> None:
    """Refuse a file that no graph can be written as: wrong usage."""
    from milliwatt.debug.files import GRAPH_SUFFIXES

    if path.suffix.lower() not in GRAPH_SUFFIXES:
        raise typer.BadParameter(
            f"{path}: a name that ends in {' or '.join(GRAPH_SUFFIXES)} wanted", param_hint=option
        )


def check_calibration(value: str) -> str:
    """Refuse what is no calibration method: wrong usage."""
    from milliwatt.compress.calibrate import Method
    from milliwatt.errors import BadData

    try:
        Method.parse(value)
    except BadData as error:
        raise typer.BadParameter(str(error)) from None
    return value


def check_drop(value: float | None) -> float | None:
    """Refuse what is no loss of accuracy: wrong usage."""
    if value is not None and not 0 <= value < 1:
        raise typer.BadParameter(f"{value}: 0 or more and below 1 wanted: 0.01 is 1 %")
    return value


ModelFile = Annotated[
    Path, typer.Argument(metavar="MODEL", help="A .tflite file, or a .mwg file of `mw quantize`.")
]
BoardName = Annotated[
    str,
    typer.Option(
        "--board",
        "-b",
        help="A board of `mw boards`, or a TOML file.",
        autocompletion=complete_board,
        callback=check_board,
    ),
]
DemoBoard = Annotated[
    str | None,
    typer.Option(
        "--board",
        "-b",
        help="A board of `mw boards`, or a TOML file.",
        autocompletion=complete_board,
        callback=check_board,
        show_default="nucleo-l4r5zi; digits: esp32-c3 too",
    ),
]
ToolchainName = Annotated[Toolchain, typer.Option("--toolchain", help="The C compiler.")]
OptimizeFor = Annotated[
    Optimize, typer.Option("--optimize", help="What kernels are chosen for: docs/schedule.md.")
]


def parse_bytes(value: str) -> int:
    """A budget: wrong usage where it is no positive whole number."""
    try:
        found = int(value)
    except ValueError:
        found = 0
    if found <= 0:
        raise typer.BadParameter(f"{value}: a positive number of bytes wanted")
    return found


FlashBudget = Annotated[
    int | None,
    typer.Option(
        "--flash", metavar="BYTES", parser=parse_bytes, help="Most bytes that the image may take."
    ),
]
RamBudget = Annotated[
    int | None,
    typer.Option(
        "--ram", metavar="BYTES", parser=parse_bytes, help="Most bytes of static RAM and stack."
    ),
]


def check_latency(value: float | None) -> float | None:
    """Refuse what is no time: wrong usage."""
    if value is not None and not 0 < value < math.inf:
        raise typer.BadParameter(f"{value}: a time above 0 wanted")
    return value


LatencyBudget = Annotated[
    float | None,
    typer.Option(
        "--latency-ms", callback=check_latency, help="Longest predicted time of one inference."
    ),
]
Measure = Annotated[
    bool,
    typer.Option("--measure", help="Run candidate kernels in the emulator, do not predict them."),
]


def check_stack(value: int) -> int:
    """Refuse a stack that cannot be: wrong usage."""
    if value <= 0 or value % 8:
        raise typer.BadParameter(f"{value}: a positive multiple of 8 wanted")
    return value


StackBytes = Annotated[
    int, typer.Option("--stack", callback=check_stack, help="RAM kept for the stack, in bytes.")
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON on stdout and nothing else there.")
]
InputFile = Annotated[
    Path | None,
    typer.Option(
        "--input",
        "-i",
        help="A .npy file (one input, or a stack of inputs or frames), or a .npz by input.",
        show_default="random, fixed seed",
    ),
]


class DemoName(enum.StrEnum):
    """Tasks of the zoo."""

    DIGITS = "digits"
    KWS = "kws"


def refuse_foreign_options(task: DemoName, options: Mapping[str, Any]) -> None:
    """Refuse an option that the demo would ignore: wrong usage."""
    own = {"--output"} if task is DemoName.DIGITS else {"--model", "--data", "--count"}
    for name, value in options.items():
        if value is not None and name not in own:
            raise typer.BadParameter(f"the {task} demo has no such option", param_hint=name)
