"""Arguments and options that commands share, with their help and completion."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_BOARD = "nucleo-l4r5zi"
DEFAULT_STACK = 2048
"""compiler.toolchain.STACK_BYTES, which is slow to import for a help text."""


class Toolchain(enum.StrEnum):
    """Compilers that `build` takes."""

    ZIG = "zig"
    GCC = "gcc"


class Optimize(enum.StrEnum):
    """What the compiler favours."""

    SPEED = "speed"
    FLASH = "flash"


def complete_board(incomplete: str) -> list[tuple[str, str]]:
    """Board names that start with what is typed, each with its title."""
    from milliwatt.emulate.boards import boards

    return [(b.name, b.title) for b in boards() if b.name.startswith(incomplete)]


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
    ),
]
ToolchainName = Annotated[Toolchain, typer.Option("--toolchain", help="The C compiler.")]
OptimizeFor = Annotated[Optimize, typer.Option("--optimize", help="What the compiler favours.")]


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
        help="A .npy file (one input or a stack of them) or a .npz with one array an input.",
        show_default="random, fixed seed",
    ),
]


class DemoName(enum.StrEnum):
    """Tasks of the zoo."""

    DIGITS = "digits"
    KWS = "kws"
