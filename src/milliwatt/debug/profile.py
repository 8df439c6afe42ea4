"""A report as text: where the cycles go, layer by layer, and the totals with their sources."""

from __future__ import annotations

from typing import TYPE_CHECKING

from milliwatt.compiler.passes.names import JOINT
from milliwatt.debug.report import LayerReport, Report
from milliwatt.debug.table import Fact, as_text, columns, facts, heading
from milliwatt.ir.ops import Op

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

HEADS = ("layer", "kernel", "cycles", "share", "cycles/MAC", "stalls", "bound")
_LONGEST_LAYER, _LONGEST_KERNEL = 20, 26
"""Letters of names in the table, which is to fit 100 columns; JSON has them whole."""
_OF_TWO = (str(Op.BY_ROWS), str(Op.CONV2D_ADD))
"""Operators that the compiler makes of two layers."""


def profile_text(report: Report) -> str:
    """The layer table and the totals as plain text."""
    return as_text(*profile(report))


def profile(report: Report) -> tuple[RenderableType, ...]:
    """The layer table (where the machine counts) and the totals."""
    if not report.layers:
        return (title(report), summary(report))
    return (title(report), "", layer_table(report), "", summary(report))


def title(report: Report) -> Text:
    """Model, board, compiler and input in one line."""
    kind = "frame" if report.stream else "input"
    what = f"{report.inputs:,} {kind}s: " if report.inputs > 1 else f"{kind}: "
    compiler = f"{report.toolchain} for {report.optimize}"
    return heading(f"{report.model} on {report.board}, {compiler}, {what}{report.input}")


def layer_table(report: Report) -> RenderableType:
    """One row a layer in execution order, and the sum: cycles, their share, cycles per MAC, cycles
    lost to the flash, and how much of the cycles the layer's lower bound is.
    """
    total = report.cycles or 0
    rows = [
        (
            _label(layer),
            _clipped(layer.kernel.replace("mw_", ""), _LONGEST_KERNEL),
            f"{layer.cycles:,}",
            f"{100 * layer.cycles / total:.1f} %" if total else "",
            f"{layer.cycles_per_mac:.2f}" if layer.cycles_per_mac is not None else "",
            f"{layer.flash_stall_cycles:,}" if layer.flash_stall_cycles else "",
            _bound(layer),
        )
        for layer in report.layers
    ]
    macs = sum(layer.macs for layer in report.layers)
    stalls = sum(layer.flash_stall_cycles for layer in report.layers)
    least = sum(layer.bound_cycles or 0 for layer in report.layers)
    ratio = f"{total / macs:.2f}" if macs else ""
    share = f"{100 * least / total:.0f} %" if total and least else ""
    rows.append(("total", "", f"{total:,}", "", ratio, f"{stalls:,}", share))
    return columns(HEADS, rows, left=2)


def _bound(layer: LayerReport) -> str:
    """The part of a layer's cycles that no kernel could save, and what most of it is for."""
    if not layer.bound_cycles or not layer.cycles:
        return ""
    return f"{100 * layer.bound_cycles / layer.cycles:.0f} % {layer.bound}"


def _label(layer: LayerReport) -> str:
    """A layer's name, clipped; of two layers in one call the ends of both names."""
    first, joint, second = layer.name.rpartition(JOINT)
    if not joint or layer.op not in _OF_TWO:
        return _clipped(layer.name, _LONGEST_LAYER)
    room = _LONGEST_LAYER - len(" + ")
    left = max(room // 2, room - len(second))
    left = min(left, len(first))
    return f"{_clipped(first, left)} + {_clipped(second, room - left)}"


def _clipped(name: str, letters: int) -> str:
    """A name that fits a column; of a longer one its end, which tells layers apart."""
    return name if len(name) <= letters else f"…{name[1 - letters :]}"


def summary(report: Report) -> RenderableType:
    """Latency, energy, memory and exactness, each with what it is made of or where it is from."""
    rows = [*_time(report), *_limit(report), *_period(report), *_memory(report), _exact(report)]
    return facts(rows)


def _time(report: Report) -> list[Fact]:
    if report.latency_ms is None:
        return []
    if report.cycles is None:
        return [("latency", f"{report.latency_ms:,.3f}", "ms", "wall-clock time on this machine")]
    cycles = f"{report.cycles:,} cycles within {report.error_percent:g} %"
    counts = f"{cycles}, {report.instructions:,} instructions"
    rows = [("latency", f"{report.latency_ms:,.3f}", "ms", counts)]
    if report.energy_uj is None:
        return [*rows, ("energy", "unknown", "", "the board file gives no active power")]
    source = f"at {report.active_power_mw:g} mW ({report.energy_source})"
    return [*rows, ("energy", f"{report.energy_uj:,.1f}", "uJ", source)]


def _limit(report: Report) -> list[Fact]:
    """The sum of the layers' lower bounds, and what the words in the table's last column mean."""
    least = sum(layer.bound_cycles or 0 for layer in report.layers)
    if not least or not report.latency_ms or not report.cycles:
        return []
    kinds = {layer.bound: layer.bound_reason for layer in report.layers if layer.macs}
    words = "bytes moved by words; constants once from flash"
    rates = {reason.split(" (")[0]: name for name, reason in kinds.items() if reason and name}
    best = ", ".join(f"{name} at {rate}" for rate, name in rates.items() if "MAC" in rate)
    milliseconds = report.latency_ms * least / report.cycles
    text = "; ".join(part for part in (best, words) if part)
    return [("bound", f"{milliseconds:,.3f}", "ms", text)]


def _period(report: Report) -> list[Fact]:
    duty = report.period
    if duty is None:
        return []
    total = duty.active_uj + duty.sleep_uj
    parts = f"{duty.active_uj:,.1f} active, {duty.sleep_uj:,.1f} asleep"
    pace = f"{parts}, one inference every {duty.period_ms:g} ms"
    return [
        ("energy/period", f"{total:,.1f}", "uJ", pace),
        ("average power", f"{duty.average_mw:,.4g}", "mW", duty.source),
    ]


def _memory(report: Report) -> list[Fact]:
    code = f"{report.code_bytes:,} code, {report.weight_bytes:,} weights"
    stack = report.stack_bytes
    other = report.ram_bytes - report.arena_bytes - (stack or 0)
    kept = f" ({report.state_bytes:,} of it state)" if report.state_bytes else ""
    parts = f"{report.arena_bytes:,} arena{kept}, {other:,} other static"
    parts += f", {stack:,} stack (measured)" if stack is not None else ", stack not measured"
    return [
        ("flash", f"{report.flash_bytes:,}", "bytes", code),
        ("RAM", f"{report.ram_bytes:,}", "bytes", parts),
    ]


def _exact(report: Report) -> Fact:
    runs = "1 run" if report.inputs == 1 else f"all {report.inputs:,} runs"
    if report.bit_exact:
        return ("bit-exact", "yes", "", f"{runs} equal to the reference, byte for byte")
    return (
        "bit-exact",
        "no",
        "",
        f"outputs differ from the reference by up to {report.largest_difference:g}",
    )
