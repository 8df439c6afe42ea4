"""What commands print: tables for people on stdout, or JSON and nothing else there."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType


PATIENCE_S = 1.0
"""Seconds of work before its spinner shows."""


def show(*parts: RenderableType) -> None:
    """Print tables and lines on stdout, as wide as the terminal, in colour only there."""
    from rich.console import Console

    from milliwatt.debug.table import as_text

    if sys.stdout.isatty():
        for part in parts:
            Console(highlight=False).print(part, crop=False)
    else:
        print(as_text(*parts))


def show_json(value: Any) -> None:
    """Print one JSON document on stdout; NaN and infinity, which JSON lacks, become null."""
    print(json.dumps(_finite(value), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    """Lists and dicts with None in the place of every float that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def note(text: str) -> None:
    """One line for people on stderr, so that stdout stays for results."""
    print(f"mw: {text}", file=sys.stderr)


@contextlib.contextmanager
def waiting(text: str) -> Iterator[None]:
    """After PATIENCE_S a spinner with the time spent, on stderr, until the block ends.

    Nothing where stderr is no terminal.
    """
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    parts = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    clock = Progress(*parts, console=Console(stderr=True), transient=True)
    clock.add_task(text, total=None)
    timer = threading.Timer(PATIENCE_S, clock.start)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        clock.stop()
