"""How much work something is, in seconds of this process's own CPU time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

TRIES = 3
Result = TypeVar("Result")


def cpu_seconds(work: Callable[[], Result], enough: float) -> tuple[float, Result]:
    """CPU seconds of `work()` and its result: the least of up to TRIES calls, ended by `enough`.

    Waiting does not count, and a core that is shared with other work only ever adds: what is
    really too much work is too much every time.
    """
    least = float("inf")
    for _ in range(TRIES):
        start = time.process_time()
        result = work()
        least = min(least, time.process_time() - start)
        if least < enough:
            break
    return least, result
