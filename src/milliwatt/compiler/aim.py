"""What a build is for: the aim that ranks candidates, and the budgets that they must keep."""

from __future__ import annotations

import math
from dataclasses import dataclass

from milliwatt.errors import BadData

AIMS = ("speed", "ram", "flash", "balanced")


@dataclass(frozen=True)
class Aim:
    """What is wanted: an aim of AIMS, and budgets, None where there is none.

    `flash_bytes` is for the whole image, `ram_bytes` for static data, arena and stack together,
    `latency_ms` for the predicted time of one inference.
    """

    optimize: str = "speed"
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    latency_ms: float | None = None

    def __post_init__(self) -> None:
        """Raise BadData naming what is no aim or no budget."""
        if self.optimize not in AIMS:
            raise BadData(f"optimize is {self.optimize!r}; one of {', '.join(AIMS)} wanted")
        for name, value in (("flash", self.flash_bytes), ("ram", self.ram_bytes)):
            if value is not None and (type(value) is not int or value <= 0):
                raise BadData(f"{name} is {value!r}; a positive number of bytes wanted")
        limit = self.latency_ms
        if limit is not None and not (type(limit) in (int, float) and 0 < limit < math.inf):
            raise BadData(f"latency_ms is {limit!r}; a positive number of milliseconds wanted")
