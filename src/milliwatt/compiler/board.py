"""A board as data: core, clock, memories, flash timing, power, and where each number comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

CORES = (
    "host",
    "cortex-m0plus",
    "cortex-m3",
    "cortex-m4",
    "cortex-m7",
    "cortex-m33",
    "rv32imc",
)


@dataclass(frozen=True)
class Cache:
    """A cache in front of the flash: `lines` of `line_bytes`, `ways` lines a set, LRU."""

    lines: int
    line_bytes: int
    ways: int


@dataclass(frozen=True)
class FlashTiming:
    """What a flash access costs beyond the core's own cycle.

    A read of `read_bits` aligned bits that misses its cache costs `wait_states` extra cycles. With
    `whole_line` a miss reads the complete line at once and `wait_states` is the cost of that;
    without it a line has one valid bit per read. `unified` sends data through the instruction
    cache. With `prefetch` the next sequential read is started in the background.
    """

    wait_states: int = 0
    read_bits: int = 32
    prefetch: bool = False
    whole_line: bool = False
    unified: bool = False
    icache: Cache | None = None
    dcache: Cache | None = None


@dataclass(frozen=True)
class Board:
    """A microcontroller board, or a bare core without wait states.

    Sizes in bytes, clock in Hz, power in mW at the board's supply: `active_power_mw` while
    computing, `sleep_power_mw` while waiting for the next input with RAM kept, None where no
    figure is known. `error_percent` is the error bar of estimated cycles. `sources` maps each
    field to the document or measurement it is from. `flash_bytes` and `ram_bytes` 0 mean: not
    limited.
    """

    name: str
    title: str
    core: str
    clock_hz: int
    flash_base: int
    flash_bytes: int
    ram_base: int
    ram_bytes: int
    fpu: bool
    dsp: bool
    flash: FlashTiming
    active_power_mw: float | None
    sleep_power_mw: float | None
    error_percent: float
    sources: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_host(self) -> bool:
        """True for the machine milliwatt itself runs on."""
        return self.core == "host"

    @property
    def is_arm(self) -> bool:
        """True for the Cortex-M family."""
        return self.core.startswith("cortex-m")
