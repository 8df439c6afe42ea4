"""What the emulated machine has to know about an instruction set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from milliwatt.emulate.timing.model import Instruction


@dataclass(frozen=True)
class Division:
    """A place where a division may be: its address and its operands' register numbers."""

    address: int
    dividend: int
    divisor: int
    signed: bool


@dataclass(frozen=True)
class Isa:
    """One instruction set as Unicorn and the timing model see it.

    `engine(core)` makes an emulator of that core; `register(name)` gives Unicorn's number of `pc`,
    `sp`, `return` or a general register's index; `entry_bit` is set in addresses that are jumped
    to. `idle` is an instruction that branches to itself. `divisions(code, address)` finds possible
    divisions; `system` lists regions (base, bytes) of plain memory for the core's own registers.
    """

    engine: Callable[[str], Any]
    register: Callable[[str | int], int]
    entry_bit: int
    idle: bytes
    decode: Callable[[bytes, int], Iterator[Instruction]]
    divisions: Callable[[bytes, int], Iterator[Division]]
    system: tuple[tuple[int, int], ...]
