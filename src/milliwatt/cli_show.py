"""What commands print: tables for people on stdout, or JSON and nothing else there."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


def show(*parts: RenderableType) -> None:
    """Print tables and lines on stdout, as wide as the terminal, in colour only there."""
    from rich.console import Console

    from milliwatt.debug.table import as_text

    if sys.stdout.isatty():
        for part in parts:
            Console(highlight=False).print(part)
    else:
        print(as_text(*parts))


def show_json(value: Any) -> None:
    """Print one JSON document on stdout; NaN and infinity, which JSON lacks, are refused."""
    print(json.dumps(value, indent=2, allow_nan=False))


def note(text: str) -> None:
    """One line for people on stderr, so that stdout stays for results."""
    print(f"mw: {text}", file=sys.stderr)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """A spinner on stderr while the block runs; nothing where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(text):
        yield
