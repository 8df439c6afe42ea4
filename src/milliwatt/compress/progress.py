"""A progress bar on stderr for work that takes over a second; silent in pipes."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 1.0


def track(items: Iterable[T], text: str, total: int | None = None) -> Iterator[T]:
    """Yield `items`; after PATIENCE_S a bar of `total` steps shows where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    began = time.monotonic()
    bar = Progress(console=Console(stderr=True), transient=True)
    task = bar.add_task(text, total=total)
    shown = False
    try:
        for item in items:
            yield item
            bar.advance(task)
            if not shown and time.monotonic() - began > PATIENCE_S:
                bar.start()
                shown = True
    finally:
        if shown:
            bar.stop()
