"""Boards, and how much of one a firmware takes, as plain values and as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from milliwatt.compiler.board import Board
from milliwatt.debug.table import Fact, columns, facts, heading

if TYPE_CHECKING:
    from rich.console import RenderableType

    from milliwatt.compiler.firmware import Firmware


def boards_dict(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """What a board file says, without its flash timing; sizes 0 mean: not limited."""
    return [
        {
            "name": board.name,
            "title": board.title,
            "core": board.core,
            "clock_hz": board.clock_hz,
            "flash_bytes": board.flash_bytes,
            "ram_bytes": board.ram_bytes,
            "active_power_mw": board.active_power_mw,
            "sleep_power_mw": board.sleep_power_mw,
            "error_percent": board.error_percent,
            "sources": dict(board.sources),
        }
        for board in boards
    ]


def boards_view(boards: Sequence[Board]) -> RenderableType:
    """One row a board: core, clock, memories, powers and the error bar of estimated cycles."""
    return columns(
        ("board", "core", "MHz", "flash KiB", "RAM KiB", "active mW", "sleep mW", "cycles within"),
        (
            (
                board.name,
                board.core,
                f"{board.clock_hz / 1e6:g}" if not board.is_host else "",
                _kib(board.flash_bytes),
                _kib(board.ram_bytes),
                _power(board.active_power_mw),
                _power(board.sleep_power_mw),
                f"{board.error_percent:g} %" if not board.is_host else "",
            )
            for board in boards
        ),
        left=2,
    )


def sizes_dict(firmware: Firmware) -> dict[str, Any]:
    """What a firmware takes, under the names that reports use; nothing has run, so no stack."""
    return {
        "model": firmware.name,
        "board": firmware.board.name,
        "toolchain": firmware.toolchain,
        "optimize": firmware.optimize,
        "flash_bytes": firmware.flash_bytes,
        "code_bytes": firmware.code_bytes,
        "weight_bytes": firmware.weight_bytes,
        "arena_bytes": firmware.arena_bytes,
        "static_ram_bytes": firmware.static_ram_bytes,
    }


def sizes_view(firmware: Firmware) -> tuple[RenderableType, ...]:
    """Flash and RAM of a firmware, and the share of the board's that they take."""
    board, other = firmware.board, firmware.static_ram_bytes - firmware.arena_bytes
    code = f"{firmware.code_bytes:,} code, {firmware.weight_bytes:,} weights"
    ram = f"{firmware.arena_bytes:,} arena, {other:,} other static; the stack comes on top"
    code += _share(firmware.flash_bytes, board.flash_bytes)
    ram += _share(firmware.static_ram_bytes, board.ram_bytes)
    rows: list[Fact] = [
        ("flash", f"{firmware.flash_bytes:,}", "bytes", code),
        ("RAM", f"{firmware.static_ram_bytes:,}", "bytes", ram),
    ]
    title = f"{firmware.name} for {board.name}, {firmware.toolchain} for {firmware.optimize}"
    return (heading(title), facts(rows))


def _share(used: int, available: int) -> str:
    return f"; {100 * used / available:.1f} % of {available:,}" if available else ""


def _kib(nbytes: int) -> str:
    return f"{nbytes / 1024:,.0f}" if nbytes else ""


def _power(milliwatts: float | None) -> str:
    return f"{milliwatts:g}" if milliwatts is not None else ""
