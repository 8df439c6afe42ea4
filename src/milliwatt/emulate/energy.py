"""Energy of an inference: time x the board's active power, and sleep until the next one.

Published results show why this first model is sound: within one MLPerf Tiny round, energy divided
by latency is constant to about 3 % over the convolutional nets (docs/timing.md).
"""

from __future__ import annotations

from dataclasses import dataclass

from milliwatt.compiler.board import Board
from milliwatt.errors import BadData


@dataclass(frozen=True)
class Energy:
    """Energy of one inference in microjoules, and where the power in milliwatts is from."""

    energy_uj: float
    active_power_mw: float
    source: str


@dataclass(frozen=True)
class Duty:
    """One inference every `period_ms`: microjoules a period, average power in milliwatts."""

    period_ms: float
    active_uj: float
    sleep_uj: float
    average_mw: float
    source: str


def energy(board: Board, latency_ms: float) -> Energy | None:
    """Energy of `latency_ms` of computing; None where the board file gives no active power."""
    if board.active_power_mw is None:
        return None
    power = board.active_power_mw
    return Energy(latency_ms * power, power, board.sources["active_mw"])


def duty_cycle(board: Board, latency_ms: float, period_ms: float) -> Duty | None:
    """Energy of one inference and of sleeping for the rest of the period; None without both powers.

    Raises: BadData where the inference takes longer than the period.
    """
    if board.active_power_mw is None or board.sleep_power_mw is None:
        return None
    if period_ms < latency_ms:
        raise BadData(
            f"period is {period_ms} ms; at least the latency of {latency_ms:.3f} ms wanted"
        )
    active = latency_ms * board.active_power_mw
    asleep = (period_ms - latency_ms) * board.sleep_power_mw
    source = f"{board.sources['active_mw']}; {board.sources['sleep_mw']}"
    return Duty(period_ms, active, asleep, (active + asleep) / period_ms, source)
