"""The compiler's last product: sources, image and symbol map, ready for a machine or a board."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from milliwatt.compiler.board import Board
from milliwatt.compiler.bound import Bound
from milliwatt.ir.types import Type


@dataclass(frozen=True)
class Layer:
    """One kernel call of the generated `mw_model_run`, in execution order.

    `symbol` is the C function that holds just this call (never inlined), so that a machine can tell
    layers apart by the program counter alone. `macs` counts multiply-accumulates of one inference.
    `bound` are the fewest cycles that the layer can take on the board, None where none is known.
    """

    name: str
    op: str
    kernel: str
    symbol: str
    macs: int
    weight_bytes: int
    bound: Bound | None = None


@dataclass(frozen=True)
class Port:
    """An input, output or state: where in the arena its bytes lie (row-major, the type's dtype)."""

    name: str
    type: Type
    offset: int


@dataclass(frozen=True)
class Symbol:
    """A symbol of the linked image; `section`: `text`, `rodata`, `data` or `bss`; size in bytes."""

    name: str
    address: int
    nbytes: int
    section: str


@dataclass(frozen=True)
class Firmware:
    """Generated C with its linked image.

    `image` is an ELF executable for a board, a shared library for the `host` board. Both export
    `uint8_t mw_arena[]`, `int mw_firmware_init(void)` and `int mw_firmware_run(void)`: write the
    inputs at `mw_arena + port.offset`, call run, read the outputs. A status of 0 is success. States
    go on from run to run; init gives them their first values.
    """

    name: str
    board: Board
    toolchain: str
    optimize: str
    sources: Mapping[str, str] = field(repr=False)
    image: bytes = field(repr=False)
    symbols: tuple[Symbol, ...] = field(repr=False)
    layers: tuple[Layer, ...] = field(repr=False)
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    states: tuple[Port, ...]
    arena_bytes: int
    flash_bytes: int
    code_bytes: int
    weight_bytes: int
    static_ram_bytes: int

    @property
    def state_bytes(self) -> int:
        """Bytes at the start of the arena that runs find as the run before left them."""
        end = max((port.offset + port.type.nbytes for port in self.states), default=0)
        return -(-end // 8) * 8
